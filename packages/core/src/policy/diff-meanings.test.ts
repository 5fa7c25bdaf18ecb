import { describe, expect, test } from "vitest";
import { meanings } from "./diff-meanings.ts";
import { policyJsonSchema } from "./policy-schema.ts";

type Json = Record<string, unknown>;

/** Every key of the schema, as the table of meanings writes it. */
function listKeys(schema: Json, at = ""): string[] {
  const parts = ["anyOf", "oneOf", "allOf"].flatMap((each) => (schema[each] as Json[] | undefined) ?? []);
  const items = schema["items"] as Json | undefined;
  const named = schema["additionalProperties"] as Json | false | undefined;
  return [
    ...parts.flatMap((each) => listKeys(each, at)),
    ...Object.entries((schema["properties"] as Json | undefined) ?? {}).flatMap(([key, value]) => {
      const pattern = at === "" ? key : `${at}.${key}`;
      return [pattern, ...listKeys(value as Json, pattern)];
    }),
    ...(items === undefined ? [] : listKeys(items, `${at}[]`)),
    ...(typeof named === "object" ? listKeys(named, `${at}.*`) : []),
  ];
}

const keys = [...new Set(listKeys(policyJsonSchema()))];
/** They are told as a whole, or told apart where both policies say how they are. */
const wholes = ["accepts[]", "environments.*.serverSide"];

describe("the table of meanings", () => {
  test("has every key of the schema", () => {
    expect(keys.length).toBeGreaterThan(100);
    const missing = keys.filter((key) => !Object.hasOwn(meanings, key) && !wholes.some((each) => key.startsWith(each)));
    expect(missing).toEqual([]);
  });

  test("has no other", () => {
    expect(Object.keys(meanings).filter((key) => !keys.includes(key))).toEqual([]);
  });
});

describe("the table's directions, each written a second time", () => {
  const more = (direction: string): string[] =>
    Object.entries(meanings)
      .filter(([, each]) => "more" in each && each.more === direction)
      .map(([key]) => key);
  const as = (...kinds: string[]): string[] =>
    Object.entries(meanings)
      .filter(([, each]) => kinds.includes(each.as))
      .map(([key]) => key);
  const gates = ["scan.refuse", "environments.*.refuse"];

  test("more of it shuts out more", () => {
    expect(more("narrowing").toSorted()).toEqual(
      [
        ...gates,
        "bases[].approval",
        "build.builders[].approval",
        "build.builders[].provenance.level",
        "bases[].approval.score",
        "environments.*.images",
        "environments.*.requires",
        "forbiddenBases",
        "images",
        "images.mustHave",
        "rules",
        "scan.data",
        "scan.licenses",
        "scan.packages",
        "scan.reports",
        "scan.sbom",
      ].toSorted(),
    );
    const ofGates = gates.flatMap((gate) => ["types", "scopes", "origins"].map((each) => `${gate}[].${each}`));
    expect(as("demands").toSorted()).toEqual(
      [
        ...ofGates,
        "environments.*.images.refuse",
        "forbiddenBases[].digests",
        "images.refuse",
        "rules[].environments",
        "scan.licenses.refuse",
        "scan.packages[].versions",
        "scan.scanners",
      ].toSorted(),
    );
    const ofSboms = ["version", "identifier", "license", "hash", "supplier"].map((each) => `scan.sbom.${each}`);
    const ofScores = ["publisher", "updated", "open", "needless"].map((each) => `bases[].approval.score.${each}`);
    const levels = "build.builders[].provenance.level.atLeast";
    expect(as("least").toSorted()).toEqual([...ofSboms, ...ofScores, levels, "signers.*.from"].toSorted());
  });

  test("it lets nothing in and shuts nothing out", () => {
    expect(more("neither")).toEqual(["registries", "registries.hosts", "sigstore.*.tuf.root", "layers"]);
    const signing = ["fulcio", "rekor", "rekorVersion", "timestamp", "privateNames"].map(
      (each) => `sigstore.*.${each}`,
    );
    const places = ["sigstore.*.file.path", "sigstore.*.tuf.mirror", "trustStores.*.timestamp.url"];
    const roots = ["sigstore.*.tuf.root.path", "sigstore.*.tuf.root.version"];
    // By which things are told apart: with another one it is another thing.
    const names = Object.entries(meanings).flatMap(([key, each]) =>
      each.as === "list" ? each.by.map((field) => `${key}[].${field}`) : [],
    );
    const others = ["version", "name", "serial", "accepts", "registries.hosts.*.connections", "build.prefer"];
    const words = [
      "build.sources[].owner",
      "scan.packages[].reason",
      "forbiddenBases[].reason",
      "exceptions[].reason",
      "exceptions[].owner",
    ];
    const ofRules = ["rules[].message", "rules[].remedy"];
    const layers = ["layers[].serial", "layers[].digest"];
    const ways = [
      "bases[].approval.tag",
      "bases[].approval.warnBefore",
      "build.builders[].approval.tag",
      "build.builders[].languages",
      "environments.*.serverSide",
    ];
    const waves = ["", ".canaries", ".wave", ".pause"].map((each) => `build.builders[].rollout${each}`);
    expect(as("told").toSorted()).toEqual(
      [
        ...signing,
        ...places,
        ...roots,
        ...names,
        ...others,
        ...words,
        ...ofRules,
        ...layers,
        ...ways,
        ...waves,
      ].toSorted(),
    );
  });

  test("words go from what lets in least to what lets in most", () => {
    const ranks = Object.fromEntries(
      Object.entries(meanings).flatMap(([key, each]) => (each.as === "scale" ? [[key, each.values]] : [])),
    );
    const severities = ["negligible", "low", "medium", "high", "critical"];
    const ofGates = gates.flatMap((gate) => [
      [`${gate}[].severity`, [undefined, ...severities]],
      [`${gate}[].kev`, [undefined, true]],
      [`${gate}[].fixed`, [undefined, true]],
      [`${gate}[].missing`, ["refuse", "pass"]],
    ]);
    expect(ranks).toEqual({
      ...Object.fromEntries(ofGates),
      "registries.hosts.*.skipVerify": [false, true],
      "build.builders[].allowInline": [undefined, false, true],
      "forbiddenBases[].lineage": [true, false],
      "build.cache": ["none", "verified", "unverified"],
      "scan.data.kev": [true, undefined],
      "scan.failOn": severities,
      "scan.onlyFixed": [false, true],
      "scan.licenses.unknown": ["refuse", "pass"],
      "scan.vex.unmatched": ["refuse", "tell"],
      "scan.reports[].given": [undefined, "by-digest", "any"],
      "scan.reports[].undated": ["refuse", "accept"],
      "scan.reports[].required": [true, false],
      "scan.failOnlyOn": ["all", "new"],
      "scan.ownWord": ["refuse", "accept"],
      "environments.*.referrers": ["signed", "all"],
    });
  });
});
