import {
  amd,
  arm,
  byCi,
  ci,
  ciType,
  commit,
  dependency,
  find,
  identity,
  imported,
  now,
  ofShop,
  redis,
  repository,
  rules,
  signed,
  tell,
  view,
} from "@goldenpath/testing/origin-statements";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import type { SignedStatement, SignedView } from "../build/strategies/strategy.ts";
import { clockSkew } from "../policy/day.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { findOrigin, type OriginRule } from "./judge-origin.ts";

/** The rule of the pipeline, changed. */
const rule = (name: string, more: Partial<NonNullable<OriginRule["provenance"]>> = {}): OriginRule => ({
  name,
  provenance: { signers: ["pipeline"], builders: [ci], buildTypes: [ciType], ...more },
});
const objections = (statements: readonly SignedStatement[], by: readonly OriginRule[] = rules, more = {}): string => {
  const found = findOrigin({ ...view(statements), ...more }, by);
  return "objections" in found ? found.objections.map(({ problem }) => problem).join() : "none";
};

describe("where nothing says what an image is of", () => {
  const wanted = "a provenance by 'pipeline' or a provenance by 'github' or an import by 'importer' would count";
  const absent = (digest: string, others = "") =>
    `nothing is signed about ${digest}${others} that says where it comes from (${wanted})`;
  const rejected = (
    reason: string,
    claimedPredicateType?: string,
    subject = amd,
  ): NonNullable<SignedView["rejected"]> => [
    {
      subject,
      reason,
      ...(claimedPredicateType === undefined ? {} : { claimedPredicateType }),
    },
  ];

  test("it is said whose word would count", () => {
    expect(objections([])).toBe(absent(amd));
    expect(objections([], rules, { children: [] })).toBe(absent(view([]).digest));
    expect(objections([byCi({}, "pipeline", amd)])).toBe(absent(arm, ", unlike others of the image"));
    expect(objections([], [])).toContain("(no builder of the policy takes any would count)");
  });

  test("it is said why what is there counts for nothing, of that image and those types alone", () => {
    const { provenance, vulnerabilities } = predicateTypes;
    const because = (...all: NonNullable<SignedView["rejected"]>[]) => objections([], rules, { rejected: all.flat() });
    expect(because(rejected("its key is unknown", provenance))).toBe(
      `${absent(amd)}; of what is there: its key is unknown`,
    );
    for (const type of [predicateTypes.import, "https://slsa.dev/provenance/v0.2"])
      expect(because(rejected("it is broken", type))).toBe(`${absent(amd)}; of what is there: it is broken`);
    const twice = rejected("it is broken", provenance);
    expect(because(twice, twice)).toBe(`${absent(amd)}; of what is there: it is broken`);
    expect(because(twice, rejected("it is over", provenance))).toBe(
      `${absent(amd)}; of what is there, among others: it is broken`,
    );
    for (const beside of [rejected("x"), rejected("x", vulnerabilities), rejected("x", provenance, arm)])
      expect(because(beside)).toBe(absent(amd));
  });
});

describe("whose word it is", () => {
  test("is that of any signer of a builder, by any of its names", () => {
    const several = [rule("several", { signers: ["other", "pipeline"], builders: [`${ci}/x`, ci] })];
    expect(find([byCi()])).toMatchObject({ builders: ["pipeline"] });
    expect(findOrigin(view([byCi()]), several)).toMatchObject({ builders: ["several"] });
  });

  test("is told with what would count instead", () => {
    const two = { ...byCi({ id: "https://x.example/b" }), signers: ["pipeline", "other"] };
    expect(objections([two], [rule("one", { builders: [ci, `${ci}/x`] })])).toBe(
      `the provenance by 'pipeline', 'other' is of a build by https://x.example/b, and ${ci} or ${ci}/x counts`,
    );
    const over = { ...imported({ until: "2026-04-30" }), signers: ["importer", "other"] };
    expect(objections([over])).toBe(`the import by 'importer', 'other', of ${redis}, held until 2026-04-30`);
  });

  test("is told with all that its certificate says otherwise", () => {
    const change = { sourceRepository: "https://github.com/acme/cart", sourceDigest: "e".repeat(40) };
    expect(objections([{ ...byCi(), identity: { ...identity, ...change } }])).toMatch(
      /^the provenance by 'pipeline' is not of the run that signed it: [^;]+cart[^;]*; [^;]+eeee[^;]*$/,
    );
  });

  test("is told with each level that it has not", () => {
    const level = (atLeast: number) => ({ atLeast, builders: [{ builder: ci, level: 1 }], verifiers: [] });
    const both = [rule("two", { level: level(2) }), rule("three", { level: level(3) })];
    const none = (of: number) =>
      `has no SLSA Build level of at least ${of}: the policy vouches for level 1 of its builder`;
    expect(objections([byCi()], both)).toBe(`the build of the provenance by 'pipeline' ${none(2)}; it ${none(3)}`);
  });

  test("contradicts itself by name", () => {
    const other = byCi({ dependencies: [{ ...dependency, uri: "git+https://github.com/acme/lib" }] });
    expect(objections([byCi(), other])).toBe(
      `what is signed about it contradicts itself: it is of ${repository}, and of https://github.com/acme/lib`,
    );
  });
});

describe("of several statements", () => {
  const at = (bundle: string, version: string) => ({
    ...byCi({ dependencies: [{ ...dependency, digest: { gitCommit: version } }] }),
    bundle: { digest: fakeDigest(bundle) },
  });

  test("at one time the same counts, in whatever order they are listed", () => {
    const other = "e".repeat(40);
    for (const [first, second, expected] of [
      [at("1", commit), at("2", other), commit],
      [at("2", commit), at("1", other), other],
    ] as const)
      for (const order of [
        [first, second],
        [second, first],
      ])
        expect(tell(order)).toBe(`pipeline ${repository} ${expected}`);
  });

  test("about each child, those builders take the image that take all of them", () => {
    const by = [rule("one", { signers: ["p1"] }), rule("both", { signers: ["p1", "p2"] })];
    const children = [byCi({}, "p1", amd), byCi({}, "p2", arm)];
    expect(findOrigin(view(children), by)).toMatchObject({ builders: ["both"] });
    expect(objections(children, [rule("one", { signers: ["p1"] }), rule("two", { signers: ["p2"] })])).toBe(
      "no builder of the policy takes all of its children",
    );
  });

  test("a child of another ref is of another version", () => {
    const topic = { dependencies: [{ ...dependency, uri: `git+${repository}@refs/heads/topic` }] };
    expect(tell([byCi({}, "pipeline", amd), byCi(topic, "pipeline", arm)])).toContain("different versions");
    expect(tell([byCi({}, "pipeline", amd), byCi({}, "pipeline", arm)])).toBe(ofShop("pipeline"));
  });
});

describe("an import", () => {
  test("is what its image rests on", () => {
    const statement = imported();
    expect(find([statement])).toMatchObject({ rests: [{ kind: "import", bundle: statement.bundle.digest }] });
  });

  test("is of an image by its SHA-256", () => {
    const source = { uri: redis, digest: { sha512: "a".repeat(128) } };
    expect(objections([imported({ source })])).toBe(
      "the import by 'importer' names its image by another digest than SHA-256",
    );
  });

  test("may be as far ahead as clocks may differ, and no further", () => {
    const ahead = (more: number) => ({ importedOn: new Date(now.getTime() + clockSkew + more).toISOString() });
    expect(objections([imported(ahead(0))])).toBe("none");
    expect(objections([imported(ahead(1))])).toContain("which is in the future");
  });

  test("counts by an importer alone, whoever else the policy names", () => {
    expect(objections([signed(predicateTypes.import, {}, "pipeline")])).toContain("nothing is signed about");
  });
});
