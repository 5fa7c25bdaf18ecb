/** Files of accounts, and lists of the same kind, to which installing a package or adding a user adds lines. */
const accountFiles: Readonly<Record<string, "passwd" | "group" | "secret" | "ranges" | "list">> = {
  "etc/passwd": "passwd",
  "etc/group": "group",
  "etc/shadow": "secret",
  "etc/gshadow": "secret",
  "etc/subuid": "ranges",
  "etc/subgid": "ranges",
  "etc/shells": "list",
};

/** The copies that shadow's tools leave beside the file before they change it. */
const backup = /^(etc\/(?:passwd|group|shadow|gshadow|subuid|subgid))-$/;

/** The file whose lines a path has: itself, or the one it is a copy of; undefined where it is neither. */
export function accountFileOf(path: string): string | undefined {
  const file = backup.exec(path)?.[1] ?? path;
  return Object.hasOwn(accountFiles, file) ? file : undefined;
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
  const file = accountFileOf(path);
  const kind = file === undefined ? undefined : accountFiles[file];
  if (kind === undefined || before === undefined || after === undefined) return false;
  const old = linesOf(before);
  const now = linesOf(after);
  let kept = 0;
  const added: string[] = [];
  for (const line of now) {
    if (kept < old.length && line === old[kept]) kept += 1;
    else added.push(line);
  }
  return (
    kept === old.length && added.every((line, index) => isHarmless(kind, line, [...old, ...added.slice(0, index)]))
  );
}

function linesOf(bytes: Uint8Array): string[] {
  return Buffer.from(bytes)
    .toString("latin1")
    .split("\n")
    .filter((line) => line !== "");
}

function isHarmless(
  kind: "passwd" | "group" | "secret" | "ranges" | "list",
  line: string,
  others: readonly string[],
): boolean {
  if (kind === "list") return /^[#/][\x20-\x7e]*$/.test(line);
  const fields = line.split(":");
  const [name = "", , id = ""] = fields;
  const isWhole =
    /^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/.test(name) &&
    fields.length === { passwd: 7, group: 4, secret: 0, ranges: 3 }[kind];
  if (kind === "secret")
    return /^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/.test(name) && !others.some((other) => other.split(":")[0] === name);
  if (!isWhole) return false;
  if (kind === "ranges") return fields.slice(1).every((field) => /^[1-9]\d{0,9}$/.test(field));
  const isId = /^[1-9]\d{0,9}$/.test(id) && Number(id) <= maxId;
  return isId && !others.some((other) => other.split(":")[0] === name || other.split(":")[2] === id);
}
