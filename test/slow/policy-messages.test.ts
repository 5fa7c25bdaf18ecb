import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { UserError } from "@goldenpath/foundation/errors";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";

// What is said of each key of a policy where something else stands there: as a snapshot, which is to be read.

const root = join(import.meta.dirname, "../..");
const [, example = ""] =
  /<!-- example -->\n```yaml\n([\s\S]*?)\n```/.exec(readFileSync(join(root, "docs/policy.md"), "utf8")) ?? [];

type Path = readonly (string | number)[];

/** Every key of the documented example, once: of entries of a list that are alike, those of the first. */
function listPaths(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, each]) =>
    listPaths(each, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? below : [path, ...below];
}

/** With names and places of a list left out, as a reader would call it. */
function nameOf(path: Path): string {
  const named = new Set(["signers", "environments", "sigstore", "trustStores", "hosts"]);
  return path
    .map((part, at) => (typeof part === "number" ? "[]" : named.has(String(path[at - 1])) && at <= 2 ? "NAME" : part))
    .join(".")
    .replaceAll(".[]", "[]");
}

function messagesOf(
  path: Path,
  change: (parent: Record<string | number, unknown>, key: string | number) => void,
): string[] {
  const policy = parse(example);
  const parent = path.slice(0, -1).reduce((at, part) => at[part], policy);
  change(parent, path.at(-1) ?? "");
  try {
    parsePolicy(new TextEncoder().encode(stringify(policy, { aliasDuplicateObjects: false })), "p.yaml");
    return ["is let be"];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [first, ...more] = error.message
      .split("\n")
      .flatMap((line) => /^p\.yaml:\d+:\d+: (.*)$/.exec(line)?.[1] ?? []);
    return [`${first ?? error.message}${more.length === 0 ? "" : ` (and ${more.length} more)`}`];
  }
}

const wrongs: readonly [name: string, value: unknown][] = [
  ["a number", -1.5],
  ["text", "? ?"],
  ["a list", [[]]],
  ["a map", { zzz: 1 }],
  ["nothing", null],
];

test("each key says what is wrong of it, and where", async () => {
  const told = new Map<string, string>();
  for (const path of listPaths(parse(example))) {
    const name = nameOf(path);
    if (told.has(name)) continue;
    const lines = wrongs.map(([what, value]) => {
      const messages = messagesOf(path, (parent, key) => {
        parent[key] = value;
      });
      return `  ${what}: ${messages.join("\n    ")}`;
    });
    const absent = messagesOf(path, (parent, key) => {
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete parent[key];
    });
    told.set(name, [name, ...lines, `  left out: ${absent.join("\n    ")}`].join("\n"));
  }
  expect(told.size).toBeGreaterThan(150);
  const text = `${[...told.values()].join("\n")}\n`;
  // A message that is the library's own names no kind that a reader of YAML knows.
  expect(text.split("\n").filter((line) => /Invalid |undefined|\[object|NaN/.test(line))).toEqual([]);
  await expect(text).toMatchFileSnapshot(join(root, "test/fixtures/policy-messages.txt"));
}, 300_000);
