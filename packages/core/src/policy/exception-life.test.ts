import { describe, expect, test } from "vitest";
import type { AppliedException, ListedViolation, StageResult } from "../result.ts";
import { isDead, listBusyDays, tellExceptionLives } from "./exception-life.ts";
import type { Exception, Policy } from "./schema.ts";

const now = new Date("2026-05-10T23:59:59Z");
const exception = (fields: Partial<Exception> = {}): Exception => ({
  rule: "scan.severity",
  vulnerability: "CVE-2026-0001",
  reason: "not reachable",
  owner: "team-shop",
  expires: "2026-05-31",
  ...fields,
});
const applied = (fields: Partial<AppliedException> = {}): AppliedException => {
  const { rule: _rule, vulnerability: thing = "", ...told } = exception();
  return { ...told, thing, ...fields };
};
const violation = (fields: Partial<ListedViolation> = {}): ListedViolation => ({
  rule: "scan.severity",
  thing: "GHSA-1 in lodash 4.17.20",
  problem: "it is high",
  wayOut: "Update it.",
  ...fields,
});
const result = (violations: ListedViolation[], fields: Partial<StageResult> = {}): StageResult =>
  ({
    stage: "scan",
    verdict: "pass",
    subject: { repository: "r.example/shop", digest: `sha256:${"a".repeat(64)}`, mediaType: "", children: [] },
    violations,
    ...fields,
  }) as StageResult;
const lives = (
  exceptions: Exception[],
  results: StageResult[] = [],
  within = 14,
  environments: Policy["environments"] = {},
) => tellExceptionLives({ exceptions, environments }, results, now, within);

describe("until when", () => {
  test.each([
    ["2026-05-09", "lapsed", -1],
    ["2026-05-10", "lapsing", 0],
    ["2026-05-11", "lapsing", 1],
    ["2026-05-24", "lapsing", 14],
    ["2026-05-25", "holds", 15],
  ])("%s is %s", (expires, state, daysLeft) => {
    expect(lives([exception({ expires })])).toMatchObject([{ state, daysLeft }]);
  });

  test("several that end on one day are told, those that are over are not", () => {
    const ending = (expires: string, thing: string) => exception({ expires, vulnerability: thing });
    const told = lives([
      ending("2026-06-01", "A"),
      ending("2026-05-12", "B"),
      ending("2026-06-01", "C"),
      ending("2026-05-01", "D"),
      ending("2026-05-01", "E"),
    ]);
    expect(listBusyDays(told)).toEqual([{ day: "2026-06-01", count: 2 }]);
  });
});

describe("what does nothing", () => {
  const dead: [string, Exception, StageResult[]][] = [
    ["it is over", exception({ expires: "2026-05-09" }), []],
    ["it is over, and no result would need it", exception({ expires: "2026-05-09" }), [result([])]],
    ["no result has its vulnerability", exception(), [result([violation()])]],
    ["it is for another package", exception({ package: "lodash" }), [result([violation({ exception: applied() })])]],
    ["another rule was set aside", exception(), [result([violation({ rule: "base.approved", exception: applied() })])]],
    [
      "the same word stands for a thing of another rule",
      exception({ rule: "base.approved", repository: "r.example/shop" }),
      [result([violation({ exception: applied({ thing: "r.example/shop" }) })], { stage: "base" })],
    ],
  ];
  test.each(dead)("%s", (_name, granted, results) => {
    expect(lives([granted], results).map(isDead)).toEqual([true]);
  });

  const alive: [string, Exception, StageResult[]][] = [
    ["nobody can say, without a result", exception(), []],
    ["nobody can say, by another stage's results", exception(), [result([], { stage: "base" })]],
    ["nobody can say, by a scan that ended in an error", exception(), [result([], { verdict: "error" })]],
    ["it was applied", exception(), [result([violation({ exception: applied() })])]],
    [
      "it was applied with another last day",
      exception(),
      [result([violation({ exception: applied({ expires: "2026-05-12" }) })])],
    ],
    [
      "it is over, and would be needed",
      exception({ expires: "2026-05-09" }),
      [result([violation({ lapsed: applied() })], { verdict: "fail" })],
    ],
    [
      "its repository is told by its full name",
      exception({ rule: "base.approved", repository: "acme/shop" }),
      [
        result([violation({ rule: "base.approved", exception: applied({ thing: "docker.io/acme/shop" }) })], {
          stage: "base",
        }),
      ],
    ],
  ];
  test.each(alive)("not where %s", (_name, granted, results) => {
    expect(lives([granted], results).map(isDead)).toEqual([false]);
  });

  test("nor where an environment's gate may need it, which lists nothing of what it did not refuse", () => {
    const granted = exception({ rule: "base.secret", repository: "r.example/shop" });
    const unused = [result([], { stage: "base" })];
    const production = (refuse: string[]) =>
      ({ production: { images: { refuse } } }) as unknown as Policy["environments"];
    expect(lives([granted], unused, 14, production(["root-user"])).map(isDead)).toEqual([true]);
    expect(lives([granted], unused, 14, production(["root-user", "secrets"])).map(isDead)).toEqual([false]);
  });

  test("violations and images are counted", () => {
    const used = violation({ exception: applied() });
    const other = { repository: "r.example/till", digest: `sha256:${"b".repeat(64)}`, mediaType: "", children: [] };
    const results = [result([used, used]), result([used], { subject: other as never }), result([])];
    expect(lives([exception()], results)[0]?.use).toEqual({ violations: 3, images: 2 });
  });

  test("what an overtaken one was applied for is the other's, so that not both are taken out", () => {
    const granted = [exception({ package: "lodash" }), exception({ expires: "2026-06-30" })];
    const told = lives(granted, [result([violation({ exception: applied({ package: "lodash" }) })])]);
    expect(told.map(isDead)).toEqual([true, false]);
  });

  const pairs: [string, Partial<Exception>, Partial<Exception>, [number?, number?]][] = [
    ["the same twice", {}, {}, [undefined, 0]],
    ["the later one ends later", {}, { expires: "2026-06-30" }, [1, undefined]],
    ["one is for all packages, and ends later", { package: "lodash" }, { expires: "2026-06-30" }, [1, undefined]],
    ["one is for all packages, comes first", {}, { package: "lodash" }, [undefined, 0]],
    ["one is for all packages, and the other is applied first", { package: "lodash" }, {}, []],
    ["for two gates", { rule: "scan.gate", gate: "a" }, { rule: "scan.gate", gate: "b" }, []],
    ["one is for all packages, and ends sooner", { package: "lodash" }, { expires: "2026-05-30" }, []],
    ["for two packages", { package: "lodash" }, { package: "left-pad" }, []],
    ["for two vulnerabilities", {}, { vulnerability: "CVE-2026-0002" }, []],
    ["of two rules", { vulnerability: "r.example/shop" }, { rule: "base.approved", repository: "r.example/shop" }, []],
  ];
  test.each(pairs)("two, %s", (_name, first, second, overtaken) => {
    const told = lives([exception(first), exception(second)]);
    expect(told.map(({ overtakenBy }) => overtakenBy)).toEqual([overtaken[0], overtaken[1]]);
  });
});
