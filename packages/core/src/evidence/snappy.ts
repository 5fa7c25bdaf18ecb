/**
 * A block of Snappy → what was compressed; undefined where it is none, or where it would be more than `most` bytes. No
 * length is believed before it is held to what is there.
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
export function decodeSnappy(block: Uint8Array, most: number): Uint8Array | undefined {
  const start = readLength(block);
  if (start === undefined || start.length > most) return undefined;
  const out = new Uint8Array(start.length);
  let written = 0;
  let at = start.next;
  while (at < block.length) {
    const element = readElement(block, at);
    if (element === undefined || written + element.length > out.length) return undefined;
    if (element.kind === "literal") {
      if (element.next + element.length > block.length) return undefined;
      out.set(block.subarray(element.next, element.next + element.length), written);
      at = element.next + element.length;
    } else {
      if (element.offset === 0 || element.offset > written) return undefined;
      // What is copied may reach into what the copy itself writes.
      for (let index = 0; index < element.length; index++)
        out[written + index] = out[written + index - element.offset] ?? 0;
      at = element.next;
    }
    written += element.length;
  }
  return written === out.length ? out : undefined;
}

/** Seven bits a byte, the lowest first, in five bytes at most. */
function readLength(block: Uint8Array): { length: number; next: number } | undefined {
  let length = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return length < 2 ** 32 ? { length, next: index + 1 } : undefined;
  }
  return undefined;
}

type Element = { length: number; next: number } & ({ kind: "literal" } | { kind: "copy"; offset: number });

function readElement(block: Uint8Array, at: number): Element | undefined {
  const tag = block[at] ?? 0;
  const upper = tag >> 2;
  const kind = tag & 3;
  if (kind === 0) {
    // From 60 on, so many bytes less 59 say the length.
    const bytes = upper < 60 ? 0 : upper - 59;
    const more = bytes === 0 ? upper : readNumber(block, at + 1, bytes);
    return more === undefined ? undefined : { kind: "literal", length: more + 1, next: at + 1 + bytes };
  }
  const bytes = kind === 3 ? 4 : kind;
  const low = readNumber(block, at + 1, bytes);
  if (low === undefined) return undefined;
  const next = at + 1 + bytes;
  if (kind === 1) return { kind: "copy", length: (upper & 7) + 4, offset: (tag >> 5) * 256 + low, next };
  return { kind: "copy", length: upper + 1, offset: low, next };
}

/** Little-endian. */
function readNumber(block: Uint8Array, at: number, bytes: number): number | undefined {
  if (at + bytes > block.length) return undefined;
  let value = 0;
  for (let index = 0; index < bytes; index++) value += (block[at + index] ?? 0) * 2 ** (8 * index);
  return value;
}
