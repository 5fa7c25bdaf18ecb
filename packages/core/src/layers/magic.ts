/**
 * The compressions that some reader of layers tells by the first bytes, whatever the type says (dockerd, containerd,
 * syft), with what they begin with.
 */
const beginnings: readonly { name: string; bytes: readonly number[] }[] = [
  { name: "gzip", bytes: [0x1f, 0x8b, 0x08] },
  { name: "zstd", bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "bzip2", bytes: [0x42, 0x5a, 0x68] },
  { name: "xz", bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
];

/** Enough of a stream's beginning to tell. Bytes. */
export const magicLength = 6;

/**
 * What a stream's first bytes are taken for; undefined for an archive that is not compressed. A skippable frame counts
 * as zstd: containerd and dockerd take it so.
 */
export function detectCompression(start: Uint8Array): string | undefined {
  const [first = 0, second, third, fourth] = start;
  if (first >> 4 === 5 && second === 0x2a && third === 0x4d && fourth === 0x18) return "zstd";
  return beginnings.find(({ bytes }) => bytes.every((byte, index) => start[index] === byte))?.name;
}
