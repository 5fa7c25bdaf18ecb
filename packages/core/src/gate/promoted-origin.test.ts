import { type Digest, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import {
  ago,
  edited,
  environment,
  image,
  minute,
  now,
  policy,
  provenance,
  repository,
  signed,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { image as strategy } from "../build/strategies/image.ts";
import { mostRebases, type RebaseBuilder, rebase, rebasedImage } from "../build/strategies/rebase.ts";
import { buildImportStatement } from "../imports/statement.ts";
import type { LoadedPolicy, PolicyEnvironment } from "../policy/schema.ts";
import type { ProvenanceFacts } from "../signing/provenance.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { Stage } from "../stages.ts";
import type { GateFacts } from "./facts.ts";
import { judgePromotedOrigin } from "./judge-origin.ts";
import type { Lineage, LineageImage } from "./lineage.ts";
import { evidenceAbout } from "./signed-view.ts";

// Of what another environment has promoted, each build that is believed of an image of elsewhere is judged again.

const vendor = { registry: "docker.io", name: "library/redis" };
const asking = (...stages: Stage[]): PolicyEnvironment => ({
  ...environment,
  requires: stages.map((stage) => ({
    stage,
    signers: [stage],
    ...(stage === "promote" ? { environment: "staging" } : {}),
  })),
});
const { build } = policy.policy;
const loaded: LoadedPolicy = {
  ...policy,
  policy: {
    ...policy.policy,
    build: {
      ...build,
      strategies: ["buildpacks", "image"],
      sources: [...build.sources, `oci://${formatRepository(vendor)}`],
      builders: [...build.builders, { kind: "image", name: "vendors", import: { signers: ["importer"] } }],
    },
    environments: { staging: asking("build") },
  },
};

/** A build of elsewhere that rests on an import until that day, and the import. */
function imported(
  until: string,
  age: number,
  of: Digest = image,
): { build: VerifiedStatement; rests: VerifiedStatement } {
  const about = { image: { repository, digest: of, children: [] }, source: { repository: vendor, digest: of } };
  const why = { reason: "sessions", owner: "team-shop", until, importedOn: ago(600 * minute) };
  const rests = signed(buildImportStatement({ ...about, ...why, policy: loaded }), ["importer"], of);
  const built = provenance("build", {
    image: about.image,
    buildType: strategy.buildType,
    buildEnvironment: "elsewhere",
    builders: loaded.policy.build.builders.filter(({ name }) => name === "vendors"),
    source: { repository: `oci://${formatRepository(vendor)}`, commit: digestHex(of) },
    materials: [{ name: "import", repository, digest: rests.bundle.digest }],
    bases: [],
    finishedOn: ago(age * minute),
  });
  return { build: built, rests };
}
const holding = (age: number) => imported("2026-05-01", age);
const over = (age: number) => imported("2026-04-30", age);

type Import = ReturnType<typeof imported>;
function judge(
  where: PolicyEnvironment,
  given: readonly Import[],
  before: readonly Import[],
  more: VerifiedStatement[] = [],
) {
  const builds = (from: readonly Import[]) => from.map((each) => each.build);
  const statements = [...[...given, ...before].map(({ rests }) => rests), ...builds(given), ...more];
  const collected = { statements, lapsed: builds(before), rejected: [] };
  const facts: GateFacts = {
    environmentName: "production",
    environment: where,
    policy: loaded,
    now,
    place: "from",
    image: { repository, digest: image, children: [image], layers: new Map() },
    evidence: new Map([[image, collected]]),
  };
  return judgePromotedOrigin(facts, collected);
}
const rulesOf = (...given: Parameters<typeof judge>) => judge(...given).map(({ rule }) => rule);
const promoted = asking("promote");

test.each<[what: string, rules: string[], now: Import[], before: Import[]]>([
  ["one that holds", [], [holding(20)], []],
  ["one that is over", ["gate.import"], [over(20)], []],
  ["an older one that is over: a newer one holds", [], [over(30), holding(20)], []],
  ["a newer one that is over: an older one holds", ["gate.import"], [holding(30), over(20)], []],
  ["two of the same time, of which one is over", ["gate.import"], [holding(20), over(20)], []],
  ["a newer one whose signer's word has ended", ["gate.import"], [holding(20)], [over(10)]],
  ["one of the same time whose signer's word has ended", ["gate.import"], [holding(20)], [over(20)]],
  ["an older one whose signer's word has ended", [], [holding(20)], [over(30)]],
  ["a newer one whose signer's word has ended, and that holds", [], [holding(20)], [holding(10)]],
  ["an older one than the newest of two", [], [holding(40), holding(20)], [over(30)]],
])("of imports, %s", (_what, rules, given, before) => {
  expect(rulesOf(promoted, given, before)).toEqual(rules);
});

test("of one whose signer's word has ended and nothing besides, nothing is known", () => {
  expect(rulesOf(promoted, [], [holding(20)])).toEqual(["gate.builder"]);
  expect(rulesOf(promoted, [holding(20)], [])).toEqual([]);
});

test("a policy that also builds here takes images of elsewhere: what is promoted has to say which it is", () => {
  const built = provenance("build");
  expect(judge(promoted, [], [], [built])).toEqual([]);
  expect(judge(promoted, [], [])).toMatchObject([
    {
      rule: "gate.builder",
      thing: `build of ${image}`,
      problem: expect.stringContaining("where the image comes from"),
    },
  ]);
});

test("what was built here, or in a way that nobody knows, is not judged by where images of elsewhere come from", () => {
  const stranger = { name: "theirs", buildpacks: [], runImage: "golden" };
  expect(judge(promoted, [], [], [provenance("build", { builders: [stranger] })])).toEqual([]);
  expect(judge(promoted, [], [], [provenance("build", { buildType: "https://example.com/my-build/v1" })])).toEqual([]);
  expect(rulesOf(promoted, [over(20)], [], [provenance("build", { builders: [stranger] })])).toEqual(["gate.import"]);
});

test.each<[what: string, rules: string[], where: PolicyEnvironment]>([
  ["a build alone", [], asking("build")],
  ["a build before others", [], asking("build", "scan")],
  ["a build after others", [], asking("promote", "build")],
  ["no build", ["gate.import"], asking("promote", "scan")],
])("it is left to the build's own judge where an environment asks for %s", (_what, rules, where) => {
  expect(rulesOf(where, [over(20)], [])).toEqual(rules);
});

test("an environment that asks for a promotion and more does not do without the build's provenance", () => {
  expect(rulesOf(asking("scan", "promote"), [], [])).toEqual(["gate.builder"]);
  expect(rulesOf(asking("scan"), [], [])).toEqual([]);
});

test("the refusal is of the image's build, and tells the way out", () => {
  expect(judge(promoted, [over(20)], [])).toEqual([
    {
      rule: "gate.import",
      thing: `build of ${image}`,
      problem: "the import by 'importer', of oci://docker.io/library/redis, held until 2026-04-30",
      wayOut: expect.stringMatching(/\w/),
    },
  ]);
});

describe("what was rebased from an image of elsewhere", () => {
  const old = digestOf("the image that was imported");
  const rebasers: RebaseBuilder = { kind: "rebase", name: "rebases", signers: ["build"], most: 3 };
  const { builders, ...own } = loaded.policy.build;
  const taking: LoadedPolicy = {
    ...loaded,
    policy: {
      ...loaded.policy,
      build: { ...own, strategies: ["buildpacks", "image", "rebase"], builders: [...builders, rebasers] },
    },
  };
  const base = { repository: { registry: "registry.example", name: "bases/golden" }, digest: digestOf("base") };
  const rebasedFrom = (from: Digest, of: Digest) =>
    provenance("build", {
      image: { repository, digest: of, children: [] },
      buildType: rebase.buildType,
      buildEnvironment: "elsewhere",
      builders: [rebasers] as unknown as ProvenanceFacts["builders"],
      materials: [{ repository, digest: from, name: rebasedImage }],
      bases: [base],
    });
  const rebased = rebasedFrom(old, image);
  const collect = (of: Digest, ...statements: VerifiedStatement[]) =>
    new Map([[of, { statements, lapsed: [], rejected: [] }]]);
  const judgeRebased = (
    before: VerifiedStatement[] | undefined,
    { own = rebased, ...more }: Partial<GateFacts> & { own?: VerifiedStatement } = {},
  ) => {
    const seen = { repository, children: [], bases: [] };
    const lineage: Lineage = new Map<Digest, LineageImage | { problem: string }>([
      [image, { ...seen, digest: image, evidence: new Map() }],
      [
        old,
        before === undefined ? { problem: "it is gone" } : { ...seen, digest: old, evidence: collect(old, ...before) },
      ],
    ]);
    const evidence = collect(image, own);
    const facts: GateFacts = {
      ...{
        environmentName: "production",
        environment: promoted,
        policy: taking,
        now,
        place: "from",
        evidence,
        lineage,
      },
      image: { repository, digest: image, children: [image], layers: new Map() },
      ...more,
    };
    return judgePromotedOrigin(facts, evidenceAbout(facts, image)).map(({ problem }) => problem);
  };
  const importedUntil = (until: string): VerifiedStatement[] => {
    const { build: built, rests } = imported(until, 20, old);
    return [built, rests];
  };

  test("is refused where that import is over, its build is not there or it is gone, beside its twin", () => {
    expect(judgeRebased(importedUntil("2026-05-01"))).toEqual([]);
    expect(judgeRebased(importedUntil("2026-04-30"))).toEqual([
      expect.stringMatching(/of the image that was rebased: .* held until/),
    ]);
    expect(judgeRebased([])).toEqual([
      expect.stringContaining("of the image that was rebased: the build's provenance"),
    ]);
    expect(judgeRebased(undefined)).toEqual([expect.stringContaining("can't be looked at: it is gone")]);
  });

  test("is refused by what is wrong with the rebase itself, before what it was rebased from is looked at", () => {
    const over = importedUntil("2026-04-30");
    expect(judgeRebased(over, { policy: { ...taking, policy: loaded.policy } }).join("\n")).toContain(
      "the provenance names builder 'rebases'",
    );
    const nowhere = edited(
      rebased,
      ["buildDefinition", "resolvedDependencies"],
      [{ name: "run-image" }, { name: rebasedImage, uri: "pkg:oci/nowhere" }],
    );
    expect(judgeRebased(over, { own: nowhere })).toEqual(["the image that was rebased can't be looked at"]);
  });

  test("is looked for through as many rebases as a policy can take, and no more, with the way out", () => {
    /** An image that was rebased so often from one that was imported, in front of an import that holds. */
    const judgeAfter = (times: number) => {
      const chain = [image, ...Array.from({ length: times - 1 }, (_, at) => digestOf(`between ${at}`)), old];
      const told = chain.map((digest, at): [Digest, LineageImage] => {
        const next = chain[at + 1];
        const statements = next === undefined ? importedUntil("2026-05-01") : [rebasedFrom(next, digest)];
        return [digest, { repository, digest, children: [], bases: [], evidence: collect(digest, ...statements) }];
      });
      const evidence = told[0]?.[1].evidence ?? new Map();
      const facts: GateFacts = {
        ...{ environmentName: "production", environment: promoted, policy: taking, now, place: "from", evidence },
        image: { repository, digest: image, children: [image], layers: new Map() },
        lineage: new Map(told),
      };
      return judgePromotedOrigin(facts, evidenceAbout(facts, image));
    };
    expect(judgeAfter(mostRebases)).toEqual([]);
    expect(judgeAfter(mostRebases + 1)).toEqual([
      {
        rule: "gate.builder",
        thing: expect.stringMatching(/^build of sha256:/),
        problem: expect.stringMatching(
          /^(of the image that was rebased: ){10}it was rebased more than 10 times since its build$/,
        ),
        wayOut: "Keep the image that was rebased in its registry, or build again from the source (docs/rebase.md).",
      },
    ]);
    // As of one that was rebased since, of which the gate has counted.
    const after = (times: number) => ({ rebases: { times, most: mostRebases, maxAge: Number.POSITIVE_INFINITY } });
    expect(judgeRebased(importedUntil("2026-05-01"), after(mostRebases - 1))).toEqual([]);
    expect(judgeRebased(importedUntil("2026-05-01"), after(mostRebases))).toEqual([
      "it was rebased more than 10 times since its build",
    ]);
  });
});
