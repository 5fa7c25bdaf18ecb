import { MalformedLayer } from "./bytes.ts";

/** pax records of one header: keyword → value, both as byte strings. */
export type PaxRecords = ReadonlyMap<string, string>;

/**
 * Of which the value is the file's: an empty one removes what the header says for some readers, and for others says
 * nothing.
 */
const decisive = ["path", "linkpath", "size", "uid", "gid"];

/**
 * `LENGTH KEYWORD=VALUE\n`, again and again (POSIX, pax). Keywords that nobody knows are kept, and decide nothing.
 * @throws MalformedLayer for what readers skip, guess at or read in two ways: wrong lengths, a keyword twice, sparse
 *   files
 */
export function parsePaxRecords(content: Uint8Array): PaxRecords {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("latin1");
  const records = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const [, digits = ""] = /^([1-9]\d{0,8}) /.exec(text.slice(at, at + 10)) ?? [];
    const end = at + Number(digits);
    const record = text.slice(at + digits.length + 1, end - 1);
    const equals = record.indexOf("=");
    if (digits === "" || end > text.length || text[end - 1] !== "\n" || equals < 1)
      throw new MalformedLayer("a pax record is malformed");
    const keyword = record.slice(0, equals);
    const value = record.slice(equals + 1);
    if (records.has(keyword)) throw new MalformedLayer(`a pax header has '${keyword}' twice`);
    if (keyword.startsWith("GNU.sparse."))
      throw new MalformedLayer("it has a sparse file, which not every reader knows");
    if (decisive.includes(keyword) && (value === "" || value.includes("\0"))) {
      throw new MalformedLayer(`a pax header has an empty or broken '${keyword}'`);
    }
    records.set(keyword, value);
    at = end;
  }
  return records;
}

export function paxNumber(records: PaxRecords, keyword: string): number | undefined {
  const value = records.get(keyword);
  if (value === undefined) return undefined;
  if (!/^\d{1,16}$/.test(value)) throw new MalformedLayer(`a pax header has '${keyword}', which is not a number`);
  return Number(value);
}

/**
 * Extended attributes, as Go's tools read them: what libarchive writes besides under its own keywords says the same.
 */
export function paxAttributes(records: PaxRecords): Readonly<Record<string, string>> {
  const prefix = "SCHILY.xattr.";
  const found = [...records]
    .filter(([keyword]) => keyword.startsWith(prefix))
    .map(([keyword, value]) => [keyword.slice(prefix.length), value]);
  return Object.fromEntries(found);
}

/**
 * Records that hold for all that follows: Go's reader hands them on as an entry of their own, others put them into each
 * header. So only what decides nothing may be there (`git archive` leaves the commit as a comment).
 */
export function checkGlobalRecords(records: PaxRecords): void {
  const other = [...records.keys()].find((keyword) => !["comment", "mtime", "atime", "ctime"].includes(keyword));
  if (other !== undefined) throw new MalformedLayer(`a global pax header sets '${other}' for all that follows`);
}
