import { suggestWord } from "../policy/suggest.ts";

export type TomlTable = Readonly<Record<string, unknown>>;
export type SchemaVersion = "0.1" | "0.2" | "0.3";

/**
 * Which keys a table may have: `null` for what is not looked into, a tree for a table, and for each table of a list.
 */
interface KeyTree {
  readonly [key: string]: KeyTree | null;
}

const variable = { name: null, value: null };
const buildpack = { id: null, version: null, uri: null, script: { api: null, inline: null, shell: null } };
const around = { pre: { group: buildpack }, post: { group: buildpack } };
const described = {
  id: null,
  name: null,
  version: null,
  authors: null,
  licenses: null,
  "documentation-url": null,
  "source-url": null,
};

/** Keys of each schema, as the specification and pack's `pkg/project` have them. */
const keysOf: Readonly<Record<SchemaVersion, KeyTree>> = {
  "0.1": {
    _: { "schema-version": null },
    project: described,
    build: { include: null, exclude: null, buildpacks: buildpack, builder: null, ...around, env: variable },
    metadata: null,
  },
  "0.2": {
    _: { "schema-version": null, ...described, metadata: null },
    io: {
      buildpacks: {
        ...{ include: null, exclude: null, group: buildpack, builder: null, ...around },
        build: { env: variable },
        // An early mistake in pack that it still reads: https://github.com/buildpacks/pack/pull/1479
        env: { build: variable },
      },
    },
  },
  "0.3": {
    _: { "schema-version": null, ...described, metadata: null },
    io: {
      buildpacks: {
        ...{ include: null, exclude: null, group: buildpack, builder: null, ...around },
        build: { env: { ...variable, "exec-env": null } },
      },
    },
  },
};

/**
 * What the application decides: a key that was meant to be one of these, and is none, leaves a file or a setting
 * otherwise than somebody asked.
 */
const deciding = ["include", "exclude", "env"];
const newest = "0.2";

/** A key that the file has and its schema has not. */
export interface StrangeKey {
  /** Dotted, as TOML writes it. */
  key: string;
  /** It would decide which files are built, or with which variables. */
  decides: boolean;
  /** What was most likely meant, as a sentence. */
  advice: string;
}

/**
 * Go's TOML decoder takes `Exclude` for `exclude` where the exact key is not there, and so does pack. The same for
 * every key of the schema, so that what is read and what is reported as strange come from one look.
 */
export function foldKeys(table: TomlTable, version: SchemaVersion): TomlTable {
  return fold(table, keysOf[version]) as TomlTable;
}

function fold(value: unknown, tree: KeyTree): unknown {
  if (Array.isArray(value)) return value.map((each) => fold(each, tree));
  if (!isTable(value)) return value;
  const known = Object.keys(tree);
  const folded: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const name =
      key in tree ? key : (known.find((each) => each === key.toLowerCase() && !Object.hasOwn(value, each)) ?? key);
    const next = Object.hasOwn(tree, name) ? tree[name] : null;
    define(folded, name, next === null || next === undefined ? inner : fold(inner, next));
  }
  return folded;
}

/** `__proto__` is a key like any other. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/**
 * Keys that the schema version does not have, in the tables that are the project descriptor's: pure. Tables of other
 * tools (`[tool]`, `[com.example]`) may be there by the specification and are not looked at, unless their name is
 * nearly one of the descriptor's.
 * @param table what {@link foldKeys} gave
 */
export function findStrangeKeys(table: TomlTable, version: SchemaVersion): StrangeKey[] {
  return Object.entries(table).flatMap(([key, value]) => {
    const tree = keysOf[version];
    if (Object.hasOwn(tree, key))
      return key === "io" ? ofVendors(value, version) : strangersIn(value, tree[key] ?? null, key, version);
    if (key.toLowerCase() === "io")
      return otherSchema(value, { buildpacks: keysOf["0.2"]["io"]?.["buildpacks"] ?? null }, "io");
    if (key.toLowerCase() === "build") return otherSchema(value, keysOf["0.1"]["build"] ?? {}, "build");
    // One letter is near to anything of two.
    const meant = key.length < 3 ? undefined : suggestWord(key, [...deciding, "build", "buildpacks", "project"]);
    if (meant === undefined || key === "project") return [];
    return [strange(key, value, placeOf(version))];
  });
}

/** Under `io` other organisations have their own tables. */
function ofVendors(value: unknown, version: SchemaVersion): StrangeKey[] {
  if (!isTable(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = `io.${dotted(key)}`;
    if (key === "buildpacks") return strangersIn(inner, keysOf[version]["io"]?.["buildpacks"] ?? null, path, version);
    return suggestWord(key, ["buildpacks", "buildpack", ...deciding]) === undefined
      ? []
      : [strange(path, inner, placeOf(version))];
  });
}

function strangersIn(value: unknown, tree: KeyTree | null, path: string, version: SchemaVersion): StrangeKey[] {
  if (tree === null) return [];
  if (Array.isArray(value)) return value.flatMap((each) => strangersIn(each, tree, path, version));
  if (!isTable(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = `${path}.${dotted(key)}`;
    if (Object.hasOwn(tree, key)) return strangersIn(inner, tree[key] ?? null, here, version);
    const meant = suggestWord(key, Object.keys(tree));
    const advice =
      meant === undefined ? `There is no such key there. ${placeOf(version)}` : `Did you mean '${path}.${meant}'?`;
    return [strange(here, inner, advice, meant)];
  });
}

/**
 * The tables of the other schema: only its own keys, since anybody may have a table of this name for something else.
 */
function otherSchema(value: unknown, tree: KeyTree, path: string): StrangeKey[] {
  if (!isTable(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const name = Object.keys(tree).find((each) => each === key.toLowerCase());
    if (name === undefined) return [];
    const here = `${path}.${name}`;
    if (here === "io.buildpacks")
      return isTable(inner) ? Object.entries(inner).map(([each, of]) => other(`${here}.${dotted(each)}`, of)) : [];
    return [other(here, inner)];
  });
}

function other(key: string, value: unknown): StrangeKey {
  const advice = key.startsWith("io.")
    ? `It is of schema ${newest}: write [_] with schema-version = "${newest}" at the top of the file.`
    : `It is of schema 0.1: write it under [io.buildpacks], or leave [_] schema-version out.`;
  return { key, decides: decides(key, value), advice };
}

function strange(key: string, value: unknown, advice: string, meant?: string): StrangeKey {
  return { key, decides: (meant !== undefined && decides(meant, value)) || decides(key, value), advice };
}

function placeOf(version: SchemaVersion): string {
  return version === "0.1"
    ? "Schema 0.1 has include, exclude and env under [build]."
    : `Schema ${version} has include and exclude under [io.buildpacks], and [[io.buildpacks.build.env]].`;
}

/** Is one of the deciding words, or nearly one, the last of a dotted key or a key of what is below it? */
function decides(key: string, value: unknown): boolean {
  const last = key.slice(key.lastIndexOf(".") + 1).replaceAll('"', "");
  // A misspelt [_] or schema-version makes the whole file one of another schema.
  if (suggestWord(last, [...deciding, "excludes", "includes", "envs", "schema-version"]) !== undefined) return true;
  if (Array.isArray(value)) return value.some((each) => isTable(each) && decidesWithin(each));
  return isTable(value) && decidesWithin(value);
}

function decidesWithin(table: TomlTable): boolean {
  return Object.entries(table).some(([key, value]) => decides(key, value));
}

function dotted(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
}

export function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
