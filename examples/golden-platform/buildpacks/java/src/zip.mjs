import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

/**
 * One small file of a zip archive as text, by its central directory; empty where it isn't there. ZIP64 is read as far as
 * its archives are below 4 GiB.
 */
export function readZipEntry(path, name) {
  const file = openSync(path, "r");
  const read = (position, length) => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, position));
  };
  try {
    const { size } = fstatSync(file);
    const tail = read(Math.max(0, size - 65_557), Math.min(size, 65_557));
    const end = tail.lastIndexOf("PK\x05\x06");
    if (end === -1) return "";
    const directory = read(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
    for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === 0x02014b50; ) {
      const [nameLength, extra, comment] = [28, 30, 32].map((offset) => directory.readUInt16LE(at + offset));
      if (directory.subarray(at + 46, at + 46 + nameLength).toString() === name) {
        const header = directory.readUInt32LE(at + 42);
        const local = read(header, 30);
        const start = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
        const content = read(start, directory.readUInt32LE(at + 20));
        return (
          directory.readUInt16LE(at + 10) === 8 ? inflateRawSync(content, { maxOutputLength: 1 << 20 }) : content
        ).toString();
      }
      at += 46 + nameLength + extra + comment;
    }
    return "";
  } finally {
    closeSync(file);
  }
}
