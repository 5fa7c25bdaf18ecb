import { MalformedLayer } from "./bytes.ts";

export const blockSize = 512;

/**
 * The fields of one 512-byte header, as bytes say them: pax records and GNU's long names come on top. Names are byte
 * strings: one character for each byte, since a file's name need not be UTF-8.
 */
export interface TarHeader {
  name: string;
  linkname: string;
  /** One character: `0` file, `1` hard link, `2` symbolic link, `5` directory, `x` pax records, … */
  type: string;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of content that follow. */
  size: number;
  devmajor: number;
  devminor: number;
  /** Decimal seconds; as it stands there where it is no number. Nothing is decided by it. */
  mtime: string;
}

const ustar = "ustar\x00";
const gnu = "ustar  \x00";

/**
 * A header by POSIX (ustar) and by GNU, as Go's archive/tar and libarchive read it alike; what they read in two ways is
 * refused: numbers that are none, Schilling's star with its shorter prefix, and headers by GNU whose times are the
 * name's prefix (which old versions of Go wrote, and new ones undo).
 * @throws MalformedLayer
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  const raw = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const text = (start: number, end: number): string => raw.toString("latin1", start, end);
  if (!hasRightChecksum(raw)) throw new MalformedLayer("it is not a tar archive: the checksum of a header is wrong");
  const isGnu = text(257, 265) === gnu;
  const isUstar = text(257, 263) === ustar;
  if (isUstar && text(263, 265) !== "00") throw new MalformedLayer("a header is of an unknown version of tar");
  if (isUstar && text(508, 512) === "tar\0")
    throw new MalformedLayer("a header is of the star format, whose names readers put together in two ways");
  if (!isGnu && !isUstar && raw.subarray(257).some((byte) => byte !== 0))
    throw new MalformedLayer("a header is of an unknown kind of tar");
  if (isGnu) for (const start of [345, 357]) parseNumber(raw.subarray(start, start + 12), "a time");
  const prefix = isUstar ? cString(text(345, 500)) : "";
  const name = cString(text(0, 100));
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkname: cString(text(157, 257)),
    type: raw[156] === 0 ? "\0" : text(156, 157),
    mode: parseNumber(raw.subarray(100, 108), "a mode"),
    uid: parseNumber(raw.subarray(108, 116), "an owner"),
    gid: parseNumber(raw.subarray(116, 124), "a group"),
    size: parseNumber(raw.subarray(124, 136), "a size"),
    devmajor: isGnu || isUstar ? parseNumber(raw.subarray(329, 337), "a device number") : 0,
    devminor: isGnu || isUstar ? parseNumber(raw.subarray(337, 345), "a device number") : 0,
    mtime: describeTime(raw.subarray(136, 148)),
  };
}

function hasRightChecksum(raw: Buffer): boolean {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < blockSize; at += 1) {
    if (at >= 148 && at < 156) continue;
    const byte = raw[at] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stated = parseNumber(raw.subarray(148, 156), "a checksum");
  return stated === unsigned || stated === signed;
}

function describeTime(field: Buffer): string {
  try {
    return String(parseNumber(field, "a time"));
  } catch {
    return field.toString("latin1");
  }
}

/** Octal digits between spaces and zero bytes, or GNU's base 256, where the first bit is set. */
function parseNumber(field: Buffer, what: string): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    // The second bit is the sign.
    if ((first & 0x40) !== 0 || !Number.isSafeInteger(value))
      throw new MalformedLayer(`${what} in a tar header is out of range`);
    return value;
  }
  const digits = field.toString("latin1").replace(/^[ \0]+|[ \0]+$/g, "");
  if (!/^[0-7]*$/.test(digits)) throw new MalformedLayer(`${what} in a tar header is not a number`);
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

export function cString(text: string): string {
  const end = text.indexOf("\0");
  return end === -1 ? text : text.slice(0, end);
}
