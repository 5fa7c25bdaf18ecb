import { describe, expect, test } from "vitest";
import { readForeignProvenance } from "./read-foreign.ts";
import { provenanceTypeV02, slsaGeneratorType } from "./read-slsa-v02.ts";

const repository = "https://github.com/acme/shop";
const commit = "d".repeat(40);
const uri = `git+${repository}@refs/heads/main`;
const source = { uri, digest: { sha1: commit }, entryPoint: ".github/workflows/release.yml" };
const material = { uri, digest: { sha1: commit } };
const metadata = { buildStartedOn: "2026-05-01T10:00:00Z", buildFinishedOn: "2026-05-01T10:05:00Z" };

const generator = (change: object = {}) => ({
  builder: { id: "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/x.yml@refs/tags/v2.1.0" },
  buildType: slsaGeneratorType,
  invocation: { configSource: source, environment: { github_event_name: "push" } },
  metadata,
  materials: [material],
  ...change,
});
const other = (change: object = {}) => generator({ buildType: "https://ci.acme.example/types/v1", ...change });
const read = (predicate: Record<string, unknown>) =>
  readForeignProvenance({ predicateType: provenanceTypeV02, predicate });
const problem = (text: string) => ({ problem: expect.stringContaining(text) });
const ofSource = (configSource: object) => ({ configSource, environment: { github_event_name: "push" } });

describe("slsa-github-generator's", () => {
  test.each<[string, object, string]>([
    ["without a commit", { invocation: ofSource({ ...source, digest: {} }) }, "no commit of a repository"],
    ["with a short one", { invocation: ofSource({ ...source, digest: { sha1: "d" } }) }, "no commit of a repository"],
    [
      "by http",
      { invocation: ofSource({ ...source, uri: uri.replace("https", "http") }) },
      "no commit of a repository",
    ],
    ["that begins otherwise", { invocation: ofSource({ ...source, uri: `x${uri}` }) }, "no commit of a repository"],
    ["that goes on after it", { invocation: ofSource({ ...source, uri: `${uri}#x` }) }, "no commit of a repository"],
    ["without a ref", { invocation: ofSource({ ...source, uri: `git+${repository}` }) }, "no commit of a repository"],
    ["without a workflow", { invocation: ofSource({ ...source, entryPoint: undefined }) }, "not name the workflow"],
    ["without an event", { invocation: { configSource: source } }, "does not name the event"],
    ["with an empty event", { invocation: { configSource: source, environment: { github_event_name: "" } } }, "event"],
    ["with another commit", { materials: [{ uri, digest: { sha1: "e".repeat(40) } }] }, "two commits"],
    [
      "with another commit, and what it used besides",
      { materials: [{ uri: "pkg:docker/go" }, { uri, digest: { sha1: "e".repeat(40) } }] },
      "two commits",
    ],
    ["with no digest of its source", { materials: [{ uri }] }, "two commits"],
    ["without an invocation", { invocation: undefined }, "no commit of a repository"],
    ["without a builder", { builder: undefined }, "builder"],
    ["with a builder without a name", { builder: { id: "" } }, "builder"],
  ])("%s says nothing", (_what, change, says) => {
    expect(read(generator(change))).toEqual(problem(says));
  });

  test("tells repository, commit, ref, event and workflow", () => {
    expect(read(generator())).toEqual({
      buildType: slsaGeneratorType,
      builderId: generator().builder.id,
      source: {
        repository,
        version: commit,
        ref: "refs/heads/main",
        event: "push",
        callerId: `${repository}/.github/workflows/release.yml@refs/heads/main`,
      },
      finishedOn: new Date("2026-05-01T10:05:00Z"),
    });
  });

  test("tells it with what was used besides, and of the time at another offset from UTC", () => {
    const materials = [material, { uri: "pkg:docker/go", digest: { sha1: "e".repeat(40) } }];
    const buildFinishedOn = "2026-05-01T12:05:00+02:00";
    expect(read(generator({ materials, metadata: { buildFinishedOn } }))).toMatchObject({
      source: { version: commit },
      finishedOn: new Date("2026-05-01T10:05:00Z"),
    });
  });

  test("is of the type that SLSA gave it", () => {
    expect(provenanceTypeV02).toBe("https://slsa.dev/provenance/v0.2");
  });

  test("is not read as of version 1", () => {
    const asV1 = { predicateType: "https://slsa.dev/provenance/v1", predicate: generator() };
    expect(readForeignProvenance(asV1)).toHaveProperty("problem");
  });
});

describe("another build type's", () => {
  const buildkit = (fragment: string) => `https://github.com/acme/shop.git${fragment}`;
  test.each<[string, object, string]>([
    ["without any", { invocation: undefined, materials: [] }, "0 commits"],
    ["with null in their place", { invocation: undefined, materials: null }, "0 commits"],
    [
      "with a second repository",
      { materials: [material, { ...material, uri: "git+https://github.com/a/b" }] },
      "2 commits",
    ],
    [
      "with a second version that is called a commit",
      {
        invocation: undefined,
        materials: ["d", "e"].map((digit) => ({ uri, digest: { gitCommit: digit.repeat(40) } })),
      },
      "2 commits",
    ],
    [
      "with a second version that its configuration names without an address",
      { invocation: { configSource: { digest: { gitCommit: "e".repeat(40) } } } },
      "2 commits",
    ],
    ["with a second version", { materials: [{ uri, digest: { sha1: "e".repeat(40) } }] }, "2 commits"],
    [
      "of BuildKit's, whose name is another commit than its digest",
      { invocation: undefined, materials: [{ uri: buildkit(`#${"e".repeat(40)}`), digest: { sha1: commit } }] },
      "no commit of a repository",
    ],
    [
      "of BuildKit's by http",
      { invocation: undefined, materials: [{ uri: "http://github.com/acme/shop.git", digest: { sha1: commit } }] },
      "no commit of a repository",
    ],
  ])("%s says nothing", (_what, change, says) => {
    expect(read(other(change))).toEqual(problem(says));
  });

  test.each<[string, object, string | undefined]>([
    ["that is its configuration's source as well", {}, "refs/heads/main"],
    [
      "beside an image",
      { materials: [material, { uri: "pkg:docker/go", digest: { sha256: "a" } }] },
      "refs/heads/main",
    ],
    ["beside a file without a digest", { materials: [material, { uri: "https://x.example/y" }] }, "refs/heads/main"],
    ["of materials alone", { invocation: undefined }, "refs/heads/main"],
    ["of its configuration alone", { materials: undefined }, "refs/heads/main"],
    ["as BuildKit has it", { invocation: undefined, materials: [{ ...material, uri: buildkit("") }] }, undefined],
    [
      "as BuildKit has it, by ref and folder",
      { invocation: undefined, materials: [{ ...material, uri: buildkit("#refs/heads/main:app") }] },
      "refs/heads/main",
    ],
    [
      "as BuildKit has it, by commit",
      { invocation: undefined, materials: [{ ...material, uri: buildkit(`#${commit}`) }] },
      undefined,
    ],
  ])("tells the one commit %s", (_what, change, ref) => {
    expect(read(other(change))).toMatchObject({ source: { repository, version: commit, ref } });
  });
});
