import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { tellExceptionLives } from "../policy/exception-life.ts";
import type { Exception } from "../policy/schema.ts";
import type { ListedViolation, StageResult } from "../result.ts";
import { type PolicyExceptions, renderIdle } from "./comment/exceptions.ts";
import { describeResults } from "./comment/part.ts";
import { renderComment } from "./comment/render.ts";
import { renderExceptions, soonDays, tellDaysLeft, tellExceptions } from "./exceptions.ts";
import { renderPage } from "./page/render.ts";

const now = new Date("2026-11-23T10:00:00Z");
const granted = (vulnerability: string, expires: string, more: Partial<Exception> = {}): Exception => ({
  ...{ rule: "scan.severity", vulnerability, expires, owner: "team-shop", reason: "not called" },
  ...more,
});
const excepted = (thing: string, expires: string): ListedViolation => ({
  ...{ rule: "scan.severity", thing: `${thing} in left 1`, problem: "It is high.", wayOut: "Update left." },
  exception: { thing, expires, owner: "team-shop", reason: "not called" },
});
const scan = (violations: ListedViolation[], changes: Partial<StageResult> = {}): StageResult => ({
  ...{ schemaVersion: "1.0", stage: "scan", verdict: "pass", violations, run: { builderId: "local" } },
  subject: { repository: "r.example/shop", digest: digestOf("shop"), mediaType: "m", children: [] },
  ...{ tools: [], notes: [], startedAt: now.toISOString(), finishedAt: now.toISOString() },
  ...changes,
});
const tell = (exceptions: Exception[], results: StageResult[]) =>
  tellExceptions(tellExceptionLives({ exceptions, environments: {} }, results, now, soonDays));
const partOf = (key: string, exceptions: Exception[], results: StageResult[]) =>
  describeResults(
    results,
    { key, commit: "5".repeat(40), run: { id: "1", attempt: 1 } },
    { told: tell(exceptions, results), now },
  );

describe("what a report says of the policy's exceptions", () => {
  test("nothing of one that holds, where no scan says whether it is needed", () => {
    expect(renderExceptions(tell([granted("CVE-1", "2026-11-24")], []))).toBe("");
    const failed = scan([], { verdict: "error", error: { code: "x", message: "y" } });
    expect(tell([granted("CVE-1", "2026-11-24")], [failed]).told).toEqual([]);
  });

  test.each([
    ["2026-11-22", "over since 2026-11-22", false, true],
    ["2026-11-23", "ends today, 2026-11-23", true, false],
    ["2026-12-07", "until 2026-12-07, 14 days", true, false],
    ["2026-12-08", "until 2026-12-08, 15 days", false, false],
  ])("one that ends on %s", (expires, state, isSoon, isDead) => {
    const results = [scan(isDead ? [] : [excepted("CVE-1", expires)])];
    expect(tell([granted("CVE-1", expires)], results).told).toMatchObject([{ state, isSoon, isDead }]);
  });

  test("what ends first comes first, and days on which several end that are needed", () => {
    const exceptions = [
      granted("CVE-1", "2026-12-15"),
      granted("CVE-2", "2026-12-01"),
      granted("CVE-3", "2026-12-01"),
      granted("CVE-4", "2026-12-15"),
    ];
    const needed = ["CVE-1", "CVE-2", "CVE-3"].map((id) => excepted(id, "2026-12-01"));
    const told = tell(exceptions, [scan(needed)]);
    expect(told.told.map(({ what, isDead }) => [what, isDead])).toEqual([
      ["CVE-2", false],
      ["CVE-3", false],
      ["CVE-1", false],
      ["CVE-4", true],
    ]);
    expect(told.days).toEqual([{ day: "2026-12-01", count: 2 }]);
    expect(renderExceptions(told)).toContain("2 exceptions end on 2026-12-01, all at once.");
  });

  test("a dead one is told as such here, since other images may need it", () => {
    const text = renderExceptions(tell([granted("CVE-1", "2027-01-01", { package: "left" })], [scan([])]));
    expect(text).toContain("1 of them does nothing here.");
    expect(text).toContain("| CVE-1 in left | matches nothing here |");
  });

  test("of very many the rest is counted, with the command that lists them", () => {
    const many = Array.from({ length: 300 }, (_, at) => granted(`CVE-${at}`, "2027-01-01"));
    const text = renderExceptions(tell(many, [scan([])]));
    expect(text.split("\n").filter((line) => line.startsWith("| until"))).toHaveLength(50);
    expect(text).toContain("… and 250 more: `goldenpath policy exceptions` lists them.");
  });
});

test.each([
  [undefined, ""],
  [-1, "over"],
  [0, "today"],
  [1, "in 1 day"],
  [14, "in 14 days"],
])("%s days left: %s", (days, said) => expect(tellDaysLeft(days)).toBe(said));

describe("in the comment", () => {
  const exceptions = [granted("CVE-1", "2026-12-01"), granted("CVE-2", "2027-01-01")];
  const results = [scan([excepted("CVE-1", "2026-12-01")])];

  test("the first lines say until when, and the fold which do nothing", () => {
    const body = renderComment([partOf("shop", exceptions, results)]);
    expect(body).toContain("Nothing to do. 1 finding is excepted, until 2026-12-01, in 8 days.");
    expect(body).toContain("<summary>1 exception of the policy does nothing here</summary>");
    expect(body).toContain("- <code>scan.severity</code> for CVE-2, by team-shop: until 2027-01-01, 39 days; matches");
  });

  test("of several jobs' images only what none of them needs does nothing", () => {
    const other = [scan([excepted("CVE-2", "2027-01-01")], { subject: undefined })];
    const both = renderComment([partOf("shop", exceptions, results), partOf("till", exceptions, other)]);
    expect(both).not.toContain("nothing here");
    const neither = [partOf("shop", exceptions, [scan([])]), partOf("till", exceptions, other)];
    expect(renderComment(neither)).toContain("1 exception of the policy does nothing here");
  });

  test("what was cut is not counted for certain", () => {
    const cut = (kept: number): { policyExceptions: PolicyExceptions } => ({
      policyExceptions: {
        days: [],
        idle: Array.from({ length: kept }, (_, at) => ({
          ...{ rule: "scan.severity", what: `CVE-${at}`, state: "until 2027-01-01", use: "", owner: "o" },
        })),
        idleCount: 40,
      },
    });
    expect(renderIdle([cut(12)])).toMatchObject({ title: "40 exceptions of the policy do nothing here" });
    expect(renderIdle([cut(12)])?.lines.at(-1)).toBe("… and 30 more in the job's summary.");
    expect(renderIdle([cut(12), cut(5)])?.title).toBe("At least 5 exceptions of the policy do nothing here");
    expect(renderIdle([cut(12), cut(0)])).toBeUndefined();
    expect(renderIdle([{}])).toBeUndefined();
  });
});

test("the page has them once for all images, the dead and those that end soon marked, and nothing of them is markup", () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const exceptions = [
    granted("CVE-1", "2026-12-01", { reason: hostile, owner: hostile }),
    granted(hostile, "2027-01-01"),
  ];
  const told = tell(exceptions, [scan([excepted("CVE-1", "2026-12-01")])]);
  const page = (more: object) =>
    renderPage({
      ...{ source: "run", images: [], policy: { uri: "p", serial: 1, digest: "d" }, madeAt: now.toISOString() },
      ...more,
    });
  const text = page({ exceptions: told });
  expect(text).toContain("1 needed here, 1 of them for 14 days at most, 1 that does nothing here");
  expect(text.match(/<span class="tag">(?:soon|dead)/g)).toHaveLength(2);
  expect(text).not.toContain("<img");
  expect(page({})).not.toContain("exceptions");
  expect(renderExceptions(told)).not.toContain("<img");
});
