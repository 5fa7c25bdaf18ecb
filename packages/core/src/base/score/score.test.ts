import { describe, expect, test } from "vitest";
import { checkNames, type ScoreFacts, scoreBase } from "./score.ts";

const now = new Date("2026-11-26T12:00:00Z");
const signed = {
  signers: ["build-2026"],
  types: ["https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom"],
  newest: new Date("2026-11-20T00:00:00Z"),
};
const good: ScoreFacts = {
  repository: "registry.acme.test/bases/run",
  now,
  signed,
  ownPlaces: ["registry.acme.test/bases/run"],
  created: "2026-11-20T00:00:00Z",
  user: "1000",
  source: "https://github.com/acme/bases",
  contents: { size: 27_000_000, packages: 9, shells: [], packageManagers: [], compilers: [], setId: [] },
};

const outcomeOf = (facts: Partial<ScoreFacts>, name: string) =>
  scoreBase({ ...good, ...facts }).checks.find((each) => each.name === name);

test("a base with everything has 100 points, 25 for each question", () => {
  const score = scoreBase(good);
  expect(score.points).toBe(100);
  expect(Object.values(score.byQuestion)).toEqual(Array(4).fill({ points: 25, of: 25 }));
  expect(score.checks.map(({ name }) => name).toSorted()).toEqual([...checkNames].toSorted());
});

describe("what is not good gives none of its points", () => {
  const { contents } = good;
  const days = (count: number): Date => new Date(now.getTime() - count * 86_400_000);
  const cases: [string, Partial<ScoreFacts>, string, "bad" | "unknown", string][] = [
    ["signed by nobody", { signed: { signers: [], types: [] } }, "signed", "bad", "none of the policy's signers"],
    ["at a strange place", { repository: "docker.io/acme/run" }, "place", "bad", "nobody here knows who writes"],
    ["beside a known place", { repository: "docker.io/library-of/run" }, "place", "bad", "nobody here knows"],
    ["below one's own place", { repository: "registry.acme.test/bases/run/x" }, "place", "bad", "nobody"],
    ["signed long ago", { signed: { ...signed, newest: days(30.01) } }, "signed-lately", "bad", "30 days ago"],
    ["signed in the future", { signed: { ...signed, newest: days(-2) } }, "signed-lately", "unknown", "not come yet"],
    ["dated by nobody", { signed: { signers: ["a"], types: [] } }, "signed-lately", "unknown", "nobody but a signer"],
    ["made long ago", { created: "2026-10-01T00:00:00Z" }, "made-lately", "bad", "56 days ago"],
    ["made in 1980", { created: "1980-01-01T00:00:01Z" }, "made-lately", "unknown", "a fixed day"],
    ["made at no time", { created: "yesterday" }, "made-lately", "unknown", "does not say"],
    ["without provenance", { signed: { ...signed, types: [] } }, "provenance", "bad", "no provenance"],
    ["without an SBOM", { signed: { ...signed, types: [] } }, "sbom", "bad", "no SBOM"],
    ["of a source that is no place", { source: "javascript:alert(1)" }, "source", "bad", "does not say"],
    ["starting as root", { user: "0:0" }, "user", "bad", "starts as root"],
    ["starting as nobody known", { user: "app" }, "user", "unknown", "nobody can tell"],
    ["with a shell", { contents: { ...contents, shells: ["/bin/sh"] } }, "shell", "bad", "shell: /bin/sh"],
    [
      "with many programs",
      { contents: { ...contents, compilers: ["1", "2", "3", "4", "5", "6", "7"] } },
      "compiler",
      "bad",
      "6, and 1 more",
    ],
    ["a byte too large", { contents: { ...contents, size: 150_000_001 } }, "size", "bad", "150.0 MB"],
    ["with a package too many", { contents: { ...contents, packages: 121 } }, "packages", "bad", "121 packages"],
  ];
  test.each(cases)("%s", (_what, facts, name, outcome, says) => {
    const found = outcomeOf(facts, name);
    expect(found?.outcome).toBe(outcome);
    expect(found?.says).toContain(says);
    expect(scoreBase({ ...good, ...facts }).points).toBeLessThanOrEqual(100 - (found?.points ?? 0));
  });

  test("a database that nobody reads", () => {
    const { packages: _packages, ...rest } = contents;
    expect(outcomeOf({ contents: rest }, "packages")?.outcome).toBe("unknown");
  });

  test("without a policy, nothing is known of signatures", () => {
    const { signed: _signed, ...rest } = good;
    const score = scoreBase(rest);
    const unknown = score.checks.filter(({ outcome }) => outcome === "unknown").map(({ name }) => name);
    expect(unknown).toEqual(["signed", "signed-lately", "provenance", "sbom"]);
    expect(score.points).toBe(50);
  });
});

describe("what is still good", () => {
  test.each([
    ["on the last day", { created: "2026-10-27T12:00:00Z" }, "made-lately"],
    ["a clock that is an hour off", { created: "2026-11-26T13:00:00Z" }, "made-lately"],
    ["at the limit of size", { contents: { ...good.contents, size: 150_000_000 } }, "size"],
    ["at the limit of packages", { contents: { ...good.contents, packages: 120 } }, "packages"],
    ["a publisher's place", { repository: "gcr.io/distroless/static-debian12", ownPlaces: [] }, "place"],
    ["a whole registry of a publisher's", { repository: "registry.access.redhat.com/ubi9", ownPlaces: [] }, "place"],
  ])("%s", (_what, facts, name) => expect(outcomeOf(facts, name)?.outcome).toBe("good"));
});
