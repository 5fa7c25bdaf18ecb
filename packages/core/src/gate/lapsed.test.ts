import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  factsOf,
  image,
  minute,
  policy,
  provenance,
  repository,
  rulesOf,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { VerifiedStatement } from "../signing/types.ts";

// What a signer said whose word has ended since: it proves nothing, and what it overtook does not count again.

const all = whole();
const statements = Object.values(all);
const judge = (...lapsed: VerifiedStatement[]) => rulesOf(factsOf(statements, {}, [], lapsed));
const failed = (age: number, more: object = {}, by = "scan"): VerifiedStatement =>
  summary("scan", by, [], { passed: false, violations: 1, timeVerified: ago(age * minute), ...more });

// The pass that counts is ten minutes old.
test.each<[what: string, rules: string[], lapsed: VerifiedStatement]>([
  ["a newer failure", ["gate.failed"], failed(5)],
  ["a failure of the same time", ["gate.failed"], failed(10)],
  [
    "a newer failure under a policy of before",
    ["gate.failed"],
    failed(5, { policy: { uri: "p", digest: image, serial: 1 } }),
  ],
  ["an older failure", [], failed(15)],
  ["a newer failure by whom the stage never believed", [], failed(5, {}, "build")],
  ["a newer pass", [], failed(5, { passed: true, violations: 0 })],
])("a verdict out of its time: %s", (_what, rules, lapsed) => {
  expect(judge(lapsed)).toEqual(rules);
});

test("a verdict out of its time whose own time can't be read may be the newest, and a failure", () => {
  const lapsed = failed(15);
  const { statement } = lapsed;
  const broken = { ...statement, predicate: { ...statement.predicate, timeVerified: "yesterday" } };
  expect(judge({ ...lapsed, statement: broken })).toEqual(["gate.malformed"]);
});

test("a pass out of its time proves nothing where nothing else is there, and neither does a provenance", () => {
  const { scanVerdict, provenance: built } = all;
  expect(rulesOf(factsOf(without(all, "scanVerdict"), {}, [], [scanVerdict]))).toEqual(["gate.missing"]);
  expect(rulesOf(factsOf(without(all, "provenance"), {}, [], [built]))).toEqual(["gate.missing"]);
});

test("the refusal says whose word has ended, and what outweighs it", () => {
  const [violation] = decideGate(factsOf(statements, {}, [], [failed(5)])).violations;
  expect(violation?.problem).toContain("the word of its signer 'scan' has ended since");
  expect(violation?.wayOut).toContain("A newer pass outweighs it");
});

test.each<[what: string, rules: string[], age: number, built: object]>([
  [
    "newer, of another source",
    ["gate.source"],
    1,
    { source: { repository: "https://github.com/evil/shop", commit: "a".repeat(40) } },
  ],
  ["newer, of a build where none may be", ["gate.build-environment"], 1, { buildEnvironment: "host" }],
  ["older, of a build where none may be", [], 600, { buildEnvironment: "host" }],
  ["newer, of the same build under a policy of before", [], 1, { policy: { uri: "p", digest: image, serial: 1 } }],
])("a provenance out of its time: %s", (_what, rules, age, built) => {
  expect(judge(provenance("build", { finishedOn: ago(age * minute), ...built }))).toEqual(rules);
});

test("where a promotion alone is asked for, what an image may become is asked of them as well", () => {
  const to = (name: string) => ({ registry: repository.registry, name });
  const sources = [
    { repository: "https://github.com/acme/shop", to: ["registry.example/vetted/shop"] },
    { repository: "https://github.com/acme/cart", to: ["registry.example/vetted/cart"] },
  ];
  const bound = { ...policy, policy: { ...policy.policy, build: { ...policy.policy.build, sources } } };
  const of = (name: string) =>
    provenance("build", {
      source: { repository: `https://github.com/acme/${name}`, commit: "a".repeat(40), ref: "refs/heads/main" },
    });
  const decide = (...lapsed: VerifiedStatement[]) =>
    rulesOf(
      factsOf(
        [...without(all, "provenance"), of("shop")],
        { policy: bound as never, destination: to("vetted/shop") },
        [],
        lapsed,
      ),
    );
  expect(decide(of("cart"))).toEqual(["gate.destination"]);
  expect(decide(of("shop"))).toEqual([]);
});
