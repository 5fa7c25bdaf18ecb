import { UserError } from "@goldenpath/foundation/errors";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { parsePolicy } from "./parse.ts";

type Entry = Record<string, unknown> | unknown[];

/** The sample with one of each kind of map that a policy can have. */
function fullPolicy(): Record<string, unknown> {
  const policy = parse(samplePolicyText);
  policy.registries.hosts = { "registry.test:5000": { connections: 3 } };
  policy.build.sources = [
    "https://github.com/acme/a",
    { repository: "https://github.com/acme/*", refs: ["refs/heads/main"] },
  ];
  policy.build.builders[0].kind = "buildpacks";
  policy.signers.build.kind = "key";
  policy.environments.production.serverSide = {
    product: "nexus",
    url: "https://nexus.acme.test",
    from: { key: "quarantine", prefix: "registry.test:5000/quarantine" },
    to: { key: "vetted", prefix: "registry.test:5000/vetted" },
  };
  return policy;
}

/** The lines of the refusal that name a place, without it; none where the policy is accepted. */
function problemsOf(policy: unknown): string[] {
  try {
    parsePolicy(new TextEncoder().encode(stringify(policy)), "p.yaml");
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message.split("\n").flatMap((line) => /^p\.yaml:\d+:\d+: (.*)$/.exec(line)?.[1] ?? []);
  }
}

function entryAt(policy: Entry, path: readonly (string | number)[]): Record<string, unknown> {
  return path.reduce<unknown>((value, part) => (value as Record<string | number, unknown>)[part], policy) as Record<
    string,
    unknown
  >;
}

/** Where a map with fixed keys is; the names in these are the policy's own. */
const named = new Set(["signers", "environments", "registries.hosts"]);
function listMaps(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.entries(value).flatMap(([key, each]) =>
    listMaps(each, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return Array.isArray(value) || named.has(path.join(".")) ? inner : [path, ...inner];
}

const maps = listMaps(fullPolicy());
const cases = maps.map((path): [string, readonly (string | number)[]] => [path.join(".") || "the top", path]);

test("the policy that these cases change is accepted, and has maps in lists, unions and names", () => {
  expect(problemsOf(fullPolicy())).toEqual([]);
  expect(maps.map((path) => path.join("."))).toEqual(
    expect.arrayContaining([
      "accepts.0",
      "build.sources.1",
      "signers.build",
      "build.builders.0",
      "environments.production.serverSide.to",
    ]),
  );
});

describe.each(cases)("a key that is not known in %s", (_, path) => {
  test("like no other: the keys that there are", () => {
    const policy = fullPolicy();
    entryAt(policy, path)["zzz"] = 1;
    const known = Object.keys(entryAt(fullPolicy(), path)).join("|");
    expect(problemsOf(policy)).toEqual([
      expect.stringMatching(new RegExp(`zzz: unknown key \\(known here: .*\\b(?:${known})\\b`)),
    ]);
  });

  test.each(Object.keys(entryAt(fullPolicy(), path)))("mistyped for %s: that one, and nothing of it missing", (key) => {
    const policy = fullPolicy();
    const entry = entryAt(policy, path);
    entry[`${key}x`] = entry[key];
    delete entry[key];
    // A section that is left out lets names of it stand that nothing knows.
    expect(problemsOf(policy)).toContainEqual(
      expect.stringMatching(new RegExp(`${key}x: unknown key; did you mean \`${key}\`\\?$`)),
    );
    expect(problemsOf(policy)).not.toContainEqual(expect.stringContaining("is missing"));
  });
});

describe("where a value is of one of several kinds", () => {
  const withValue = (path: readonly (string | number)[], key: string, value: unknown): string[] => {
    const policy = fullPolicy();
    entryAt(policy, path)[key] = value;
    return problemsOf(policy);
  };

  test.each([
    [
      "a mistyped word beside a duration",
      ["scan"],
      "databaseMaxAge",
      "unlimitd",
      /^scan\.databaseMaxAge: .*; did you mean `unlimited`\?$/,
    ],
    [
      "a map for a duration or a word",
      ["scan"],
      "databaseMaxAge",
      { age: "5d" },
      /^scan\.databaseMaxAge: expected a duration .*, found a map$/,
    ],
    ["a number in a list of maps", [], "accepts", [14], /^accepts\[0\]: expected a map, found 14$/],
    [
      "a kind of signer that is not known",
      ["signers", "build"],
      "kind",
      "kye",
      /^signers\.build\.kind: expected .*; did you mean `key`\?$/,
    ],
    [
      "a key of another kind",
      ["environments", "production", "serverSide"],
      "copy",
      true,
      /^environments\.production\.serverSide\.copy: unknown key \(known here: product, url, from, to\)$/,
    ],
  ] as [string, string[], string, unknown, RegExp][])("%s", (_, path, key, value, message) =>
    expect(withValue(path, key, value)).toEqual([expect.stringMatching(message)]),
  );

  test("beside them, one that is well written", () => {
    expect(withValue(["scan"], "databaseMaxAge", "unlimited")).toEqual([]);
    expect(withValue([], "accepts", "14d")).toEqual([]);
  });
});
