import { describe, expect, test } from "vitest";
import { schemes } from "./schemes/schemes.ts";
import { judgeSignerTime, signerTimes } from "./signer-times.ts";

const at = (text: string): Date => new Date(`2026-11-${text}Z`);
const third = at("03T00:00:00");
const ninth = at("09T12:00:00");

describe("a signer that was found bad on the 9th to have been so since the 3rd", () => {
  test.each<[what: string, signedAt: Date | undefined, counts: boolean]>([
    ["at the 3rd exactly", third, false],
    ["after it", at("03T00:00:00.001"), false],
    ["the day before", at("02T00:00:00"), true],
    ["just before", at("02T23:59:59.999"), true],
    ["whenever, by nobody's word but its own", undefined, false],
    ["at a time that can't be read", new Date("x"), false],
  ])("what it signed %s", (_what, signedAt, counts) => {
    const objection = judgeSignerTime("scan", { until: third }, signedAt, ninth);
    expect(objection === undefined).toBe(counts);
    if (!counts) expect(objection).toContain("'scan', whose word counts until 2026-11-03T00:00:00Z");
  });
});

describe("a signer from a time on", () => {
  test.each<[what: string, signedAt: Date | undefined, now: Date, counts: boolean]>([
    ["just before", at("02T23:59:59.999"), ninth, false],
    ["at that time", third, ninth, true],
    ["after it", ninth, ninth, true],
    ["at a time that can't be read", new Date("x"), ninth, false],
    ["whenever, looked at before it", undefined, at("02T23:59:59.999"), false],
    ["whenever, looked at from then on", undefined, third, true],
  ])("what it signed %s", (_what, signedAt, now, counts) => {
    expect(judgeSignerTime("scan", { from: third }, signedAt, now) === undefined).toBe(counts);
  });
});

test("a signer whose end is to come counts until then, dated or not, and one without times always does", () => {
  expect(judgeSignerTime("scan", { until: ninth }, undefined, third)).toBeUndefined();
  expect(judgeSignerTime("scan", { until: ninth }, undefined, ninth)).toContain("nobody else says when it was signed");
  expect(judgeSignerTime("scan", {}, undefined, ninth)).toBeUndefined();
});

test("signers of each kind have times", () => {
  for (const { kind, signerSchema } of schemes)
    expect([kind, Object.keys(signerSchema.shape)]).toEqual([kind, expect.arrayContaining(["from", "until"])]);
});

test("an objection says until or from when, and when it was signed, in whole seconds where they are", () => {
  const says = (...of: [object, Date?]) => judgeSignerTime("scan", of[0], of[1], ninth);
  expect(says({ until: third }, at("03T00:00:00.001"))).toBe(
    "it is signed by 'scan', whose word counts until 2026-11-03T00:00:00Z, and it was signed at 2026-11-03T00:00:00.001Z",
  );
  expect(says({ from: ninth }, third)).toBe(
    "it is signed by 'scan', whose word counts from 2026-11-09T12:00:00Z, and it was signed at 2026-11-03T00:00:00Z",
  );
  expect(says({ from: ninth }, new Date("x"))).toContain("and it was signed at a time that can't be read");
});

test("a time of a policy is read in UTC, or refused with how it is written", () => {
  for (const field of [signerTimes.from, signerTimes.until]) {
    expect(field.parse("2026-11-03T00:00:00Z")).toEqual(third);
    expect(field.parse(undefined)).toBeUndefined();
    for (const text of ["2026-11-03", "2026-11-03T00:00:00+01:00", "soon"])
      expect(field.safeParse(text).error?.issues[0]?.message).toContain("such as 2026-11-03T00:00:00Z");
  }
});
