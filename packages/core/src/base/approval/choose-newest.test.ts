import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect, test } from "vitest";
import { chooseNewest } from "./choose-newest.ts";
import type { BaseVersion, SignedImages } from "./gather-versions.ts";

const now = new Date("2026-05-10T12:00:00Z");
const day = 86_400_000;

const version = (name: string, days: number, endOfLife = "2026-12-31"): BaseVersion => ({
  digest: digestOf(name),
  found: {
    kind: "approved",
    approval: {
      ...{ approvedAt: new Date(now.getTime() - days * day), endOfLife, role: "both", proven: [] },
      ...{ signers: ["approver"], bundle: digestOf("bundle") },
    },
  },
});
const refused: BaseVersion = { digest: digestOf("refused"), found: { kind: "refused", problem: "nobody signed it" } };
const [old, young] = [version("old", 40), version("young", 2)];

function choose(
  versions: BaseVersion[],
  rules: Partial<SignedImages["approval"]> = {},
  until?: string,
  use: "run" | "build" = "run",
) {
  const found = chooseNewest(versions, { approval: { signers: ["approver"], ...rules }, until, use }, now);
  return "version" in found ? found.version.digest : found.problems;
}

test("of versions that hold the newest is taken, and none that is over by maxAge, whatever the grace", () => {
  expect(choose([old, young])).toBe(young.digest);
  expect(choose([refused, old])).toBe(old.digest);
  expect(choose([old], { maxAge: 40 * day })).toEqual([expect.stringContaining("(maxAge)")]);
  expect(choose([old], { maxAge: 41 * day })).toBe(old.digest);
  expect(choose([old], { maxAge: 40 * day, grace: 99 * day })).toEqual([expect.stringContaining("(maxAge)")]);
});

test("one that is too far behind a newer one is none, although that one has ended", () => {
  const ended = version("ended", 2, "2026-05-09");
  expect(choose([old, ended])).toBe(old.digest);
  expect(choose([old, ended], { maxBehind: 38 * day })).toBe(old.digest);
  expect(choose([old, ended], { maxBehind: 37 * day })).toEqual([
    expect.stringContaining("end of life is 2026-05-09"),
    expect.stringContaining("maxBehind"),
  ]);
});

test("all that is said against a version is told in one line", () =>
  expect(choose([version("ended", 40, "2026-05-09")], { maxAge: 1 * day })).toEqual([
    expect.stringMatching(/^sha256:\w+: its end of life is 2026-05-09; it was approved on .*\(maxAge\)$/),
  ]));

test("of a base that is over, or has no version, there is none", () => {
  expect(choose([young], {}, "2026-05-10")).toBe(young.digest);
  expect(choose([young], {}, "2026-05-09")).toEqual(["its until is 2026-05-09"]);
  expect(choose([])).toEqual([]);
  expect(choose([refused])).toEqual([`${refused.digest}: nobody signed it`]);
});

test("what is to build in has to be approved for that, and what is to stand on for that", () => {
  const of = (role: "run-only" | "build-only"): BaseVersion => {
    const { digest, found } = version(role, 1);
    return found.kind === "approved" ? { digest, found: { ...found, approval: { ...found.approval, role } } } : young;
  };
  const [run, build] = [of("run-only"), of("build-only")];
  expect(choose([build, run], {}, undefined, "build")).toBe(build.digest);
  expect(choose([run, build], {}, undefined, "run")).toBe(run.digest);
  expect(choose([run], {}, undefined, "build")).toEqual([expect.stringContaining("not to build in (role run-only)")]);
  expect(choose([young], {}, undefined, "build")).toBe(young.digest);
});
