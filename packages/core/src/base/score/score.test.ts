import { describe, expect, test } from "vitest";
import { checkNames, type ScoreFacts, scoreBase } from "./score.ts";

const now = new Date("2026-11-26T12:00:00Z");
const signed = {
  signers: ["base-2026", "build-2026"],
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
    ["made in 1999", { created: "1999-12-31T23:59:59Z" }, "made-lately", "unknown", "a fixed day"],
    ["made in 2000", { created: "2000-01-01T00:00:00Z" }, "made-lately", "bad", "(2000-01-01)"],
    ["made more than a day ahead", { created: "2026-11-27T12:00:01Z" }, "made-lately", "unknown", "not come yet"],
    ["made at no time", { created: "yesterday" }, "made-lately", "unknown", "does not say"],
    ["without provenance", { signed: { ...signed, types: [] } }, "provenance", "bad", "no provenance"],
    ["without an SBOM", { signed: { ...signed, types: [] } }, "sbom", "bad", "no SBOM"],
    ["of a source that is no place", { source: "javascript:alert(1)" }, "source", "bad", "does not say"],
    ["of a source without a path", { source: "https://github.com/" }, "source", "bad", "does not say"],
    ["of a source without a host", { source: "https:///acme/bases" }, "source", "bad", "does not say"],
    ["of a host with a blank", { source: "https://git hub.com/acme" }, "source", "bad", "does not say"],
    ["of a source with words behind it", { source: "https://github.com/acme bases" }, "source", "bad", "does not say"],
    ["of words that name a source", { source: "see https://github.com/acme" }, "source", "bad", "does not say"],
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
    ["a clock that is a day off", { created: "2026-11-27T12:00:00Z" }, "made-lately"],
    ["a clock that is an hour off", { created: "2026-11-26T13:00:00Z" }, "made-lately"],
    ["at the limit of size", { contents: { ...good.contents, size: 150_000_000 } }, "size"],
    ["at the limit of packages", { contents: { ...good.contents, packages: 120 } }, "packages"],
    ["a publisher's place itself", { repository: "gcr.io/distroless", ownPlaces: [] }, "place"],
    [
      "provenance of an older SLSA",
      { signed: { ...signed, types: ["https://slsa.dev/provenance/v0.2"] } },
      "provenance",
    ],
    ["an SBOM by SPDX", { signed: { ...signed, types: ["https://spdx.dev/Document"] } }, "sbom"],
    ["a source of one letter", { source: "https://git/a" }, "source"],
    ["a publisher's place", { repository: "gcr.io/distroless/static-debian12", ownPlaces: [] }, "place"],
    ["a whole registry of a publisher's", { repository: "registry.access.redhat.com/ubi9", ownPlaces: [] }, "place"],
  ])("%s", (_what, facts, name) => expect(outcomeOf(facts, name)?.outcome).toBe("good"));
});

test("each publisher's place is known by whose it is", () => {
  const places = {
    "Docker's official images": ["docker.io/library/debian", "public.ecr.aws/docker/library/debian"],
    "Google's distroless": ["gcr.io/distroless/static"],
    "Red Hat": ["registry.access.redhat.com/ubi9", "registry.redhat.io/ubi9"],
    SUSE: ["registry.suse.com/bci"],
    Microsoft: ["mcr.microsoft.com/dotnet/runtime"],
    Chainguard: ["cgr.dev/chainguard/static"],
    Amazon: ["public.ecr.aws/amazonlinux/amazonlinux"],
    "Paketo Buildpacks": ["docker.io/paketobuildpacks/run"],
    Heroku: ["docker.io/heroku/heroku"],
  };
  for (const [publisher, repositories] of Object.entries(places))
    for (const repository of repositories)
      expect(outcomeOf({ repository, ownPlaces: [] }, "place")).toMatchObject({
        outcome: "good",
        says: expect.stringMatching(new RegExp(`^(\\S+) is written by ${publisher} alone$`)),
      });
});

describe("the card says in a sentence what each answer is, and on what it rests", () => {
  const tell = (facts: ScoreFacts) =>
    scoreBase(facts).checks.map(({ question, name, outcome, points, proof, says }) =>
      [question, name, outcome, points, proof, says].join(" | "),
    );

  test("of a good base", () => {
    expect(tell(good)).toEqual([
      "publisher | signed | good | 15 | signature | signed by base-2026, build-2026",
      "publisher | place | good | 10 | registry | registry.acme.test/bases/run is a repository of the policy's bases",
      "updated | signed-lately | good | 15 | signature | its newest statement was signed 6 days ago (2026-11-20)",
      "updated | made-lately | good | 10 | the image's own word | it says that it was made 6 days ago (2026-11-20)",
      "open | provenance | good | 10 | signature | it has provenance by one of the policy's signers",
      "open | sbom | good | 10 | signature | it has SBOM by one of the policy's signers",
      "open | source | good | 5 | the image's own word | it says that its source is https://github.com/acme/bases",
      "needless | user | good | 4 | layers | it does not start as root",
      "needless | shell | good | 4 | layers | no shell",
      "needless | package-manager | good | 4 | layers | no package manager",
      "needless | compiler | good | 5 | layers | no compiler",
      "needless | set-id | good | 4 | layers | no program with another's rights (set-id, capabilities)",
      "needless | size | good | 2 | layers | 27.0 MB of files",
      "needless | packages | good | 2 | layers | 9 packages of the system",
    ]);
  });

  test("of a bad one", () => {
    const bad: ScoreFacts = {
      ...{ repository: "docker.io/acme/run", now, ownPlaces: good.ownPlaces, user: "root" },
      signed: { signers: [], types: [], newest: new Date("2026-09-01T00:00:00Z") },
      created: "2026-11-26T12:30:00Z",
      contents: {
        ...{ size: 200_000_000, packages: 400, shells: ["/bin/sh", "/bin/ash"], packageManagers: ["/sbin/apk"] },
        ...{ compilers: ["1", "2", "3", "4", "5", "6"], setId: ["1", "2", "3", "4", "5", "6", "7", "8"] },
      },
    };
    expect(tell(bad)).toEqual([
      "publisher | signed | bad | 15 | nothing | none of the policy's signers has signed anything about it",
      "publisher | place | bad | 10 | registry | nobody here knows who writes to docker.io/acme/run",
      "updated | signed-lately | bad | 15 | signature | its newest statement was signed 86 days ago (2026-09-01)",
      "updated | made-lately | good | 10 | the image's own word | it says that it was made 0 days ago (2026-11-26)",
      "open | provenance | bad | 10 | nothing | it has no provenance by one of the policy's signers",
      "open | sbom | bad | 10 | nothing | it has no SBOM by one of the policy's signers",
      "open | source | bad | 5 | nothing | it does not say where its source is",
      "needless | user | bad | 4 | layers | it starts as root",
      "needless | shell | bad | 4 | layers | shell: /bin/sh, /bin/ash",
      "needless | package-manager | bad | 4 | layers | package manager: /sbin/apk",
      "needless | compiler | bad | 5 | layers | compiler: 1, 2, 3, 4, 5, 6",
      "needless | set-id | bad | 4 | layers | program with another's rights (set-id, capabilities): 1, 2, 3, 4, 5, 6, and 2 more",
      "needless | size | bad | 2 | layers | 200.0 MB of files",
      "needless | packages | bad | 2 | layers | 400 packages of the system",
    ]);
    expect(scoreBase(bad).points).toBe(10);
    expect(scoreBase(bad).byQuestion.updated).toEqual({ points: 10, of: 25 });
  });

  test("of one of which nobody can tell", () => {
    const { shells, packageManagers, compilers, setId, size } = good.contents;
    const contents = { shells, packageManagers, compilers, setId, size };
    const unknown = tell({ repository: good.repository, now, ownPlaces: [], user: "app", contents });
    const none = "no policy was given that names signers (--policy)";
    expect(unknown.filter((each) => each.includes("unknown"))).toEqual([
      `publisher | signed | unknown | 15 | nothing | ${none}`,
      `updated | signed-lately | unknown | 15 | nothing | ${none}`,
      "updated | made-lately | unknown | 10 | the image's own word | it does not say when it was made, or a fixed day",
      `open | provenance | unknown | 10 | nothing | ${none}`,
      `open | sbom | unknown | 10 | nothing | ${none}`,
      "needless | user | unknown | 4 | layers | nobody can tell as whom it starts",
      "needless | packages | unknown | 2 | nothing | no database of packages that can be read",
    ]);
  });
});
