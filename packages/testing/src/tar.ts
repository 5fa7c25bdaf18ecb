/** Tar archives byte by byte, so that a test can write what no well-behaved program would. */
export interface TarOptions {
  name: string;
  /** Of the header: `0` file (unless told), `1` hard link, `2` link, `5` directory, `x` pax, … */
  type?: string;
  content?: string | Uint8Array;
  linkname?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  /** What the header says, where that is not the content's size. */
  size?: number;
  device?: [number, number];
  /** pax records, as a header in front. */
  pax?: Readonly<Record<string, string>>;
  /** Eight bytes from 257 on: `ustar` and a version. */
  magic?: string;
  /** Changes the header's block before its checksum is made. */
  change?(block: Buffer): void;
}

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;

/** Names are byte strings: `\xe9` is one byte. */
export function tarEntry(options: TarOptions): Buffer {
  const {
    name,
    type = "0",
    content = "",
    linkname = "",
    mode = type === "5" ? 0o755 : 0o644,
    uid = 0,
    gid = 0,
  } = options;
  const bytes = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
  const block = Buffer.alloc(512);
  block.write(name.slice(0, 100), 0, "latin1");
  block.write(octal(mode, 8), 100);
  block.write(octal(uid, 8), 108);
  block.write(octal(gid, 8), 116);
  block.write(octal(options.size ?? bytes.length, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(" ".repeat(8), 148);
  block.write(type, 156, "latin1");
  block.write(linkname.slice(0, 100), 157, "latin1");
  block.write(options.magic ?? "ustar\x0000", 257, "latin1");
  // What is older than ustar has nothing there.
  if (options.magic?.startsWith("\0") !== true) {
    block.write(octal(options.device?.[0] ?? 0, 8), 329);
    block.write(octal(options.device?.[1] ?? 0, 8), 337);
  }
  options.change?.(block);
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512);
  const pax =
    options.pax === undefined
      ? Buffer.alloc(0)
      : tarEntry({ name: "pax", type: "x", content: paxRecords(options.pax) });
  return Buffer.concat([pax, block, bytes, padding]);
}

/** Values are byte strings. */
export function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(records).map(([keyword, value]) => {
      const rest = ` ${keyword}=${value}\n`;
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.from(`${length}${rest}`, "latin1");
    }),
  );
}

export const tarEnd = Buffer.alloc(1024);

/** A whole archive. */
export function tarOf(...entries: readonly TarOptions[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), tarEnd]);
}

/** An archive of files with these contents, and the directories above them. */
export function tarFiles(files: Readonly<Record<string, string>>): Buffer {
  const directories = new Set<string>();
  for (const path of Object.keys(files)) {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1))
      directories.add(path.slice(0, slash));
  }
  return tarOf(
    ...[...directories].map((name) => ({ name: `${name}/`, type: "5" })),
    ...Object.entries(files).map(([name, content]) => ({ name, content })),
  );
}
