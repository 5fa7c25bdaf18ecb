import { renderUnsynced } from "../../sandbox/unsynced.ts";

/** In the folder with all that is written: what a builder leaves for later builds. */
export const keptFolder = "kept";

/**
 * Makes the users and the view of a BuildKit of one build: it runs as root (or as the root of a user namespace), in a
 * mount namespace of its own, and takes BuildKit to a user namespace whose numbers are nobody's on this machine. POSIX
 * shell with util-linux's programs, since nothing else that is on every runner can do so.
 *
 * Arguments: NESTED(0|1) BASE (the first of 65536 numbers) OWNER (`uid:gid`, who gets the result) DONE (a word that
 * nobody in the room knows: a line of it and the exit code says that the result is there, before the rest is removed; not
 * where NESTED is 1) NODE CONTROL (the folder with all that is read) WORK (the folder with all that is written), folders
 * to cover, `--`, what {@link roomScript} gets. Standard input is a lifeline: when it ends, so does the room.
 */
export const usersScript = `set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# Of these runc concludes that it is root's own, and not in a user namespace.
unset USER LOGNAME
umask 022
nested=$1 base=$2 owner=$3 done=$4 node=$5 control=$6 work=$7
shift 7
# unshare(1) has made all mounts private to this namespace, in which nothing leads back to the machine's.
: >"$control/node"
mount --bind "$node" "$control/node"
while [ "$1" != -- ]; do
  mount -t tmpfs -o mode=755,nosuid,nodev,size=64k tmpfs "$1"
  shift
done
shift
if [ "$nested" = 1 ]; then
  code=0
  /bin/sh "$control/room.sh" "$control" "$work" "$@" || code=$?
  rm -rf "$control/secrets" "$work/state" "$work/run"
  exit "$code"
fi
# Whatever comes, what is written is given back or removed; not ignored, which children would inherit.
trap : TERM
chown -R "$base:$base" "$work" "$control/secrets"
mkfifo -m 600 "$control/mapped"
# What a shell starts beside itself has no input of its own otherwise.
exec 3<&0
# The capabilities of the new namespace are kept until it knows who root is.
unshare --user --keep-caps -- /bin/sh -c 'read -r _ <"$1"; shift; exec "$@"' sh "$control/mapped" \\
  setpriv --reuid=0 --regid=0 --clear-groups --inh-caps=-all --ambient-caps=-all \\
  unshare --mount --pid --mount-proc --net --ipc --uts --fork --kill-child=KILL -- \\
  /bin/sh "$control/room.sh" "$control" "$work" "$@" <&3 3<&- &
child=$!
while [ "/proc/$child/ns/user" -ef /proc/self/ns/user ]; do sleep 0.01; done
echo "0 $base 65536" >"/proc/$child/uid_map"
echo "0 $base 65536" >"/proc/$child/gid_map"
chown "$base:$base" "$control/mapped"
echo go >"$control/mapped"
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child" || code=$?; done
# The kernel has ended what was in there, and nothing of it writes to the result any more.
chown -h "$owner" "$work"
for each in image ${keptFolder}; do
  [ ! -e "$work/$each" ] || chown -R -h "$owner" "$work/$each"
done
# Where whoever started it was killed, nobody reads it.
trap '' PIPE
echo "$done $code" || :
rm -rf "$control/secrets" "$work/state" "$work/run"
exit "$code"
`;

/**
 * The first process of the room, which stays: when it ends, the kernel ends everything in there. Arguments: CONTROL
 * WORK SOCKET PORT, and buildctl's.
 */
export const roomScript = `set -eu
umask 022
control=$1 work=$2 socket=$3 port=$4
shift 4
if command -v ip >/dev/null; then ip link set lo up; else
  perl -MSocket -e 'socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; ioctl($s, 0x8914, pack("a16 s x14", "lo", 0x49)) or die "lo: $!"'
fi
export HOME="$work/run" XDG_RUNTIME_DIR="$work/run" TMPDIR="$work/run" DOCKER_CONFIG="$work/run"
export BUILDKIT_HOST="unix://$work/run/buildkit.sock"
# For what ADD fetches; registries BuildKit has no business with.
export HTTPS_PROXY="http://127.0.0.1:$port" HTTP_PROXY="http://127.0.0.1:$port" NO_PROXY=localhost,127.0.0.1,::1
[ ! -e "$control/authorities.pem" ] || export SSL_CERT_FILE="$control/authorities.pem"
${renderUnsynced()}trap 'exit 143' TERM
exec 3<&0
# The builder starts beside it, and waits for it (awaitRelay) before anything needs the network.
: >"$work/run/relay"
"$control/node" "$control/relay.mjs" "$socket" "$port" </dev/null 3<&- 4>"$work/run/relay" &
export RELAY=$!
unsynced /bin/sh "$control/build.sh" "$control" "$work" "$@" </dev/null 3<&- &
child=$!
# This shell, which is the first process only where it has the namespace for itself: where the room is nested that is the
# one which started it, and the kernel gives a first process no signal that it does not ask for.
(
  while read -r _ <&3; do :; done
  kill -TERM $$
) &
code=0
wait "$child" || code=$?
exit "$code"
`;

/** In a builder's script: waits until the way out is there. */
export const awaitRelay = `until [ -s "$work/run/relay" ]; do
  kill -0 "$RELAY" 2>/dev/null || { echo "the way out of the network did not start" >&2; exit 126; }
  sleep 0.01
done`;

/** What a room ends with that had no BuildKit. */
export const noBuildKit = 125;

/**
 * BuildKit, and one build by it, whose arguments it waits for: BuildKit starts while what it builds from is still being
 * fetched. Arguments: CONTROL WORK. What lies in CONTROL's `placed` goes where the image goes.
 */
export const buildScript = `set -eu
control=$1 work=$2
"$control/buildkitd" --config "$control/buildkitd.toml" --root "$work/state" --addr "$BUILDKIT_HOST" \\
  --rootless --oci-worker-net=host >"$work/run/buildkitd.log" 2>&1 &
daemon=$!
# The last thing that it does before it answers. Between its being there and its being listened at, whoever calls is refused;
# the flag is that of the kernel for a socket that takes connections (proc_pid_net(5), SO_ACCEPTCON).
answers() {
  [ -S "$work/run/buildkit.sock" ] || return 1
  [ ! -r /proc/net/unix ] || grep -F "$work/run/buildkit.sock" /proc/net/unix | grep -q ' 00010000 '
}
until answers; do
  if ! kill -0 "$daemon" 2>/dev/null; then
    tail -n 20 "$work/run/buildkitd.log" >&2
    exit ${noBuildKit}
  fi
  sleep 0.01
done
until [ -e "$control/arguments" ]; do sleep 0.01; done
set --
while IFS= read -r argument; do
  case $argument in *\\\\*) argument=$(printf '%bx' "$argument"); argument=\${argument%x} ;; esac
  set -- "$@" "$argument"
done <"$control/arguments"
[ ! -e "$control/placed" ] || cp -R -P "$control/placed/." "$work/image/"
${awaitRelay}
exec "$control/buildctl" build "$@"
`;
