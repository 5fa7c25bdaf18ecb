/**
 * The room of one phase, made by the process that is the first one in its PID namespace, and that stays: when it ends,
 * the kernel ends everything in there. POSIX shell with util-linux's programs, since neither Node nor anything else
 * that is on every runner can mount. It runs as root, or as the root of a user namespace, and starts the phase as an
 * ordinary user without capabilities who can't get any (no_new_privs): sudo and set-uid programs give nothing there.
 *
 * Arguments: ROOT (an empty folder) UID GID NESTED(0|1) MARK (a file for the namespace's name), then `MODE FROM TO` for
 * each part of the view, `--`, the command. Modes: `ro`, `rw` (of what is there), `link` (FROM is the target), `mask`
 * (an empty folder). Standard input is a lifeline: when it ends, so does the room.
 */
export const setupScript = `set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
root=$1 uid=$2 gid=$3 nested=$4 mark=$5
shift 5
readlink /proc/self/ns/pid >"$mark"
mount --make-rprivate /
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root"
# Read-only with the flags that a mount has: in a user namespace none of them may be dropped. Submounts are sealed as well.
seal() {
  while read -r _ _ _ _ place options _; do
    place=$(printf %b "$place")
    case $place in
      "$1" | "$1"/*)
        flags=$(printf %s "$options" | sed -e 's/^rw,//' -e 's/^ro,//' -e 's/^rw$//' -e 's/^ro$//')
        mount -o "remount,bind,ro\${flags:+,$flags}" "$place"
        ;;
    esac
  done </proc/self/mountinfo
}
while [ "$1" != -- ]; do
  mode=$1 from=$2 to=$root$3
  shift 3
  case $mode in
    link)
      mkdir -p "\${to%/*}"
      [ -e "$to" ] || ln -s "$from" "$to"
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
      mount --rbind "$from" "$to"
      [ "$mode" = rw ] || seal "$to"
      ;;
  esac
done
shift
mkdir -p "$root/proc" "$root/dev/shm" "$root/.old"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
for device in null zero full random urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
# The loopback of this network namespace, on which nothing listens but what the build starts and the way out.
if command -v ip >/dev/null; then ip link set lo up; else
  perl -MSocket -e 'socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; ioctl($s, 0x8914, pack("a16 s x14", "lo", 0x49)) or die "lo: $!"'
fi
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
mount -o remount,bind,ro,nosuid,nodev /
trap 'exit 143' TERM
exec 3<&0
if [ "$nested" = 1 ]; then
  unshare --user --map-user="$uid" --map-group="$gid" -- setpriv --no-new-privs -- "$@" </dev/null 3<&- &
else
  setpriv --reuid="$uid" --regid="$gid" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@" </dev/null 3<&- &
fi
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
 * Runs in the room, as the build's user: serves the way out of the network (a proxy on a unix socket) on the room's own
 * loopback, and then runs the phase. Arguments: SOCKET PORT COMMAND ARGUMENTS….
 */
export const relayScript = `import { spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { constants } from "node:os";

const [socket, port, command, ...args] = process.argv.slice(2);
const server = createServer({ allowHalfOpen: true }, (inside) => {
  const outside = connect({ path: socket, allowHalfOpen: true });
  inside.pipe(outside);
  outside.pipe(inside);
  const end = () => {
    inside.destroy();
    outside.destroy();
  };
  inside.on("error", end);
  outside.on("error", end);
});
server.listen(Number(port), "127.0.0.1", () => {
  const child = spawn(command, args, { stdio: "inherit" });
  child.on("error", (error) => {
    console.error(error.message);
    process.exit(126);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
});
`;
