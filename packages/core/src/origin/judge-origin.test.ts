import {
  byCi,
  byGithub,
  ci,
  ciPredicate,
  ciType,
  commit,
  dependency,
  find,
  type githubPredicate,
  identity,
  imported,
  importPredicate,
  ofShop,
  repository,
  signed,
  tell,
  workflow,
} from "@goldenpath/testing/origin-statements";
import { describe, expect, test } from "vitest";
import type { SignedStatement } from "../build/strategies/strategy.ts";
import { predicateTypes } from "../signing/predicates.ts";

describe("whose word says where an image comes from", () => {
  test.each<[string, SignedStatement[], string]>([
    ["a pipeline's that the policy names", [byCi()], ofShop("pipeline")],
    ["nobody's", [], "nothing is signed about"],
    ["not that of another signer of the policy", [byCi({}, "scan")], "nothing is signed about"],
    ["not the importer's, with a provenance", [byCi({}, "importer")], "nothing is signed about"],
    ["not the pipeline's, with an import", [imported({}, "pipeline")], "nothing is signed about"],
    [
      "not another builder's",
      [byCi({ id: "https://ci.acme.example/builders/v2" })],
      "of a build by https://ci.acme.example/builders/v2",
    ],
    ["not a builder's whose name only begins so", [byCi({ id: `${ci}/x` })], `of a build by ${ci}/x`],
    ["not a builder's in another letter case", [byCi({ id: ci.toUpperCase() })], "of a build by HTTPS"],
    [
      "not with a build type that the policy does not name",
      [byCi({ type: `${ciType}0` })],
      "which no builder of the policy takes",
    ],
    [
      "not the type of another builder of the policy",
      [byGithub({}, "pipeline")],
      "which no builder of the policy takes",
    ],
    [
      "not with two commits",
      [byCi({ dependencies: [dependency, { ...dependency, uri: "git+https://github.com/acme/lib" }] })],
      "it names 2 commits",
    ],
    ...["https://github.com/acme/lib", "git://github.com/acme/lib", "pkg:github/acme/lib", undefined].map(
      (uri): [string, SignedStatement[], string] => [
        `not with a second commit, of ${uri ?? "nothing that is named"}`,
        [byCi({ dependencies: [dependency, { uri, digest: { gitCommit: commit } }] })],
        "it names 2 commits",
      ],
    ),
    ...["https://github.com/acme/lib.git", "git@github.com:acme/lib", "ssh://git.acme.example/lib.git#main"].map(
      (uri): [string, SignedStatement[], string] => [
        `not with the SHA-1 of ${uri} besides`,
        [byCi({ dependencies: [{ uri, digest: { sha1: commit } }, dependency] })],
        "it names 2 commits",
      ],
    ),
    [
      "also with what is no commit besides",
      [
        byCi({
          dependencies: [
            dependency,
            { uri: "pkg:npm/left-pad@1.3.0", digest: { sha1: commit } },
            { uri: "https://npm.example/left-pad.tgz", digest: { sha1: commit } },
          ],
        }),
      ],
      ofShop("pipeline"),
    ],
    ["at another offset from UTC as well", [byCi({ finishedOn: "2026-05-01T13:00:00+02:00" })], ofShop("pipeline")],
    ["not without a commit", [byCi({ dependencies: [] })], "it names 0 commits"],
    [
      "not with what is no commit",
      [byCi({ dependencies: [{ ...dependency, digest: { gitCommit: "main" } }] })],
      "no commit of a repository",
    ],
    [
      "not with a source that is no https URL",
      [byCi({ dependencies: [{ ...dependency, uri: "git+ssh://github.com/acme/shop" }] })],
      "no commit of a repository",
    ],
    ["not with what is no provenance", [signed(predicateTypes.provenance, {}, "pipeline")], "can't be understood"],
    [
      "not with a statement of another type, by the importer",
      [signed(predicateTypes.vulnerabilities, importPredicate(), "importer")],
      "nothing is signed about",
    ],
    [
      "not with a statement of another type",
      [signed(predicateTypes.vulnerabilities, ciPredicate(), "pipeline")],
      "nothing is signed about",
    ],
  ])("%s", (_what, statements, expected) => {
    expect(tell(statements)).toContain(expected);
  });

  // By either of them: of two that ended at once, bundles decide.
  test.each([
    [commit, "b".repeat(40)],
    ["b".repeat(40), commit],
  ])("of two builds the one that ended last, where the first is of %s", (first, last) => {
    const of = (gitCommit: string, finishedOn: string): SignedStatement =>
      byCi({ finishedOn, dependencies: [{ ...dependency, digest: { gitCommit } }] });
    const both = [of(first, "2026-05-01T10:00:00Z"), of(last, "2026-05-01T11:00:00Z")];
    for (const statements of [both, both.toReversed()])
      expect(find(statements)).toMatchObject({ source: { version: last } });
  });

  test("with .git and without a ref it is the same repository", () => {
    const uri = `git+${repository}.git`;
    expect(find([byCi({ dependencies: [{ uri, digest: { sha1: commit } }] })])).toMatchObject({
      source: { repository, version: commit, ref: undefined },
    });
  });
});

describe("GitHub's provenance", () => {
  const ofRepository = (uri: string) => ({
    external: { workflow: { ...workflow, repository: uri } },
    dependencies: [{ ...dependency, uri: `git+${uri}@refs/heads/main` }],
  });

  test("says repository, ref, commit, event and workflow", () => {
    expect(find([byGithub()])).toMatchObject({
      builders: ["github"],
      source: {
        repository,
        version: commit,
        ref: "refs/heads/main",
        event: "push",
        callerId: `${repository}/.github/workflows/release.yml@refs/heads/main`,
      },
      rests: [{ kind: "provenance" }],
    });
  });

  test.each<[string, Parameters<typeof githubPredicate>[0], string]>([
    ["a parameter that is not known", { external: { workflow, inputs: {} } }, "externalParameters"],
    [
      "a commit of another repository",
      { dependencies: [{ ...dependency, uri: "git+https://github.com/acme/lib@refs/heads/main" }] },
      "it names no commit of",
    ],
    [
      "a vendor's image for a repository",
      ofRepository("oci://docker.io/library/redis"),
      "no repository at an https URL",
    ],
    ["a repository that begins otherwise", ofRepository(`x${repository}`), "no repository at an https URL"],
    ["a commit without a digest", { dependencies: [{ uri: dependency.uri }] }, "it names no commit of"],
    ["a repository that holds a ref", ofRepository(`${repository}@refs/heads/main`), "no repository at an https URL"],
    ["a repository of no host", ofRepository("https://"), "no repository at an https URL"],
    [
      "two commits of the same",
      { dependencies: [dependency, { ...dependency, digest: { gitCommit: "e".repeat(40) } }] },
      "it names no commit of",
    ],
    ["no event, which could be a pull request's", { internal: {} }, "does not name the event"],
    [
      "the workflow of another repository",
      { id: "https://github.com/evil/platform/.github/workflows/build.yml@refs/tags/v1" },
      "of a build by",
    ],
    [
      "the workflow on a branch",
      { id: "https://github.com/acme/platform/.github/workflows/build.yml@refs/heads/main" },
      "of a build by",
    ],
    [
      "a ref that has more components than the pattern",
      { id: "https://github.com/acme/platform/.github/workflows/build.yml@refs/tags/v1/x" },
      "of a build by",
    ],
  ])("counts for nothing with %s", (_what, more, problem) => {
    expect(tell([byGithub(more)])).toContain(problem);
    expect(tell([byGithub()])).toBe(ofShop("github"));
  });
});

describe("a certificate goes before what the run says", () => {
  test("of GitHub's build type in all that it says, of another in what that says", () => {
    expect(tell([{ ...byGithub(), identity }])).toBe(ofShop("github"));
    expect(tell([{ ...byCi(), identity }])).toBe(ofShop("pipeline"));
  });

  test.each<[string, Partial<typeof identity>]>([
    ["repository", { sourceRepository: "https://github.com/acme/cart" }],
    ["commit", { sourceDigest: "e".repeat(40) }],
    ["ref", { sourceRef: "refs/heads/topic" }],
  ])("another %s is refused", (_what, change) => {
    for (const statement of [byGithub(), byCi()])
      expect(tell([{ ...statement, identity: { ...identity, ...change } }])).toContain("not of the run that signed it");
  });

  test.each<[string, Partial<typeof identity>]>([
    ["event", { buildTrigger: "pull_request" }],
    ["workflow", { buildConfigUri: "https://github.com/acme/shop/.github/workflows/pr.yml@refs/heads/main" }],
    ["builder", { buildSignerUri: "https://github.com/acme/platform/.github/workflows/build.yml@refs/tags/v1.2.4" }],
  ])("another %s is refused where the build type tells it", (_what, change) => {
    expect(tell([{ ...byGithub(), identity: { ...identity, ...change } }])).toContain("not of the run that signed it");
    expect(tell([{ ...byCi(), identity: { ...identity, ...change } }])).toBe(ofShop("pipeline"));
  });

  test("says ref, event and workflow where the build type does not tell them", () => {
    const bare = byCi({ dependencies: [{ ...dependency, uri: `git+${repository}` }] });
    expect(find([bare])).toHaveProperty("source", { repository, version: commit });
    const asked = { ...identity, buildTrigger: "pull_request", sourceRef: "refs/pull/7/merge" };
    expect(find([{ ...bare, identity: asked }])).toMatchObject({
      source: { ref: "refs/pull/7/merge", event: "pull_request", callerId: identity.buildConfigUri },
    });
  });
});
