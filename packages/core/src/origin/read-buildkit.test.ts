import { commit, identity, repository } from "@goldenpath/testing/origin-statements";
import { describe, expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import { readBuildKitProvenance } from "./read-buildkit.ts";
import { provenanceTypeV02 } from "./read-slsa-v02.ts";

const typeV1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const typeV02 = "https://mobyproject.org/buildkit@v1";
const digest = { sha1: commit };
const configSource = { uri: `${repository}.git#${commit}`, digest };

const v1 = ({ source = configSource as unknown, type = typeV1, metadata = {} as unknown } = {}) => ({
  predicateType: predicateTypes.provenance,
  predicate: {
    buildDefinition: { buildType: type, externalParameters: { configSource: source, request: {} } },
    runDetails: { builder: { id: "https://github.com/acme/shop/actions/runs/7" }, metadata },
  },
});
const v02 = ({ source = configSource as unknown, type = typeV02, metadata = {} as unknown } = {}) => ({
  predicateType: provenanceTypeV02,
  predicate: { buildType: type, builder: { id: "" }, invocation: { configSource: source }, metadata },
});
const problemOf = (
  statement: ReturnType<typeof v1> | ReturnType<typeof v02>,
  by: typeof identity | null = identity,
) => {
  const read = readBuildKitProvenance(statement, by ?? undefined);
  return "problem" in read ? read.problem : "none";
};

describe("BuildKit's provenance in a signed manifest", () => {
  test.each([
    ["with nobody who certifies the run", () => problemOf(v1(), null), "nobody certifies"],
    ["of another build type", () => problemOf(v1({ type: "https://x.example/type" })), "not BuildKit's"],
    ["of the other version's build type", () => problemOf(v1({ type: typeV02 })), "not BuildKit's"],
    ["of the other version's build type, in v0.2", () => problemOf(v02({ type: typeV1 })), "not BuildKit's"],
    ["of a folder of its machine", () => problemOf(v1({ source: {} })), "files of its machine"],
    [
      "of an archive",
      () => problemOf(v1({ source: { uri: "https://x.example/a.tar", digest: { sha256: "a".repeat(64) } } })),
      "x.example/a.tar",
    ],
    ["without a commit", () => problemOf(v1({ source: { uri: configSource.uri } })), "did not begin with a commit"],
    [
      "of another commit than its address has",
      () => problemOf(v1({ source: { uri: `${repository}.git#${"e".repeat(40)}`, digest } })),
      "did not begin with a commit",
    ],
    ["without a source at all", () => problemOf(v1({ source: null })), "configSource"],
    ["without a source at all, in v0.2", () => problemOf(v02({ source: null })), "configSource"],
  ])("%s is not understood", (_what, tell, says) => expect(tell()).toContain(says));

  test("has the workflow of the certificate for a builder, and the commit that it began with for a source", () => {
    const times = { startedOn: "2026-11-01T10:00:00Z", finishedOn: "2026-11-01T10:01:00Z" };
    const expected = {
      builderId: identity.buildSignerUri,
      source: { repository, version: commit, ref: undefined },
      finishedOn: new Date(times.finishedOn),
    };
    expect(readBuildKitProvenance(v1({ metadata: times }), identity)).toEqual({ ...expected, buildType: typeV1 });
    const timesV02 = { buildStartedOn: times.startedOn, buildFinishedOn: times.finishedOn };
    expect(readBuildKitProvenance(v02({ metadata: timesV02 }), identity)).toEqual({ ...expected, buildType: typeV02 });
    const offset = { finishedOn: "2026-11-01T11:01:00+01:00" };
    expect(readBuildKitProvenance(v1({ metadata: offset }), identity)).toHaveProperty(
      "finishedOn",
      expected.finishedOn,
    );
    const started = readBuildKitProvenance(v1({ metadata: { startedOn: times.startedOn } }), identity);
    expect(started).toMatchObject({ finishedOn: new Date(times.startedOn) });
    const ofRef = v1({ source: { uri: `${repository}.git#refs/heads/main:app`, digest } });
    expect(readBuildKitProvenance(ofRef, identity)).toMatchObject({
      source: { version: commit, ref: "refs/heads/main" },
    });
  });
});
