import { type Digest, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  environment,
  factsOf,
  finding,
  image,
  now,
  other,
  policy,
  provenance,
  signed,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Withdrawal } from "../policy/pointer-facts.ts";
import { putInForce } from "../policy/withdrawals.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { GateFacts } from "./facts.ts";
import { judgeWithdrawals } from "./withdrawn.ts";

// Which image a withdrawal is about is read from what is signed, whatever shape that has.

const base = digestOf("a base that was withdrawn");
const sound = digestOf("a base that was not");
const said = { reason: "a leaked key", owner: "security@acme.example", at: now };
const withdrawn = (...things: Withdrawal["thing"][]) =>
  putInForce(policy, {
    repositories: ["registry.example/vetted/goldenpath-policy"],
    ...{ name: "acme", serial: 7, digest: policy.digest, source: "policy.yaml", artifact: other },
    ...{ activatedAt: now, predecessors: [], withdrawals: things.map((thing) => ({ thing, ...said })) },
  });
const judge = (statements: VerifiedStatement[], ...things: Withdrawal["thing"][]) =>
  judgeWithdrawals(factsOf(statements, { policy: withdrawn(...things) })).map(({ thing }) => thing);
const onBase = (statements: VerifiedStatement[]) => judge(statements, { kind: "base", digest: base });

const found = (predicate: object, type: string = predicateTypes.base) =>
  finding(type, "base", [image], predicate as Record<string, unknown>);
const built = (resolvedDependencies: unknown) => {
  const { statement } = provenance("build");
  return signed({ ...statement, predicate: { buildDefinition: { resolvedDependencies } } }, ["build"]);
};
const v02 = "https://slsa.dev/provenance/v0.2";
const named = (digest: Digest) => ({ digest: { sha256: digestHex(digest) } });

describe("an image stands on a base that was withdrawn", () => {
  test.each<[what: string, statement: (digest: Digest) => VerifiedStatement]>([
    [
      "one child of several, of a finding",
      (digest) =>
        found({
          children: [
            { digest: other, base: { digest: sound } },
            { digest: image, base: { digest } },
          ],
        }),
    ],
    ["one of several things that a provenance names", (digest) => built([named(sound), named(digest)])],
    [
      "what a provenance names by two algorithms",
      (digest) => built([{ digest: { sha512: "a".repeat(128), sha256: digestHex(digest) } }]),
    ],
    [
      "a material of a provenance of version 0.2",
      (digest) =>
        signed({ ...built([]).statement, predicateType: v02, predicate: { materials: [named(digest)] } }, ["x"]),
    ],
  ])("by %s", (_what, statement) => {
    expect(onBase([statement(base)])).toEqual([image]);
    expect(onBase([statement(sound)])).toEqual([]);
  });

  test("by what a finding or a provenance says, and by nothing else of the same words", () => {
    expect(onBase([found({ children: [{ base: { digest: base } }] })])).toEqual([image]);
    expect(onBase([found({ children: [{ base: { digest: base } }] }, predicateTypes.cyclonedx)])).toEqual([]);
    const { statement } = built([named(base)]);
    expect(onBase([signed(statement, ["build"])])).toEqual([image]);
    expect(onBase([signed({ ...statement, predicateType: predicateTypes.cyclonedx }, ["build"])])).toEqual([]);
  });
});

describe("what can't be read of what it stands on may be of what was withdrawn, and is refused while a base is", () => {
  const all = whole();
  const place = { policy: withdrawn({ kind: "base", digest: base }) };
  const rulesOf = (statements: VerifiedStatement[]) =>
    decideGate(factsOf(statements, place)).violations.map(({ rule }) => rule);

  test.each<[what: string, predicate: object]>([
    ["no children", {}],
    ["children that are no list", { children: { digest: image } }],
    ["a base without a digest", { children: [{ digest: image, base: { name: "golden" } }] }],
    ["a base of the same layers without a digest", { children: [{ digest: image, base: null, sameLayers: [{}] }] }],
  ])("a finding with %s", (_what, predicate) => {
    const wrong = found(predicate);
    expect(onBase([wrong])).toEqual([image]);
    // Of an image, and of a signer, that were withdrawn it tells nothing, and nothing is asked.
    expect(judge([wrong], { kind: "image", digest: other }, { kind: "signer", name: "scan", from: now })).toEqual([]);
    const statements = [...without(all, "base", "baseVerdict"), wrong, summary("base", "base", [wrong])];
    expect(rulesOf(statements)).toEqual(expect.arrayContaining(["gate.layers", "gate.withdrawn"]));
    expect(rulesOf(Object.values(all))).toEqual([]);
    // Where the environment asks for no base, nobody else would have looked at it.
    const unasked = { ...environment, requires: environment.requires.filter(({ stage }) => stage !== "base") };
    const judged = (under: GateFacts["policy"]) =>
      decideGate(factsOf(statements, { policy: under, environment: unasked })).violations.map(({ rule }) => rule);
    expect(judged(place.policy)).toEqual(["gate.withdrawn"]);
    expect(judged(policy)).toEqual([]);
  });

  test.each<[what: string, predicate: Record<string, unknown>]>([
    ["no build", {}],
    ["dependencies that are no list", { buildDefinition: { resolvedDependencies: "none" } }],
    ["a dependency of no digest's shape", { buildDefinition: { resolvedDependencies: [{ digest: null }] } }],
  ])("a provenance with %s", (_what, predicate) => {
    const wrong = signed({ ...all.provenance.statement, predicate }, ["build"]);
    expect(onBase([wrong])).toEqual([image]);
    expect(rulesOf([...without(all, "provenance"), wrong])).toEqual(
      expect.arrayContaining(["gate.malformed", "gate.withdrawn"]),
    );
  });

  test("the refusal says which statement can't be read", () => {
    const wrong = found({});
    const facts = factsOf([wrong], { policy: withdrawn({ kind: "base", digest: base }) });
    expect(judgeWithdrawals(facts).map(({ problem }) => problem)).toEqual([
      `it can't be told whether the image stands on what was withdrawn on 2026-05-01T12:00:00.000Z by security@acme.example (base ${base}): the ${predicateTypes.base} by 'base' (${wrong.bundle.digest}) is not as that is written`,
    ]);
  });

  test("a provenance of version 0.2 whose materials are no list, and not one that names none", () => {
    const of = (predicate: Record<string, unknown>) =>
      onBase([signed({ ...all.provenance.statement, predicateType: v02, predicate }, ["build"])]);
    expect(of({ materials: {} })).toEqual([image]);
    expect(of({ materials: null })).toEqual([]);
    expect(of({})).toEqual([]);
  });

  test("a build that names no dependencies, as SLSA lets it", () => {
    expect(onBase([signed({ ...all.provenance.statement, predicate: { buildDefinition: {} } }, ["build"])])).toEqual(
      [],
    );
  });

  test("a dependency of which no digest is said", () => {
    expect(onBase([built([{ uri: "x:y" }, { digest: {} }])])).toEqual([]);
    expect(onBase([built([{ uri: "x:y" }, { digest: {} }, named(base)])])).toEqual([image]);
  });

  test("a statement that is of no image at all", () => {
    const { statement } = all.sbom;
    const thing = { kind: "image", digest: base } as const;
    expect(judge([signed({ ...statement, subject: [] }, ["build"])], thing)).toEqual([]);
    const [subject] = statement.subject;
    const root = { name: subject?.name ?? "", digest: { sha256: digestHex(base) } };
    expect(judge([signed({ ...statement, subject: [root] }, ["build"])], thing)).toEqual([image]);
  });
});

test("a signer that was withdrawn is no base that nobody names", () => {
  const nameless = found({ children: [{ digest: image, base: null }] });
  expect(judge([nameless, built([{}])], { kind: "signer", name: "scan", from: now })).toEqual([]);
});

test("of an image about which nothing was collected nothing is told, and others are refused by what was", () => {
  const facts = factsOf([found({ children: [{ base: { digest: base } }] })], {
    image: { children: [other, image] },
    policy: withdrawn({ kind: "base", digest: base }, { kind: "image", digest: base }),
  });
  expect(judgeWithdrawals(facts).map(({ thing }) => thing)).toEqual([image]);
  expect(judgeWithdrawals({ ...facts, evidence: new Map() })).toEqual([]);
});

test("what has ended since still tells what the image stands on", () => {
  const lapsed = [found({ children: [{ base: { digest: base } }] })];
  const facts = factsOf([], { policy: withdrawn({ kind: "base", digest: base }) }, [], lapsed);
  expect(judgeWithdrawals(facts).map(({ thing }) => thing)).toEqual([image]);
  expect(judgeWithdrawals({ ...facts, policy: withdrawn({ kind: "base", digest: sound }) })).toEqual([]);
});

test("nothing is withdrawn where no policy is in force, or none of it was", () => {
  const facts = factsOf([], { environment, policy });
  expect(judgeWithdrawals(facts)).toEqual([]);
  expect(judgeWithdrawals({ ...facts, policy: withdrawn() })).toEqual([]);
  expect(judgeWithdrawals({ ...facts, policy: withdrawn({ kind: "image", digest: image }) })).toHaveLength(1);
});

test("the refusal says whether the image itself was withdrawn, or what it stands on", () => {
  const problemOf = (thing: Withdrawal["thing"]) =>
    judgeWithdrawals(factsOf([found({ children: [{ base: { digest: base } }] })], { policy: withdrawn(thing) })).map(
      ({ problem }) => problem,
    );
  expect(problemOf({ kind: "image", digest: image })).toEqual([
    `the image was withdrawn on 2026-05-01T12:00:00.000Z by security@acme.example: a leaked key (image ${image})`,
  ]);
  expect(problemOf({ kind: "base", digest: base })).toEqual([
    `the image stands on what was withdrawn on 2026-05-01T12:00:00.000Z by security@acme.example: a leaked key (base ${base})`,
  ]);
});
