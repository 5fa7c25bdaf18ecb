import { describe, expect, test } from "vitest";
import type { AppliedException, Violation } from "../result.ts";
import { isDayOver } from "./day.ts";
import { type ExceptionQuery, exceptViolation, findException } from "./exceptions.ts";
import type { Exception } from "./schema.ts";
import type { GrantedException } from "./signed-exceptions/choose.ts";

const now = new Date("2026-05-10T12:00:00Z");
const exception = (fields: Partial<Exception> = {}): Exception => ({
  rule: "scan.severity",
  vulnerability: "CVE-2026-0001",
  reason: "not reachable",
  owner: "team-shop",
  expires: "2026-05-31",
  ...fields,
});
const signed: GrantedException = { ...exception(), grantedFor: "r.example/a" };
const query = (fields: Partial<ExceptionQuery> = {}): ExceptionQuery => ({
  rule: "scan.severity",
  things: ["CVE-2026-0001"],
  ...fields,
});

describe("an exception that does not hold", () => {
  const cases: [string, Exception, ExceptionQuery][] = [
    [
      "for another rule",
      exception({ rule: "base.approved", repository: "r.example/a" }),
      query({ things: ["r.example/a"] }),
    ],
    ["for another thing", exception({ vulnerability: "CVE-2026-0002" }), query()],
    ["for a thing that only starts the same", exception({ vulnerability: "CVE-2026-000" }), query()],
    ["for another package", exception({ package: "lodash" }), query({ package: "left-pad" })],
    ["for a package, where none is known", exception({ package: "lodash" }), query()],
    [
      "for a repository beside it",
      exception({ rule: "base.approved", repository: "r.example/a" }),
      query({ rule: "base.approved", things: ["r.example/a/b"] }),
    ],
    [
      "for a file, where more than it is meant",
      exception({ rule: "base.credential", repository: "r.example/a", file: "/srv/a.pem" }),
      query({ rule: "base.credential", things: ["r.example/a"] }),
    ],
    [
      "for a repository, where the thing is no repository",
      exception({ rule: "base.approved", repository: "r.example/a:1" }),
      query({ rule: "base.approved", things: ["r.example/a"] }),
    ],
  ];
  test.each(cases)("%s", (_name, granted, asked) => {
    expect(findException([granted], asked, now)).toEqual({});
  });

  test("because it is over", () => {
    const over = exception({ expires: "2026-05-09" });
    expect(findException([over], query(), now)).toEqual({ expired: over });
  });

  test("because its last day is no day", () => {
    const never = exception({ expires: "someday" });
    expect(findException([never], query(), now)).toEqual({ expired: never });
  });
});

describe("an exception that holds", () => {
  const cases: [string, Exception, ExceptionQuery][] = [
    ["for the thing", exception(), query()],
    [
      "for one of its other names",
      exception({ vulnerability: "GHSA-35jh-r3h4-6jhm" }),
      query({ things: ["CVE-2026-0001", "GHSA-35jh-r3h4-6jhm"] }),
    ],
    ["for its package", exception({ package: "lodash" }), query({ package: "lodash" })],
    ["for every package", exception(), query({ package: "lodash" })],
    [
      "for a repository by its short name",
      exception({ rule: "base.approved", repository: "nginx" }),
      query({ rule: "base.approved", things: ["docker.io/library/nginx"] }),
    ],
    ["on its last day", exception({ expires: "2026-05-10" }), query()],
  ];
  test.each(cases)("%s", (_name, granted, asked) => {
    expect(findException([granted], asked, now)).toEqual({ applied: granted });
  });

  test("is the one that ends last", () => {
    const early = exception({ expires: "2026-05-20", owner: "early" });
    const late = exception({ expires: "2026-06-20", owner: "late" });
    const over = exception({ expires: "2026-01-20", owner: "over" });
    expect(findException([over, early, late], query(), now)).toEqual({ applied: late });
    expect(findException([late, over, early], query(), now)).toEqual({ applied: late });
  });

  test("is the first in the policy of those that end together", () => {
    const first = exception({ owner: "first" });
    expect(findException([first, exception({ owner: "second" })], query(), now)).toEqual({ applied: first });
  });
});

describe("a UTC day, its end included", () => {
  test.each([
    ["2026-05-10", "2026-05-09T23:59:59.999Z", false],
    ["2026-05-10", "2026-05-10T00:00:00Z", false],
    ["2026-05-10", "2026-05-10T23:59:59.999Z", false],
    ["2026-05-10", "2026-05-11T00:00:00Z", true],
    ["2026-05-10", "2026-05-10T23:30:00-01:00", true],
    ["2026-05-10", "not a time", true],
    ["2099-13-01", "2026-05-10T00:00:00Z", true],
    ["2099", "2026-05-10T00:00:00Z", true],
    ["", "2026-05-10T00:00:00Z", true],
  ])("%s at %s: over is %s", (day, time, over) => {
    expect(isDayOver(day, new Date(time))).toBe(over);
  });
});

describe("what a match does to a violation", () => {
  const violation: Violation = {
    rule: "scan.severity",
    thing: "CVE-2026-0001",
    problem: "it is critical",
    wayOut: "Update it.",
  };

  const named = { reason: "not reachable", owner: "team-shop", expires: "2026-05-31", thing: "CVE-2026-0001" };

  test("nothing without one", () => expect(exceptViolation(violation, {})).toStrictEqual(violation));

  test("an expired one is named, and does not keep it from counting", () => {
    const over = exception({ expires: "2026-05-09" });
    expect(exceptViolation(violation, { expired: over })).toStrictEqual({
      ...violation,
      problem: "it is critical (its exception by team-shop expired on 2026-05-09)",
      lapsed: { ...named, expires: "2026-05-09" },
    });
    expect(exceptViolation(violation, { applied: exception() })).toStrictEqual({ ...violation, exception: named });
  });

  // What it is not held to is not there at all: a result would else tell a key that says nothing.
  test.each<[string, Exception, AppliedException]>([
    ["the thing alone", exception(), named],
    ["its package", exception({ package: "lodash" }), { ...named, package: "lodash" }],
    ["its gate", exception({ rule: "scan.gate", gate: "no-kev" }), { ...named, gate: "no-kev" }],
    [
      "its file",
      exception({ rule: "base.credential", repository: "r.example/a", file: "/srv/a.pem" }),
      { ...named, thing: "r.example/a", file: "/srv/a.pem" },
    ],
    [
      "the package once, where that is the thing",
      exception({ rule: "scan.package", package: "lodash" }),
      { ...named, thing: "lodash" },
    ],
    ["no repository, where the policy has it", exception({ repository: "r.example/a" }), named],
    ["the repository that it was signed for", signed, { ...named, repository: "r.example/a" }],
  ])("it is found again in the policy by %s", (_name, granted, told) => {
    expect(exceptViolation(violation, { applied: granted }).exception).toStrictEqual(told);
    expect(exceptViolation(violation, { expired: granted }).lapsed).toStrictEqual(told);
  });
});
