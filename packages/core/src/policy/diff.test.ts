import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { type DiffedPolicy, diffPolicies, type PolicyChange } from "./diff.ts";
import { parsePolicy } from "./parse.ts";
import type { Policy } from "./schema.ts";

type Json = Record<string, unknown>;
type Path = (string | number)[];

function load(text: string): DiffedPolicy {
  const bytes = new TextEncoder().encode(text);
  return { policy: parsePolicy(bytes, "p.yaml"), digest: digestOf(text) };
}

const full = load(
  /<!-- example -->\n```yaml\n([\s\S]*?)\n```/.exec(
    readFileSync(join(import.meta.dirname, "../../../../docs/policy.md"), "utf8"),
  )?.[1] ?? "",
);

/** Of every value in the policy, and of each thing in a list, where it is. */
function listPlaces(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null || value instanceof Date) return [path];
  const inner = Object.entries(value).flatMap(([key, each]) =>
    listPlaces(each, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? inner : [path, ...inner];
}

function change(
  policy: Policy,
  path: Path,
  edit: (holder: Record<string | number, unknown>, key: string | number) => void,
) {
  const copy = structuredClone(policy);
  const holder = path.slice(0, -1).reduce<unknown>((at, part) => (at as Record<string | number, unknown>)[part], copy);
  edit(holder as Record<string | number, unknown>, path.at(-1) ?? "");
  return { policy: copy, digest: digestOf(JSON.stringify(copy)) };
}

const isOfSigner = (path: Path): boolean => path.includes("instance") || path.includes("store");
/** A policy that was read has these, whatever its file has. */
const always = ["accepts", "signers", "build", "build.sources", "build.builders"];
const places = listPlaces(full.policy).filter((path) => !isOfSigner(path) && !always.includes(path.join(".")));
const told = places.map((path): [string, Path] => [path.join("."), path]);
const remove = (holder: Record<string | number, unknown>, key: string | number): void => {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
};

describe("no change of the complete example is silent", () => {
  test.each(told)("%s, with another value", (_name, path) => {
    const other = change(full.policy, path, (holder, key) => {
      const value = holder[key];
      if (typeof value === "number") holder[key] = value + 60_000;
      else if (typeof value === "boolean") holder[key] = !value;
      else if (value instanceof Date) holder[key] = new Date(value.getTime() + 1000);
      else if (typeof value === "string") holder[key] = `${value}x`;
      else remove(holder, key);
    });
    expect(diffPolicies(full, other)).not.toEqual([]);
  });

  test.each(told.filter(([, [root]]) => root !== "serial" && root !== "accepts" && root !== "version"))(
    "%s, taken out: what it lets in or shuts out the other way round is the opposite",
    (_name, path) => {
      const other = change(full.policy, path, remove);
      const [there, back] = [diffPolicies(full, other), diffPolicies(other, full)];
      const count = (changes: readonly PolicyChange[], direction: string): number =>
        changes.filter((each) => each.direction === direction).length;
      expect(there).not.toEqual([]);
      // Without these a rule is none: nobody can tell what another one would be.
      const isOfRule = path[0] === "rules" && ["stage", "expression"].includes(String(path[2]));
      expect(count(there, "unknown")).toBe(isOfRule ? 1 : 0);
      expect(count(back, "narrowing")).toBe(count(there, "widening"));
      expect(count(back, "widening")).toBe(count(there, "narrowing"));
    },
  );

  test("a key that nobody knows is told, at its place", () => {
    for (const path of [["brandNew"], ["scan", "brandNew"], ["environments", "production", "brandNew"]]) {
      const other = change(full.policy, path, (holder, key) => {
        holder[key] = "x";
      });
      expect(diffPolicies(full, other).filter(({ key }) => key === path.join("."))).toEqual([
        {
          direction: "unknown",
          key: path.join("."),
          path,
          says: "changed, and what it means is not known here",
        },
      ]);
    }
  });
});

/** Of the sample: an edit of what was written → directions and sentences, but for the serial's. */
function tellEdit(edit: (policy: Json) => void, base: (policy: Json) => void = () => {}): string[] {
  const older = parse(samplePolicyText) as Json;
  base(older);
  const newer = structuredClone(older);
  edit(newer);
  return diffPolicies(load(stringify(older)), load(stringify(newer)))
    .filter(({ key }) => key !== "serial")
    .map(({ direction, key, says }) => `${direction} ${key}: ${says}`);
}

// biome-ignore lint/suspicious/noExplicitAny: what was written is edited where it is known to be
type Written = any;

describe("what is widening, and the same the other way round", () => {
  test.each<[string, (policy: Written) => void, (policy: Written) => void, RegExp]>([
    ["a threshold", (p) => (p.scan.failOn = "medium"), (p) => (p.scan.failOn = "critical"), /^scan.failOn: .*critical/],
    [
      "no maximum age",
      (p) => (p.environments.production.requires[0].maxAge = "7d"),
      (p) => delete p.environments.production.requires[0].maxAge,
      /maxAge: .*no limit/,
    ],
    ["older data", (p) => (p.scan.databaseMaxAge = "5d"), (p) => (p.scan.databaseMaxAge = "unlimited"), /unlimited/],
    [
      "a gate gone",
      (p) => (p.scan.refuse = [{ name: "known", kev: true }]),
      (p) => delete p.scan.refuse,
      /scan.refuse\[known\]: no more/,
    ],
    [
      "one more condition",
      (p) => (p.scan.refuse = [{ name: "known", kev: true }]),
      (p) => (p.scan.refuse[0].fixed = true),
      /fixed/,
    ],
    [
      "a base for longer",
      (p) => (p.bases[0].until = "2030-01-01"),
      (p) => (p.bases[0].until = "2031-01-01"),
      /bases\[.*\]\.until: .*2031/,
    ],
    [
      "another repository to come from",
      () => {},
      (p) => p.environments.production.from.push("elsewhere.test"),
      /from: .*elsewhere/,
    ],
    [
      "a switch",
      (p) => (p.registries.hosts = { "r.test": {} }),
      (p) => (p.registries.hosts["r.test"].skipVerify = true),
      /skipVerify/,
    ],
    [
      "a source's refs gone",
      (p) => (p.build.sources = [{ repository: "https://github.com/a/b", refs: ["refs/heads/main"] }]),
      (p) => delete p.build.sources[0].refs,
      /refs: .*anything/,
    ],
    [
      "an exception",
      (p) => (p.exceptions = []),
      (p) =>
        p.exceptions.push({
          rule: "scan.severity",
          vulnerability: "CVE-2026-1",
          reason: "r",
          owner: "o",
          expires: "2027-01-01",
        }),
      /exceptions\[.*CVE-2026-1\]: new: .*until 2027-01-01/,
    ],
    [
      "a stage that is not required",
      (p) => p.environments.production.requires.push({ stage: "scan", signers: ["build"] }),
      (p) => p.environments.production.requires.pop(),
      /requires.*no more/,
    ],
  ])("%s", (_name, base, edit, says) => {
    const there = tellEdit(edit, base);
    expect(there).toEqual([expect.stringMatching(/^widening /)]);
    expect(there[0]?.replace(/^widening /, "")).toMatch(says);
    const older = parse(samplePolicyText) as Json;
    base(older);
    const newer = structuredClone(older);
    edit(newer);
    const back = diffPolicies(load(stringify(newer)), load(stringify(older))).filter(({ key }) => key !== "serial");
    expect(back).toMatchObject([{ direction: "narrowing" }]);
  });

  test("another key lets in one and shuts out the other", () => {
    const other = parse(samplePolicyText) as Written;
    const names = Object.keys(other.signers);
    const [first = "", second = ""] = names;
    const swapped = structuredClone(other);
    [swapped.signers[first], swapped.signers[second]] = [other.signers[second], other.signers[first]];
    const changes = diffPolicies(load(stringify(other)), load(stringify(swapped)));
    for (const name of [first, second])
      expect(changes.filter(({ key }) => key.startsWith(`signers.${name}.`)).map(({ direction }) => direction)).toEqual(
        ["widening", "narrowing"],
      );
  });

  test.each<[string, object, string[]]>([
    ["a ref of pull requests", { refs: ["refs/pull/*/merge"] }, ["narrowing", "widening"]],
    ["any ref of three parts", { refs: ["refs/*/main"] }, ["narrowing", "widening"]],
    ["a branch", { refs: ["refs/heads/main"] }, ["narrowing"]],
    ["an event of strangers", { events: ["push", "workflow_run"] }, ["narrowing", "widening"]],
    ["an event of its own", { events: ["push"] }, ["narrowing"]],
  ])("%s, where nothing was named before", (_name, named, directions) => {
    const base = (p: Written): void => {
      p.build.sources = ["https://github.com/a/b"];
    };
    const edit = (p: Written): void => {
      p.build.sources = [{ repository: "https://github.com/a/b", ...named }];
    };
    expect(tellEdit(edit, base).map((each) => each.split(" ")[0])).toEqual(directions);
  });

  test("an exception for a gate is not the one for a package of that name", () => {
    const exception = {
      rule: "scan.gate",
      vulnerability: "CVE-2026-1",
      reason: "r",
      owner: "o",
      expires: "2027-01-01",
    };
    const base = (p: Written): void => {
      p.exceptions = [{ ...exception, package: "known" }];
    };
    const edit = (p: Written): void => {
      p.exceptions = [{ ...exception, gate: "known" }];
    };
    expect(tellEdit(edit, base).map((each) => each.split(" ")[0])).toEqual(["widening", "narrowing"]);
  });

  test("of two sources of one repository the one that is gone is told, and nothing of the other", () => {
    const source = { repository: "https://github.com/a/b", refs: ["refs/heads/main"] };
    const base = (p: Written): void => {
      p.build.sources = [source, { ...source, refs: ["refs/tags/*"] }];
    };
    const edit = (p: Written): void => {
      p.build.sources.shift();
    };
    expect(tellEdit(edit, base)).toEqual([expect.stringMatching(/^narrowing build\.sources\[.*no more/)]);
  });

  test("what lies below a repository that was there lets in nothing", () => {
    const below = (p: Written): void => {
      p.environments.production.from.push(`${p.environments.production.from[0]}/below`);
    };
    expect(tellEdit(below)).toEqual([expect.stringMatching(/^neither /)]);
    const beside = (p: Written): void => {
      p.environments.production.from.push(`${p.environments.production.from[0]}below`);
    };
    expect(tellEdit(beside)).toEqual([expect.stringMatching(/^widening /)]);
  });
});

test("a scan section where there was none lets images be scanned, whatever it refuses", () => {
  const remove = (p: Json): void => {
    for (const each of ["scan", "exceptions"]) delete p[each];
  };
  const add = (p: Json): void => {
    p["scan"] = { failOn: "negligible", ownWord: "refuse" };
  };
  expect(tellEdit(add, remove)).toEqual(["widening scan: new: images can be scanned, and pass a scan"]);
  const all = (p: Json): void => {
    remove(p);
    add(p);
  };
  expect(tellEdit(remove, all)).toEqual(["narrowing scan: no more: images can be scanned, and pass a scan"]);
});

test("how it is written changes nothing", () => {
  expect(
    tellEdit((p) => (p["signers"] = Object.fromEntries(Object.entries(p["signers"] as Json).toReversed()))),
  ).toEqual([]);
  expect(diffPolicies(full, full)).toEqual([]);
});

describe("whose evidence still counts, by serial and accepts", () => {
  const older = load(stringify({ ...parse(samplePolicyText), accepts: [] }));
  const { serial } = older.policy;
  const next = (accepts: unknown): PolicyChange[] =>
    diffPolicies(older, load(stringify({ ...parse(samplePolicyText), serial: serial + 1, accepts })));

  test.each<[string, unknown, string[]]>([
    ["nobody's before", [], ["neither serial", "narrowing serial"]],
    ["the one before", [{ serial, digest: older.digest }], ["neither serial", "neither accepts"]],
    [
      "another by its serial",
      [{ serial, digest: digestOf("x") }],
      ["neither serial", "narrowing serial", "widening accepts"],
    ],
    ["a time", "14d", ["neither serial", "neither accepts", "widening accepts"]],
  ])("%s", (_name, accepts, expected) => {
    expect(next(accepts).map(({ direction, key }) => `${direction} ${key}`)).toEqual(expected);
  });

  test("the same serial for another content is told", () => {
    const other = load(`${stringify({ ...parse(samplePolicyText), accepts: [] })}\n# changed\n`);
    expect(diffPolicies(older, other)).toMatchObject([{ direction: "neither", key: "serial" }]);
  });
});
