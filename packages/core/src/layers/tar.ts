import { MalformedLayer, UnsafeEntry } from "./bytes.ts";
import { checkGlobalRecords, type PaxRecords, parsePaxRecords, paxAttributes, paxNumber } from "./pax.ts";
import { blockSize, cString, parseTarHeader, type TarHeader } from "./tar-header.ts";

export type EntryKind = "file" | "directory" | "symlink" | "hardlink" | "character-device" | "block-device" | "fifo";

/**
 * One entry of a tar archive. Names are byte strings: one character for each byte ({@link formatPath} makes text of
 * them).
 */
export interface TarEntry {
  kind: EntryKind;
  /** Components from the root, joined by `/`, without `.` or a slash at either end; empty for the root. */
  path: string;
  /** Of a symbolic link as it stands there; of a hard link normalised like {@link path}; else empty. */
  target: string;
  /** Permissions and the set-id and sticky bits, 12 bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Of its content, in bytes. */
  size: number;
  device: string;
  /** Extended attributes: name → value, byte strings. */
  attributes: Readonly<Record<string, string>>;
  /** Decimal seconds since 1970, with a fraction where the archive has one. */
  mtime: string;
}

export type TarEvent = { kind: "entry"; entry: TarEntry } | { kind: "content"; bytes: Uint8Array } | { kind: "end" };

const kinds: Readonly<Record<string, EntryKind>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
};

/** What Go's reader takes of a pax header or a long name. Bytes. */
const maxMeta = 1024 * 1024;
/** PATH_MAX and NAME_MAX of Linux, without the zero byte at the end: no runtime makes what is longer. Bytes. */
export const maxPath = 4095;
const maxName = 255;
/** Of such a path in a message. */
const maxShown = 100;
/** What an old header can't say, so that a pax record has to. Bytes. */
const largestOctalSize = 8 ** 11;

interface Meta {
  type: string;
  chunks: Uint8Array[];
}

/**
 * Reads a tar archive as it comes, in chunks of any size. What it takes is what Go's archive/tar, libarchive and GNU
 * tar read alike; where they differ (which of two names counts, what follows the end, sparse files, sizes of what has
 * no content) the archive is refused, since one reader would judge what another one runs.
 */
export class TarParser {
  readonly #block = Buffer.alloc(blockSize);
  #filled = 0;
  #content = 0;
  #padding = 0;
  #meta: Meta | undefined;
  #records: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #zeroBlocks = 0;

  /** @throws MalformedLayer */
  *push(chunk: Uint8Array): Generator<TarEvent> {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#content > 0) {
        const bytes = rest.subarray(0, this.#content);
        rest = rest.subarray(bytes.length);
        this.#content -= bytes.length;
        if (this.#meta === undefined) yield { kind: "content", bytes };
        else this.#meta.chunks.push(bytes);
        if (this.#content === 0) yield* this.#endContent();
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, rest.length);
        this.#padding -= skipped;
        rest = rest.subarray(skipped);
      } else {
        const part = rest.subarray(0, blockSize - this.#filled);
        this.#block.set(part, this.#filled);
        this.#filled += part.length;
        rest = rest.subarray(part.length);
        if (this.#filled === blockSize) yield* this.#readBlock();
      }
    }
  }

  /** How many bytes of a file's content come next. */
  get pending(): number {
    return this.#meta === undefined ? this.#content : 0;
  }

  /** For whoever needs no content: as many bytes of it are passed over, at most those that are {@link pending}. */
  *skip(size: number): Generator<TarEvent> {
    if (size > this.pending) throw new RangeError(`${size} bytes, and ${this.pending} are of content`);
    this.#content -= size;
    if (size > 0 && this.#content === 0) yield* this.#endContent();
  }

  /** To be called where the bytes end. @throws MalformedLayer */
  finish(): void {
    const isRestZero = this.#zeroBlocks > 0 && this.#block.subarray(0, this.#filled).every((byte) => byte === 0);
    if (this.#content > 0 || this.#padding > 0 || (this.#filled > 0 && !isRestZero))
      throw new MalformedLayer("it ends in the middle");
    if (this.#isHeaderOpen()) throw new MalformedLayer("it ends where an entry should follow");
  }

  *#readBlock(): Generator<TarEvent> {
    this.#filled = 0;
    if (this.#block.every((byte) => byte === 0)) {
      if (this.#isHeaderOpen()) throw new MalformedLayer("it ends where an entry should follow");
      this.#zeroBlocks += 1;
      return;
    }
    if (this.#zeroBlocks > 0) throw new MalformedLayer("after the end of its tar archive there is something else");
    const header = parseTarHeader(this.#block);
    if (["x", "g", "L", "K"].includes(header.type)) {
      if (header.size > maxMeta) throw new MalformedLayer("a name or a pax header is too large");
      this.#meta = { type: header.type, chunks: [] };
      this.#start(header.size);
      if (header.size === 0) yield* this.#endContent();
      return;
    }
    const entry = this.#readEntry(header);
    yield { kind: "entry", entry };
    this.#start(entry.size);
    if (entry.size === 0) yield { kind: "end" };
  }

  #start(size: number): void {
    this.#content = size;
    this.#padding = (blockSize - (size % blockSize)) % blockSize;
  }

  #isHeaderOpen(): boolean {
    return this.#records !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  *#endContent(): Generator<TarEvent> {
    const meta = this.#meta;
    if (meta === undefined) return yield { kind: "end" };
    this.#meta = undefined;
    const content = Buffer.concat(meta.chunks);
    const twice = (): never => {
      throw new MalformedLayer("an entry has two names or two pax headers");
    };
    switch (meta.type) {
      case "x":
        this.#records = this.#records === undefined ? parsePaxRecords(content) : twice();
        break;
      case "g":
        // Whether records in front of it hold for what follows it, readers see in two ways.
        if (this.#isHeaderOpen()) twice();
        checkGlobalRecords(parsePaxRecords(content));
        break;
      case "L":
        this.#longName = this.#longName === undefined ? cString(content.toString("latin1")) : twice();
        break;
      default:
        this.#longLink = this.#longLink === undefined ? cString(content.toString("latin1")) : twice();
    }
  }

  #readEntry(header: TarHeader): TarEntry {
    const records: PaxRecords = this.#records ?? new Map();
    if (
      (this.#longName !== undefined && records.has("path")) ||
      (this.#longLink !== undefined && records.has("linkpath"))
    ) {
      throw new MalformedLayer("an entry has two names, and readers take one or the other");
    }
    const name = records.get("path") ?? this.#longName ?? header.name;
    const linkname = records.get("linkpath") ?? this.#longLink ?? header.linkname;
    this.#records = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    const kind = readKind(header.type, name);
    const isLink = kind === "symlink" || kind === "hardlink";
    const path = normalisePath(name, "an entry");
    if (path === "" && kind !== "directory") throw new MalformedLayer(`the root is a ${kind}`);
    if (isLink && linkname === "") throw new UnsafeEntry(`${formatPath(path)} is a link to nothing`);
    if (linkname.length > maxPath) throw new UnsafeEntry(`${formatPath(path)} is a link to a path that is too long`);
    return {
      kind,
      path,
      target: kind === "hardlink" ? normalisePath(linkname, "a hard link") : isLink ? linkname : "",
      mode: header.mode & 0o7777,
      uid: paxNumber(records, "uid") ?? header.uid,
      gid: paxNumber(records, "gid") ?? header.gid,
      size: readSize(header, records, kind, path),
      device: kind.endsWith("device") ? `${header.devmajor}:${header.devminor}` : "",
      attributes: paxAttributes(records),
      mtime: records.get("mtime") ?? header.mtime,
    };
  }
}

function readKind(type: string, name: string): EntryKind {
  const kind = kinds[type];
  if (kind === undefined)
    throw new MalformedLayer(`${formatPath(name)} is of a kind that not every reader knows (${JSON.stringify(type)})`);
  if (kind === "directory" || !name.endsWith("/")) return kind;
  // From before there were directories: what has no type and ends so is one, for every reader.
  if (type === "\0") return "directory";
  throw new MalformedLayer(`${formatPath(name)} is a ${kind} with the name of a directory`);
}

/** Only files have content: some readers skip what another kind says to have, others don't. */
function readSize(header: TarHeader, records: PaxRecords, kind: EntryKind, path: string): number {
  const stated = paxNumber(records, "size");
  const size = stated ?? header.size;
  if (kind !== "file" && size !== 0)
    throw new MalformedLayer(`${formatPath(path)} is a ${kind} and says that it has content`);
  if (!Number.isSafeInteger(size)) throw new MalformedLayer(`${formatPath(path)} is of an impossible size`);
  if (stated !== undefined && stated < largestOctalSize && stated !== header.size)
    throw new MalformedLayer(`${formatPath(path)} has two sizes`);
  return size;
}

/** As a runtime resolves it below the root of an image. @throws MalformedLayer */
function normalisePath(name: string, what: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name === "") throw new MalformedLayer(`${what} has no name`);
  if (parts.includes("..")) throw new UnsafeEntry(`${what} climbs out with '..': ${formatPath(name)}`);
  const path = parts.join("/");
  if (path.length > maxPath || parts.some((part) => part.length > maxName))
    throw new UnsafeEntry(`${what} has a path that is too long: ${formatPath(path).slice(0, maxShown)}…`);
  return path;
}

/** A path for people, with `/` in front: {@link formatName}. */
export function formatPath(path: string): string {
  const shown = formatName(path);
  return shown.startsWith("/") ? shown : `/${shown}`;
}

/**
 * A byte string for people: as UTF-8 where it is, with `\xHH` for each byte of what a terminal obeys or nobody sees, and of
 * what is no UTF-8, and `\\` for a backslash. No two byte strings show the same: an exception may be for one of them.
 */
export function formatName(name: string): string {
  const text = Buffer.from(name, "latin1").toString("utf8");
  if (text.includes("\ufffd")) return name.replaceAll(/\\|[^ -~]/g, escapeBytes);
  return text.replaceAll(/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (found) =>
    escapeBytes(Buffer.from(found, "utf8").toString("latin1")),
  );
}

function escapeBytes(bytes: string): string {
  if (bytes === "\\") return "\\\\";
  return [...Buffer.from(bytes, "latin1")].map((each) => `\\x${each.toString(16).padStart(2, "0")}`).join("");
}
