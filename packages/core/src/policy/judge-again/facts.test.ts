import { now, policy as own, repository, whole } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Exception, Policy } from "../schema.ts";
import { type AgainFacts, hasLostException, listExceptions, listRepositories, withoutExcepted } from "./facts.ts";

const place = `${repository.registry}/${repository.name}`;
const { statement } = whole().base;
const about = (...names: string[]) => ({
  ...statement,
  subject: names.map((name) => ({ name, digest: { sha256: "a".repeat(64) } })),
});
const exception = (change: Partial<Exception> = {}): Exception => ({
  ...{ rule: "base.rule", repository: place, reason: "r", owner: "o", expires: "2026-12-31", ...change },
});
const policyOf = (...exceptions: Exception[]): Policy => ({ ...own.policy, exceptions });

test("where an image was is told by its names, each once, without the digest; by none where it has none", () => {
  expect(listRepositories(about(`${place}@sha256:${"a".repeat(64)}`, place, "r.test/other@sha256:1"))).toEqual([
    place,
    "r.test/other",
  ]);
  expect(listRepositories(about("", ""))).toEqual([]);
});

test("to a policy's exceptions come those that are signed beside it for where the image was", () => {
  const [written, signed] = [exception(), exception({ gate: "own" })];
  const signedExceptions = (each: string) => (each === place ? [signed] : []);
  expect(listExceptions({ policy: policyOf(written), signedExceptions }, about(place))).toEqual([written, signed]);
  expect(listExceptions({ policy: policyOf(written), signedExceptions }, about("r.test/other"))).toEqual([written]);
  expect(listExceptions({ policy: policyOf() }, about(place))).toEqual([]);
});

describe("an exception is lost", () => {
  const isLost = (newer: Policy, older: Policy | undefined, asked: Parameters<typeof hasLostException>[0]) =>
    hasLostException(asked, { policy: newer, older, now } satisfies AgainFacts, about(place));
  const any = { rule: "base.rule" } as const;

  test("to another policy alone", () => {
    expect(isLost(policyOf(), policyOf(exception()), any)).toBe(true);
    expect(isLost(policyOf(exception()), policyOf(exception()), any)).toBe(false);
    expect(isLost(policyOf(), undefined, any)).toBe(false);
  });

  test("whatever rule of the policy's own it is for, where no one of them is asked about", () => {
    expect(isLost(policyOf(), policyOf(exception({ gate: "x" })), any)).toBe(true);
    const one = { ...any, own: { before: ["own"], now: "own" } };
    expect(isLost(policyOf(), policyOf(exception({ gate: "x" })), one)).toBe(false);
    expect(isLost(policyOf(), policyOf(exception({ gate: "own" })), one)).toBe(true);
  });
});

test("what no exception sets aside is told with its day and what it asks, where it has them", () => {
  const broken = { rule: "base.rule", thing: "t", problem: "p", wayOut: "w" } as const;
  const { rule, thing, problem } = broken;
  const aside = { ...broken, exception: { reason: "r", owner: "o", expires: "2026-12-31" } };
  expect(withoutExcepted([aside, broken])).toStrictEqual([{ rule, thing, problem }]);
  expect(withoutExcepted([{ ...broken, enforcedFrom: "2026-06-01", asks: "x" }])).toStrictEqual([
    { rule, thing, problem, from: "2026-06-01", asks: "x" },
  ]);
});
