import { describe, expect, test } from "vitest";
import { readProven } from "../approval/predicate.ts";
import { judgeDemands, judgeProven, listLeast, proveScore } from "./demands.ts";
import type { Proof, Question, ScoreCheck } from "./score.ts";

const check = (question: Question, proof: Proof, outcome: ScoreCheck["outcome"] = "good"): ScoreCheck => ({
  ...{ question, proof, outcome, name: "signed", points: 5, says: "it is so" },
});

describe("points that are proven", () => {
  test.each<[Proof, number]>([
    ["signature", 5],
    ["layers", 5],
    ["registry", 5],
    ["the image's own word", 0],
    ["nothing", 0],
  ])("by %s: %i", (proof, points) => {
    expect(proveScore({ checks: [check("open", proof)] }).open).toBe(points);
  });

  test("are those of what is good, each for its own question", () => {
    const checks = [
      check("publisher", "signature"),
      check("publisher", "registry", "bad"),
      check("updated", "signature", "unknown"),
      check("updated", "registry"),
      check("needless", "layers"),
      check("needless", "layers"),
    ];
    expect(proveScore({ checks })).toEqual({ publisher: 5, updated: 5, open: 0, needless: 10 });
  });
});

describe("a score that does not meet what is asked for, beside one that does", () => {
  const ofCheck = (name: ScoreCheck["name"], outcome: ScoreCheck["outcome"]): ScoreCheck => ({
    ...check("publisher", "signature", outcome),
    name,
  });
  const judge = (points: number, checks: ScoreCheck[], required: string[] = [], least = {}) =>
    judgeDemands(
      { platform: "linux/amd64", score: { points, checks } } as unknown as Parameters<typeof judgeDemands>[0],
      { minimum: 50, required },
      [{ name: "a", image: "r.test/a", digests: [], approval: { signers: ["a"], score: least } }],
      "r.test/a",
    );

  test("a point less than the minimum", () => {
    expect(judge(49, [])).toEqual(["linux/amd64 has 49 points, and 50 are asked for (minimum)"]);
    expect(judge(50, [])).toEqual([]);
  });

  test.each(["bad", "unknown"] as const)("a check that is required and %s", (outcome) => {
    const [first, second] = [ofCheck("signed", outcome), ofCheck("sbom", "good")];
    expect(judge(50, [first, second], ["signed", "sbom"])).toEqual(["linux/amd64: signed is required, and: it is so"]);
    expect(judge(50, [first, second], ["sbom"])).toEqual([]);
    expect(judge(50, [ofCheck("signed", "good")], ["signed"])).toEqual([]);
  });

  test("what the policy asks of it is proven points, and what the caller asks comes besides", () => {
    expect(judge(50, [ofCheck("signed", "good")], [], { publisher: 6 })).toEqual([
      "linux/amd64 has 5 proven points for publisher (Is its publisher reputable?), and the policy asks for 6",
    ]);
    expect(judge(49, [ofCheck("signed", "bad")], ["signed"], { publisher: 1 })).toHaveLength(3);
    expect(judge(50, [ofCheck("signed", "good")], [], { publisher: 5 })).toEqual([]);
  });
});

test("no number of points meets no demand", () => {
  const points = { publisher: Number.NaN, updated: 0, open: 0, needless: 0 };
  expect(judgeProven("linux/amd64", points, { publisher: 1 })).toHaveLength(1);
  expect(judgeProven("linux/amd64", points, {})).toEqual([]);
});

test("a repository is held to what each base in it asks for, and to no other's", () => {
  const base = (name: string, image: string, score?: object) => ({
    ...{ name, image, digests: [] },
    approval: { signers: ["a"], ...(score === undefined ? {} : { score }) },
  });
  const bases = [
    base("a", "r.test/a", { open: 1 }),
    base("b", "r.test/a", { open: 2 }),
    base("c", "r.test/c", { open: 3 }),
  ];
  expect(listLeast(bases, "r.test/a")).toEqual([{ open: 1 }, { open: 2 }]);
  const listed = { name: "e", image: "r.test/a", digests: [] };
  expect(listLeast([base("d", "r.test/a"), listed], "r.test/a")).toEqual([]);
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["points alone", [{ platform: "linux/amd64", points: 90 }]],
  ["a question less", [{ platform: "linux/amd64", proven: { publisher: 1, updated: 1, open: 1 } }]],
  ["points that are none", [{ platform: "linux/amd64", proven: { publisher: -1, updated: 1, open: 1, needless: 1 } }]],
])("an approval that tells %s tells of no proven points", (_name, score) => {
  expect(readProven({ score })).toEqual([]);
  const whole = { platform: "linux/amd64", proven: { publisher: 1, updated: 1, open: 1, needless: 1 } };
  expect(readProven({ score: [whole] })).toEqual([whole]);
});
