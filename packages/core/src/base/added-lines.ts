/** Files of accounts, and lists of the same kind, to which installing a package or adding a user adds lines. */
const accountFiles: ReadonlyMap<string, AccountFile> = new Map([
  ["etc/passwd", "passwd"],
  ["etc/group", "group"],
  ["etc/shadow", "secret"],
  ["etc/gshadow", "secret"],
  ["etc/subuid", "ranges"],
  ["etc/subgid", "ranges"],
  ["etc/shells", "list"],
]);
type AccountFile = "passwd" | "group" | "secret" | "ranges" | "list";

/** The copies that shadow's tools leave beside the file before they change it. */
const backup = /^(etc\/(?:passwd|group|shadow|gshadow|subuid|subgid))-$/;

/** The file that a path is a copy of, or the path itself. */
function originalOf(path: string): string {
  return backup.exec(path)?.[1] ?? path;
}

/** The file whose lines a path has: itself, or the one it is a copy of; undefined where it is neither. */
export function accountFileOf(path: string): string | undefined {
  const file = originalOf(path);
  return accountFiles.has(file) ? file : undefined;
}

/** User and group IDs are 32 bits; the last one means "none". */
const maxId = 0xfffffffe;

/**
 * Whether a file of accounts only has lines more than before, all of them harmless: every old line is there, in its
 * order, and no new one is for a name that is there already, for user or group 0 by its own number, for an old one's
 * number, or in a form that some readers take for another.
 * @param path of the file, or of its copy
 */
export function onlyAddsLines(path: string, before: Uint8Array | undefined, after: Uint8Array | undefined): boolean {
  const kind = accountFiles.get(originalOf(path));
  if (kind === undefined || before === undefined || after === undefined) return false;
  const old = linesOf(before);
  const now = linesOf(after);
  let kept = 0;
  const added: string[] = [];
  for (const line of now) {
    if (line === old[kept]) kept += 1;
    else added.push(line);
  }
  if (kept !== old.length) return false;
  const known = { names: new Set<string | undefined>(), ids: new Set<string | undefined>() };
  for (const line of old) know(known, line);
  return added.every((line) => {
    const isGood = isHarmless(kind, line, known);
    know(known, line);
    return isGood;
  });
}

function linesOf(bytes: Uint8Array): string[] {
  return Buffer.from(bytes)
    .toString("latin1")
    .split("\n")
    .filter((line) => line !== "");
}

/** Of the lines before one. */
interface Known {
  names: Set<string | undefined>;
  ids: Set<string | undefined>;
}

function know({ names, ids }: Known, line: string): void {
  const [name, , id] = line.split(":");
  names.add(name);
  ids.add(id);
}

const plainName = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/;
/** With a zero in front it is another number to some readers. */
const plainNumber = /^[1-9]\d{0,9}$/;
const fieldsOf = { passwd: 7, group: 4, ranges: 3 } as const;

function isHarmless(kind: AccountFile, line: string, { names, ids }: Known): boolean {
  if (kind === "list") return /^[#/][\x20-\x7e]*$/.test(line);
  const fields = line.split(":");
  const [name = "", , id = ""] = fields;
  if (!plainName.test(name)) return false;
  const isNew = !names.has(name);
  if (kind === "secret") return isNew;
  if (fields.length !== fieldsOf[kind]) return false;
  if (kind === "ranges") return fields.slice(1).every((field) => plainNumber.test(field));
  const isId = plainNumber.test(id) && Number(id) <= maxId;
  return isNew && isId && !ids.has(id);
}
