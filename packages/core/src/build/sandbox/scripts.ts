/**
 * The room of one program, made by the process that is the first one in its PID namespace, and that stays: when it ends,
 * the kernel ends everything in there. POSIX shell with util-linux's programs, since neither Node nor anything else
 * that is on every runner can mount. It runs as root, or as the root of a user namespace, and starts the phase as an
 * ordinary user without capabilities who can't get any (no_new_privs): sudo and set-uid programs give nothing there.
 *
 * Arguments: ROOT (an empty folder) UID GID NESTED(0|1) MARK (a file for the namespace's name) SKELETON (what is copied
 * to the root, to mount on) KIND NODE RELAY SOCKET PORT, then `MODE FROM TO` for each part of the view, `--`, the command. Modes: `ro`, `rw` (of what is there), `ro:FLAGS` (of
 * what has nothing mounted below it, with its mount's flags), `link` (FROM is the target), `mask` (an empty folder). Standard input is a lifeline: when it ends, so does the room.
 *
 * KIND is `plain` (the command starts the relay), `image` (below `/.image` is the root that the command, {@link
 * enterScript}, goes into; the relay stays outside of it, since the image need not have what it takes to run it), or
 * `outside` (the machine's own network; the first line of standard input is for the command's, so that no list of
 * processes shows it).
 */
export const setupScript = `set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
root=$1 uid=$2 gid=$3 nested=$4 mark=$5 skeleton=$6 kind=$7 node=$8 relay=$9
shift 9
socket=$1 port=$2
shift 2
readlink /proc/self/ns/pid >"$mark"
mount --make-rprivate /
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root"
cp -R -P "$skeleton/." "$root/"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
for device in null zero full random urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
# The loopback of this network namespace, on which nothing listens but what the build starts and the way out.
if [ "$kind" = outside ]; then :; elif command -v ip >/dev/null; then ip link set lo up; else
  perl -MSocket -e 'socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; ioctl($s, 0x8914, pack("a16 s x14", "lo", 0x49)) or die "lo: $!"'
fi
drop="--reuid=$uid --regid=$gid --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
# The way out of a room with an image, once the machine's own files are there: it starts while the image's are mounted.
# Where a room is nested it comes later, since whoever has another root may make no user namespace. What it says lies
# outside of the root, which can't be made read-only while somebody writes in it.
way_out=
[ "$kind" != image ] || exec 4>"$mark.ready" 5<"$mark.ready"
start_early() {
  [ "$kind$nested" = image0 ] && [ -z "$way_out" ] || return 0
  chroot "$root" setpriv $drop -- "$node" "$relay" "$socket" "$port" </dev/null 5<&- &
  way_out=$!
}
# Read-only with the flags that a mount has: in a user namespace none of them may be dropped. Submounts are sealed as well.
seal() {
  while read -r _ _ _ _ place options _; do
    # A machine may have hundreds of mounts, and each part looks at all of them: without a process for each.
    case $place in *\\\\*) place=$(printf %b "$place") ;; esac
    case $place in
      "$1" | "$1"/*)
        case $options in
          rw,* | ro,*) mount -o "remount,bind,ro,\${options#??,}" "$place" ;;
          *) mount -o remount,bind,ro "$place" ;;
        esac
        ;;
    esac
  done </proc/self/mountinfo
}
while [ "$1" != -- ]; do
  mode=$1 from=$2 to=$root$3
  shift 3
  case $to in "$root"/.image/*) start_early ;; esac
  case $mode in
    link)
      [ -d "\${to%/*}" ] || mkdir -p "\${to%/*}"
      [ -e "$to" ] || [ -L "$to" ] || ln -s "$from" "$to"
      ;;
    mask)
      [ -d "$to" ] || mkdir -p "$to"
      mount -t tmpfs -o mode=755,nosuid,nodev,size=64k tmpfs "$to"
      ;;
    *)
      if [ -d "$from" ]; then
        [ -d "$to" ] || mkdir -p "$to"
      elif [ ! -e "$to" ]; then
        mkdir -p "\${to%/*}"
        : >"$to"
      fi
      case $mode in
        ro:?*) mount -o "bind,ro,\${mode#ro:}" "$from" "$to" ;;
        ro:) mount -o bind,ro "$from" "$to" ;;
        *) mount --rbind "$from" "$to" ;;
      esac
      [ "$mode" != ro ] || seal "$to"
      ;;
  esac
done
shift
if [ "$kind" = image ]; then
  mount --bind "$root/proc" "$root/.image/proc"
  mount --rbind "$root/dev" "$root/.image/dev"
  mount -o remount,bind,ro,nosuid,nodev "$root/.image/dev"
fi
[ "$kind" = plain ] || mkfifo -m 600 "$root/.mapped"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
mount -o remount,bind,ro,nosuid,nodev /
trap 'exit 143' TERM
exec 3<&0
lower() {
  if [ "$nested" = 1 ]; then
    exec unshare --user --map-user="$uid" --map-group="$gid" -- setpriv --no-new-privs -- "$@"
  fi
  exec setpriv $drop -- "$@"
}
case $kind in
  plain) lower "$@" </dev/null 3<&- & ;;
  image)
    [ -n "$way_out" ] || {
      lower "$node" "$relay" "$socket" "$port" </dev/null 3<&- 5<&- &
      way_out=$!
    }
    until [ -s /proc/self/fd/5 ]; do
      kill -0 "$way_out" 2>/dev/null || { echo "the way out of the network did not start" >&2; exit 126; }
      sleep 0.01
    done
    exec 4>&- 5<&-
    "$@" </dev/null 3<&- &
    ;;
  *)
    IFS= read -r line <&3
    printf '%s\\n' "$line" | "$@" 3<&- &
    ;;
esac
child=$!
(
  while read -r _ <&3; do :; done
  kill -TERM 1
) &
code=0
wait "$child" || code=$?
exit "$code"
`;

/**
 * In a room, takes a program to another root and another user, who has the numbers there that the image gives its build
 * user, and is UID on the machine. As root: in a user namespace that has two users, the other one being root, who only
 * enters the root folder, since what is in there belongs to nobody that can be trusted to. As an ordinary user: in one
 * that has itself alone. No privileges are left then, and none can be got: `chroot` needs one, and so does the way back.
 *
 * Arguments: NESTED(0|1) UID GID INNER_UID INNER_GID ROOT NAME (of a variable whose value is a line of standard input,
 * or `-`) COMMAND…. The environment is the command's, PATH included.
 */
export const enterScript = `set -eu
given=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin
nested=$1 uid=$2 gid=$3 user=$4 group=$5 root=$6 name=$7
shift 7
setpriv=$(command -v setpriv) chroot=$(command -v chroot) unshare=$(command -v unshare)
if [ "$name" != - ]; then
  IFS= read -r value
  export "$name=$value"
fi
umask 022
if [ "$nested" = 1 ]; then
  PATH=$given exec "$setpriv" --no-new-privs -- "$unshare" --user --map-user="$user" --map-group="$group" --root="$root" -- "$@" </dev/null
fi
own=$(readlink /proc/self/ns/user)
PATH=$given "$unshare" --user -- /bin/sh -c 'read -r _ </.mapped; exec "$@" </dev/null' sh "$setpriv" --no-new-privs -- "$chroot" --userspec="+$user:+$group" --groups= "$root" "$@" &
child=$!
while [ "$(readlink "/proc/$child/ns/user")" = "$own" ]; do sleep 0.01; done
printf '0 0 1\\n%s %s 1\\n' "$user" "$uid" >"/proc/$child/uid_map"
printf '0 0 1\\n%s %s 1\\n' "$group" "$gid" >"/proc/$child/gid_map"
echo go >/.mapped
code=0
wait "$child" || code=$?
exit "$code"
`;

/**
 * Runs in the room, as the build's user: serves the way out of the network (a proxy on a unix socket) on the room's own
 * loopback, and then runs the program, or, without one, says so on descriptor 4. Arguments: SOCKET PORT [COMMAND
 * ARGUMENTS…].
 */
export const relayScript = `import { spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { connect, createServer } from "node:net";
import { constants } from "node:os";

const [socket, port, command, ...args] = process.argv.slice(2);
const server = createServer({ allowHalfOpen: true }, (inside) => {
  // What comes in is most of it: by one buffer, which is free again once it is written on.
  const buffer = Buffer.allocUnsafe(256 * 1024);
  const callback = (size) => {
    inside.write(buffer.subarray(0, size), () => outside.resume());
    return false;
  };
  const outside = connect({ path: socket, allowHalfOpen: true, onread: { buffer, callback } });
  inside.pipe(outside);
  outside.on("end", () => inside.end());
  const end = () => {
    inside.destroy();
    outside.destroy();
  };
  inside.on("error", end);
  outside.on("error", end);
});
server.listen(Number(port), "127.0.0.1", () => {
  if (command === undefined) {
    writeSync(4, "ready\\n");
    closeSync(4);
    return;
  }
  const child = spawn(command, args, { stdio: "inherit" });
  child.on("error", (error) => {
    console.error(error.message);
    process.exit(126);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
});
`;
