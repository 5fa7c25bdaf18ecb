/**
 * System calls by which a program waits until a disk has what was written (asm/unistd.h, linux/audit.h). Not msync, by
 * which programs also ask whether memory is theirs before they read it: of a wrong answer they would crash.
 */
const machines = {
  x64: { audit: 0xc000003e, seccomp: 317, waiting: [74, 75, 162, 277, 306] },
  arm64: { audit: 0xc00000b7, seccomp: 277, waiting: [81, 82, 83, 84, 267] },
} as const;

// seccomp(2), bpf(4)
const setModeFilter = 1;
/** Else a kernel before 5.16 slows down whatever has a filter. */
const flagSpecAllow = 4;
const [loadWord, jumpEqual, giveBack] = [0x20, 0x15, 0x06];
const [offsetOfNumber, offsetOfAudit] = [0, 4];
const [allow, answerZero] = [0x7fff0000, 0x00050000];

/**
 * A shell function `unsynced COMMAND…`, which becomes the command, and for it and all that it starts a call that waits
 * for the disk is done at once. What a build writes until its result is taken is nobody's after the machine fell: a
 * database of the builder's that is flushed hundreds of times, or a package manager that flushes each file, waits for
 * nothing. Nothing else is another, and nothing is allowed that was not. Where there is no perl, or the kernel has no
 * such filter, the command runs as it is.
 */
export function renderUnsynced(machine: string = process.arch): string {
  const known = Object.entries(machines).find(([name]) => name === machine)?.[1];
  if (known === undefined) return 'unsynced() { exec "$@"; }\n';
  const filter = renderFilter(known).toString("hex");
  // struct sock_fprog: how many there are, and where
  const program = `my $f = pack("H*", "${filter}"); my $p = pack("S x6 P", length($f) / 8, $f); syscall(${known.seccomp}, ${setModeFilter}, ${flagSpecAllow}, $p); exec { $ARGV[0] } @ARGV or exit 126`;
  return `unsynced() {
  ! command -v perl >/dev/null || exec perl -e '${program}' "$@"
  exec "$@"
}
`;
}

/** Numbers are another machine's where a program is (32 bits on one of 64): that one waits. */
function renderFilter({ audit, waiting }: (typeof machines)[keyof typeof machines]): Buffer {
  const last = waiting.length;
  const instructions = [
    [loadWord, 0, 0, offsetOfAudit],
    [jumpEqual, 0, last + 1, audit],
    [loadWord, 0, 0, offsetOfNumber],
    ...waiting.map((number, index) => [jumpEqual, last - index, 0, number]),
    [giveBack, 0, 0, allow],
    [giveBack, 0, 0, answerZero],
  ];
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [index, [code = 0, whenTrue = 0, whenFalse = 0, operand = 0]] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(operand, index * 8 + 4);
  }
  return bytes;
}
