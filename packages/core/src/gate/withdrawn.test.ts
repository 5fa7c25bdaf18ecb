import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  factsOf,
  finding,
  image,
  now,
  other,
  policy,
  provenance,
  repository,
  rulesOf,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { PolicyPointer, Withdrawal } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { putInForce } from "../policy/withdrawals.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { buildSubjects } from "../signing/statement.ts";
import { judgeWithdrawals } from "./withdrawn.ts";

// Another than the one that all provenance of these tests names.
const base = digestOf("a base that only the finding names");
const said = { reason: "a leaked build", owner: "security@acme.example", at: now };
const lifted = { ...said, reason: "a false alarm" };
const pointer = (withdrawals?: readonly Withdrawal[]): PolicyPointer => ({
  repositories: ["registry.example/vetted/goldenpath-policy"],
  ...{ name: "acme", serial: 7, digest: policy.digest, source: "policy.yaml", artifact: other },
  ...{ activatedAt: now, predecessors: [], withdrawals },
});
const under = (...withdrawals: Withdrawal[]): LoadedPolicy => putInForce(policy, pointer(withdrawals));

const all = whole();
const based = (predicate: object) => {
  const found = finding(predicateTypes.base, "base", [image], { ...all.base.statement.predicate, ...predicate });
  return [...without(all, "base", "baseVerdict"), found, summary("base", "base", [found])];
};
const layers = (all.base.statement.predicate["children"] as { layers: string[] }[])[0]?.layers;
const sameLayers = based({
  children: [{ digest: image, layers, base: null, sameLayers: [{ name: "twin", digest: base }] }],
});
const onBase = based({ children: [{ digest: image, layers, base: { name: "golden", digest: base } }] });

describe("the gate refuses what the platform's signer has withdrawn", () => {
  test.each<[what: string, thing: Withdrawal["thing"], statements: ReturnType<typeof based>]>([
    ["the image", { kind: "image", digest: image }, Object.values(all)],
    ["the base that the finding names", { kind: "base", digest: base }, onBase],
    ["a base of the same layers", { kind: "base", digest: base }, sameLayers],
    [
      "the base that the provenance names",
      { kind: "base", digest: other },
      [
        ...without(all, "provenance"),
        provenance("build", {
          bases: [{ repository: { registry: "registry.example", name: "bases/x" }, digest: other }],
        }),
      ],
    ],
  ])("%s, and not where that was lifted, or concerns another", (_what, thing, statements) => {
    const decide = (loaded: LoadedPolicy) => rulesOf(factsOf(statements, { policy: loaded }));
    const before = decide(under());
    expect(decide(under({ thing, ...said }))).toEqual(["gate.withdrawn", ...before]);
    expect(decide(under({ thing, ...said, lifted }))).toEqual(before);
    expect(
      decide(under({ thing: { ...thing, digest: digestOf("nobody's") } as Withdrawal["thing"], ...said })),
    ).toEqual(before);
  });

  test("with the reason and the owner, and the way out", () => {
    const loaded = under({ thing: { kind: "image", digest: image }, ...said });
    const [violation] = decideGate(factsOf(Object.values(all), { policy: loaded })).violations;
    expect(violation).toMatchObject({
      thing: image,
      problem: expect.stringContaining("by security@acme.example: a leaked build"),
      wayOut: expect.stringContaining("goldenpath withdraw --undo"),
    });
  });

  test("a child of an index, wherever the index is let through", () => {
    const loaded = under({ thing: { kind: "image", digest: other }, ...said });
    const facts = factsOf(Object.values(all), { policy: loaded });
    expect(rulesOf(facts)).toEqual([]);
    expect(rulesOf({ ...facts, image: { ...facts.image, children: [image, other] } })[0]).toBe("gate.withdrawn");
  });
});

describe("a child of an index that was withdrawn", () => {
  const index = digestOf("an index");
  const loaded = under({ thing: { kind: "image", digest: index }, ...said });
  const about = (...digests: Digest[]) =>
    Object.values(all).map((each) => ({
      ...each,
      statement: { ...each.statement, subject: buildSubjects(repository, digests) },
    }));

  test("is refused by itself, by whatever was said of it as part of the index", () => {
    expect(rulesOf(factsOf(about(index, image), { policy: loaded }))).toEqual(["gate.withdrawn"]);
    expect(rulesOf(factsOf(about(image), { policy: loaded }, [], about(index, image).slice(0, 1)))).toContain(
      "gate.withdrawn",
    );
  });

  test("and not where the other image is one that has it, or a sibling", () => {
    expect(rulesOf(factsOf(about(image, index), { policy: loaded }))).toEqual([]);
    expect(rulesOf(factsOf(about(other, image, index), { policy: loaded }))).toEqual([]);
  });
});

describe("what can't be read while something is withdrawn", () => {
  const v02 = "https://slsa.dev/provenance/v0.2";
  const of = (type: string, predicate: object, lapsed = false) => {
    const told = finding(type, "build", [image], predicate as Record<string, unknown>);
    const signed = { ...told, signers: ["build", "ci"] };
    return { statements: lapsed ? [] : [signed], lapsed: lapsed ? [signed] : [] };
  };
  const judge = (thing: Withdrawal["thing"], evidence: ReturnType<typeof of>) =>
    judgeWithdrawals({
      policy: under({ thing, ...said }),
      image: { digest: image, children: [] },
      evidence: new Map([[image, evidence]]),
    }).map(({ problem }) => problem);
  const thing: Withdrawal["thing"] = { kind: "base", digest: base };
  const [, hex = ""] = base.split(":");

  test.each<[string, string, object]>([
    ["a base finding", predicateTypes.base, {}],
    ["a provenance", predicateTypes.provenance, { buildDefinition: { resolvedDependencies: "none" } }],
    ["a provenance of version 0.2", v02, { materials: {} }],
  ])("%s is refused, as long as that is a base", (_what, type, predicate) => {
    for (const lapsed of [false, true]) {
      const unread = of(type, predicate, lapsed);
      expect(judge(thing, unread)).toEqual([
        expect.stringMatching(/^it can't be told whether .* the https:\S+ by 'build', 'ci' \(sha256:\w+\) is not as/),
      ]);
      expect(judge({ kind: "image", digest: other }, unread)).toEqual([]);
      expect(judge({ kind: "signer", name: "scan", from: now }, unread)).toEqual([]);
    }
    const loaded = under({ thing, ...said });
    const facts = { policy: loaded, image: { digest: image, children: [] } };
    const [violation] = judgeWithdrawals({ ...facts, evidence: new Map([[image, of(type, predicate)]]) });
    expect(violation).toMatchObject({ thing: image, wayOut: expect.stringContaining("build the image again") });
  });

  test.each<[string, string, object, boolean]>([
    ["a material of that base", v02, { materials: [{ uri: "x", digest: { sha256: hex } }] }, true],
    ["a material of another", v02, { materials: [{ uri: "x", digest: { sha256: "0".repeat(64) } }, {}] }, false],
    ["no materials", v02, {}, false],
    ["null for materials", v02, { materials: null }, false],
    ["no dependencies", predicateTypes.provenance, { buildDefinition: {} }, false],
    ["no base", predicateTypes.base, { children: [{ base: null }] }, false],
    ["a kind that names none", "https://example.com/other/v1", { materials: "x" }, false],
  ])("with %s it is told", (_what, type, predicate, isRefused) => {
    const problems = judge(thing, of(type, predicate));
    expect(problems).toEqual(isRefused ? [expect.stringContaining("stands on what was withdrawn")] : []);
  });
});
