import { describe, expect, test } from "vitest";
import type { AppliedException, ListedViolation, StageResult } from "../result.ts";
import { countDaysLeft, isDead, listBusyDays, tellExceptionLives } from "./exception-life.ts";
import { exceptionKeys } from "./scan-section.ts";
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
    const more = [...told, ...lives([ending("2026-05-12", "F"), ending("2026-05-12", "G")])];
    expect(listBusyDays(more)).toEqual([
      { day: "2026-05-12", count: 3 },
      { day: "2026-06-01", count: 2 },
    ]);
    expect(listBusyDays(more.toReversed()).map(({ day }) => day)).toEqual(["2026-05-12", "2026-06-01"]);
  });

  test("nothing more is told than is known", () => {
    expect(lives([exception()])).toStrictEqual([{ exception: exception(), index: 0, daysLeft: 21, state: "holds" }]);
  });

  test("what ends on no day is left to no count of days", () => {
    expect(countDaysLeft("soon", now)).toBeNaN();
    expect(countDaysLeft("2026-05-12", now)).toBe(2);
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
      ({ staging: {}, production: { images: { refuse } } }) as unknown as Policy["environments"];
    expect(lives([granted], unused, 14, production(["root-user"])).map(isDead)).toEqual([true]);
    const refusing = production(["root-user", "secrets"]);
    expect(lives([granted], unused, 14, refusing).map(isDead)).toEqual([false]);
    // What it was applied for is known all the same.
    const told = violation({ rule: "base.secret", exception: applied({ thing: "r.example/shop" }) });
    const used = [result([told], { stage: "base" })];
    expect(lives([granted], used, 14, refusing)[0]?.use).toEqual({ violations: 1, images: 1 });
  });

  test.each(Object.keys(exceptionKeys) as Exception["rule"][])("%s is known by its own stage, and no other", (rule) => {
    const [own, other] = rule.startsWith("base.") ? (["base", "scan"] as const) : (["scan", "base"] as const);
    const use = (...stages: ("base" | "scan")[]) =>
      lives(
        [exception({ rule, [exceptionKeys[rule]]: "some" })],
        stages.map((stage) => result([], { stage })),
      )[0]?.use;
    expect(use(own)).toEqual({ violations: 0, images: 0 });
    expect(use(own, other)).toEqual({ violations: 0, images: 0 });
    expect(use(other)).toBeUndefined();
  });

  test("an image without a name is one", () => {
    const used = violation({ exception: applied() });
    const nameless = { ...result([used, used]), subject: undefined } as unknown as StageResult;
    expect(lives([exception()], [nameless, nameless])[0]?.use).toEqual({ violations: 4, images: 1 });
  });

  test.each<[what: string, of: Partial<Exception>, told: Partial<AppliedException>]>([
    ["of another gate", { rule: "scan.gate", gate: "known" }, { gate: "epss" }],
    ["of no gate, where one has one", { rule: "scan.gate", gate: "known" }, {}],
    ["of another file", { file: "/etc/key" }, { file: "/etc/other" }],
    ["of a file, where one has none", {}, { file: "/etc/key" }],
    ["of a package, where one has none", {}, { package: "lodash" }],
    ["of nothing that it names", {}, { thing: undefined as never }],
  ])("what was set aside by one %s was not by it, beside its twin", (_what, of, told) => {
    const { rule = "scan.severity" } = of;
    const use = (exception: Partial<AppliedException>) =>
      lives([{ ...excepted, ...of }], [result([violation({ rule, exception: applied(exception) })])])[0]?.use;
    const excepted = exception();
    const { gate, file } = of;
    expect(use(told)).toEqual({ violations: 0, images: 0 });
    expect(use({ ...(gate === undefined ? {} : { gate }), ...(file === undefined ? {} : { file }) })).toEqual({
      ...{ violations: 1, images: 1 },
    });
  });

  test("violations and images are counted", () => {
    const used = violation({ exception: applied() });
    const other = { repository: "r.example/till", digest: `sha256:${"b".repeat(64)}`, mediaType: "", children: [] };
    const subject = (more: object) => ({ subject: { ...other, ...more } as never });
    const results = [result([used, used]), result([used], subject({})), result([])];
    expect(lives([exception()], results)[0]?.use).toEqual({ violations: 3, images: 2 });
    const alike = [result([used], subject({ repository: "r.example/shop" })), ...results, results[1] as StageResult];
    expect(lives([exception()], alike)[0]?.use).toEqual({ violations: 5, images: 3 });
    const elsewhere = result([used], subject({ digest: `sha256:${"a".repeat(64)}` }));
    expect(lives([exception()], [...results, elsewhere])[0]?.use).toEqual({ violations: 4, images: 3 });
  });

  test("what an overtaken one was applied for is the other's, so that not both are taken out", () => {
    const granted = [exception({ package: "lodash" }), exception({ expires: "2026-06-30" })];
    const told = lives(granted, [result([violation({ exception: applied({ package: "lodash" }) })])]);
    expect(told.map(isDead)).toEqual([true, false]);
    expect(told[1]?.use).toEqual({ violations: 1, images: 1 });
  });

  test("so it is by way of a third, and of one that nobody overtakes it stays its own", () => {
    const granted = [
      exception({ package: "lodash" }),
      exception({ package: "lodash", expires: "2026-06-15" }),
      exception({ expires: "2026-06-30" }),
      exception({ vulnerability: "CVE-2026-0002", expires: "2026-07-30" }),
    ];
    const told = lives(granted, [
      result([
        violation({ exception: applied({ package: "lodash" }) }),
        violation({ exception: applied({ thing: "CVE-2026-0002" }) }),
      ]),
    ]);
    // The first two are told alike; each was applied as far as the result tells.
    expect(told.map(({ use }) => use?.violations)).toEqual([1, 2, 2, 1]);
    expect(told.map(({ overtakenBy }) => overtakenBy)).toEqual([1, 2, undefined, undefined]);
  });

  test("nothing is said of an overtaking one where nobody can say it of itself", () => {
    const granted = [exception(), exception({ expires: "2026-06-30" })];
    expect(lives(granted, [result([], { stage: "base" })]).map(({ use }) => use)).toEqual([undefined, undefined]);
  });

  const pairs: [string, Partial<Exception>, Partial<Exception>, [number?, number?]][] = [
    ["the same twice", {}, {}, [undefined, 0]],
    ["the later one ends later", {}, { expires: "2026-06-30" }, [1, undefined]],
    ["one is for all packages, and ends later", { package: "lodash" }, { expires: "2026-06-30" }, [1, undefined]],
    ["one is for all packages, comes first", {}, { package: "lodash" }, [undefined, 0]],
    ["one is for all packages, and the other is applied first", { package: "lodash" }, {}, []],
    ["one is for all gates", { rule: "scan.gate", gate: "a" }, { rule: "scan.gate", expires: "2026-06-30" }, [1]],
    ["for one gate", { rule: "scan.gate", gate: "a" }, { rule: "scan.gate", gate: "a" }, [undefined, 0]],
    ["for two files", { file: "/a" }, { file: "/b", expires: "2026-06-30" }, []],
    ["one is for all files, and sets aside another finding", { file: "/a" }, { expires: "2026-06-30" }, []],
    ["for one file", { file: "/a" }, { file: "/a" }, [undefined, 0]],
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

test.each([
  ["ends sooner, and stands behind", ["2026-06-05", "2026-06-03"]],
  ["ends on the same day", ["2026-06-05", "2026-06-05"]],
  ["ends sooner, and stands before", ["2026-06-03", "2026-06-05"]],
])(
  "what an exception was applied for that %s goes by way of its neighbour to the one that overtakes both",
  (_what, days) => {
    const own = days.map((expires) => exception({ expires, package: "lodash" }));
    const told = lives(
      [...own, exception({ expires: "2026-06-09" })],
      [result([violation({ exception: applied({ package: "lodash" }) })])],
    );
    expect(told.map(({ use }) => use?.violations).toSorted()).toEqual([1, 2, 2]);
    expect(told[2]).toMatchObject({ use: { violations: 2, images: 2 } });
  },
);

test("of thousands for one thing each is overtaken by the next", () => {
  const day = (at: number): string => new Date(Date.UTC(2026, 0, 1) + at * 86_400_000).toISOString().slice(0, 10);
  const many = Array.from({ length: 3_000 }, (_, at) => exception({ expires: day(at) }));
  const told = lives(many, [result([violation({ exception: applied() })])]);
  expect(told[0]).toMatchObject({ overtakenBy: 1, use: { violations: 1, images: 1 } });
  expect(told[2_998]).toMatchObject({ overtakenBy: 2_999 });
  expect(told[2_999]).not.toHaveProperty("overtakenBy");
});
