import { crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  name: string;
  content: string | Uint8Array;
  /** What the directory says of the size, where that is a lie. */
  claims?: number;
  /** The file's mode on a Unix: 0o120777 is a link. Default 0o100644. */
  mode?: number;
  /** When it was changed, by whole two seconds; 1980-01-01 unless told. */
  modified?: Date;
  /** The flag of an encrypted entry. */
  encrypted?: boolean;
}

/**
 * A zip archive as APPNOTE.TXT has it (4.3.7, 4.3.12, 4.3.16), entries as they are given, so that it can be one that no
 * honest program writes.
 */
export function zip(entries: readonly ZipEntry[]): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const {
    name,
    content,
    claims,
    mode = 0o100644,
    encrypted = false,
    modified = new Date("1980-01-01T00:00:00Z"),
  } of entries) {
    const bytes = Buffer.from(content);
    const packed = deflateRawSync(bytes);
    const title = Buffer.from(name);
    // Version, flags, method, time, date, CRC-32, both sizes, length of the name, of extra fields.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE((encrypted ? 1 : 0) | 0x800, 2);
    common.writeUInt16LE(8, 4);
    common.writeUInt16LE(
      (modified.getUTCHours() << 11) | (modified.getUTCMinutes() << 5) | (modified.getUTCSeconds() >> 1),
      6,
    );
    common.writeUInt16LE(
      ((modified.getUTCFullYear() - 1980) << 9) | ((modified.getUTCMonth() + 1) << 5) | modified.getUTCDate(),
      8,
    );
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(claims ?? bytes.length, 18);
    common.writeUInt16LE(title.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, title, packed]);
    // Made by a Unix; after the common part the comment's length, disk, attributes inside and outside, and the offset.
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(mode * 0x1_0000, 6);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 3]), common, rest, title]));
    parts.push(local);
    offset += local.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listed, end]);
}
