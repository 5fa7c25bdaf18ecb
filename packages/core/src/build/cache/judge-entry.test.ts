import { environment, finding, image, policy, repository } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Policy } from "../../policy/schema.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import type { WorkflowIdentity } from "../../signing/workflow-identity.ts";
import { describeEntry, judgeEntry } from "./judge-entry.ts";
import { planKey } from "./key.ts";

// A job that may sign writes what it wants of its run; of what the server certified it can change nothing.

const source = "https://github.com/acme/shop";
const identity: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
  buildSignerDigest: "c".repeat(40),
  runnerEnvironment: "github-hosted",
  sourceRepository: source,
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "a".repeat(40),
  buildConfigUri: "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main",
  buildTrigger: "push",
};
const run = {
  sourceRepository: source,
  sourceRef: identity.sourceRef,
  sourceCommit: identity.sourceDigest,
  defaultBranch: "main",
  event: identity.buildTrigger,
  builderId: identity.buildSignerUri,
  callerId: identity.buildConfigUri,
};
const builder = "b".repeat(64);
const scope = { strategy: "buildpacks", platform: "linux/amd64", builder, source };
const key = planKey({ ...scope, application: { folder: "" } }, {});
const labels = {
  ...{ key: key.exact, group: key.group, strategy: scope.strategy, platform: scope.platform },
  ...{ builder: "node", writer: "protected", cold: "1" },
};
const ownPolicy: Policy = { ...policy.policy, environments: { production: environment } };

function entryOf(certified: WorkflowIdentity | undefined, told: Partial<typeof run> = {}): VerifiedStatement {
  const predicate = { ...describeEntry(labels, builder, { ...run, ...told }) };
  return {
    ...finding(predicateTypes.buildCache, "build", [image], predicate),
    ...(certified === undefined ? {} : { identity: certified }),
  };
}

function judgeAll(statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []): string | undefined {
  const evidence = { statements, lapsed, rejected: [] };
  return judgeEntry({ repository, digest: image, labels, evidence }, { key, builder, source, policy: ownPolicy });
}

const judge = (...of: Parameters<typeof entryOf>): string | undefined => judgeAll([entryOf(...of)]);

describe("a cache's statement that its own certificate contradicts", () => {
  test.each<[string, Partial<WorkflowIdentity>, RegExp]>([
    ["in the ref", { sourceRef: "refs/pull/7/merge" }, /its ref is refs\/heads\/main, .*refs\/pull\/7/],
    ["in the event", { buildTrigger: "pull_request" }, /its event is push, .*pull_request/],
    ["in the repository", { sourceRepository: "https://github.com/acme/cart" }, /its source is .*shop, .*cart/],
    ["in the commit", { sourceDigest: "b".repeat(40) }, /its commit is a+, .*b+/],
    ["in the workflow that was started", { buildConfigUri: `${identity.buildConfigUri}2` }, /its workflow is /],
    ["in the workflow that signs", { buildSignerUri: `${identity.buildSignerUri}2` }, /its builder is /],
  ])("%s counts for nothing", (_what, change, says) => {
    expect(judge({ ...identity, ...change })).toMatch(says);
  });

  test("by leaving out the commit counts for nothing", () => {
    expect(judge(identity, { sourceCommit: undefined as never })).toMatch(/its commit is unknown/);
  });

  test("and its twin counts, as does one without a certificate", () => {
    expect(judge(identity)).toBeUndefined();
    expect(judge(undefined)).toBeUndefined();
  });
});

describe("a cache's statement out of its signer's time", () => {
  test("speaks for no entry", () => {
    expect(judgeAll([], [entryOf(identity)])).toBe("nobody attested it");
  });

  test("is no objection to one in time, as no other statement is", () => {
    const other = entryOf(undefined, { sourceRef: "refs/pull/7/merge" });
    expect(judgeAll([other])).toMatch(/not protected/);
    expect(judgeAll([entryOf(identity), other])).toBeUndefined();
    expect(judgeAll([entryOf(identity)], [other])).toBeUndefined();
  });
});
