import { describe, expect, test } from "vitest";
import { describeWorkflow, judgeWorkflow, type WorkflowIdentity, type WorkflowRule } from "./workflow-identity.ts";

const workflow = "https://github.com/acme/platform/.github/workflows/stage-build.yml";
const commit = "c".repeat(40);
const identity: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: `${workflow}@refs/tags/v1`,
  buildSignerDigest: commit,
  runnerEnvironment: "github-hosted",
  sourceRepository: "https://github.com/acme/shop",
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "a".repeat(40),
  buildConfigUri: "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main",
  buildTrigger: "push",
};
const rule: WorkflowRule = {
  issuer: identity.issuer,
  workflow,
  at: ["d".repeat(40), commit],
  ownerId: "4321",
  repositories: ["https://github.com/acme/cart", "https://github.com/acme/*"],
  runnerEnvironments: ["self-hosted", "github-hosted"],
};
const judge = (of: Partial<WorkflowIdentity>, by: Partial<WorkflowRule> = {}): string[] =>
  judgeWorkflow({ ...rule, ...by }, { ...identity, ...of });

describe("a run is not the one that a rule means", () => {
  test.each<[what: string, says: string, of: Partial<WorkflowIdentity>, by?: Partial<WorkflowRule>]>([
    ["of another issuer", "its issuer is https://x, and not", { issuer: "https://x" }],
    ["of another file", "and not by a version of", { buildSignerUri: `${workflow}2@refs/tags/v1` }],
    ["of a file in a folder of that name", "and not by a version of", { buildSignerUri: `x${workflow}@refs/tags/v1` }],
    ["of a file whose name goes on", "and not by a version of", { buildSignerUri: `${workflow}@y.yml@refs/tags/v1` }],
    ["of a ref with an @ in it", "and not by a version of", { buildSignerUri: `${workflow}@refs/tags/v1@x` }],
    ["of a ref without a name", "and not by a version of", { buildSignerUri: `${workflow}@refs/` }],
    ["of what begins with a commit", "and not by a version of", { buildSignerUri: `${workflow}@${commit}/x` }],
    ["of half a commit", "and not by a version of", { buildSignerUri: `${workflow}@${"c".repeat(39)}` }],
    ["of another commit", `${"d".repeat(40)} or ${commit} counts`, { buildSignerDigest: "e".repeat(40) }],
    ["of another tag", "refs/tags/v2 counts", {}, { at: ["refs/tags/v2"] }],
    ["of another owner", "with the ID 4322, and not 4321", { sourceOwnerId: "4322" }],
    [
      "for another repository",
      "and not for https://github.com/acme/cart or https://github.com/acme/*",
      { sourceRepository: "https://github.com/evil/shop" },
    ],
    ["of a pull request", "and not on a branch or a tag", { sourceRef: "refs/pull/7/merge" }],
    ["on a ref that only holds a branch's name", "and not on a branch or a tag", { sourceRef: "x/refs/heads/main" }],
    ["on a branch without a name", "and not on a branch or a tag", { sourceRef: "refs/heads/" }],
    [
      "on another ref",
      "and not on refs/heads/release or refs/tags/*",
      {},
      { refs: ["refs/heads/release", "refs/tags/*"] },
    ],
    ["on a runner of another kind", "and not self-hosted or github-hosted", { runnerEnvironment: "larger" }],
    ["without an environment", "no environment, and not production", {}, { environment: "production" }],
    [
      "in another environment",
      "the environment staging, and not production",
      { environment: "staging" },
      { environment: "production" },
    ],
  ])("%s", (_what, says, of, by) => {
    expect(judge(of, by)).toEqual([expect.stringContaining(says)]);
  });
});

describe("a run is the one that a rule means", () => {
  test.each<[what: string, of: Partial<WorkflowIdentity>, by?: Partial<WorkflowRule>]>([
    ["at a commit, whatever ref it was called by", {}],
    ["called by its commit", { buildSignerUri: `${workflow}@${commit}` }],
    ["called by a commit of 64 digits", { buildSignerUri: `${workflow}@${"c".repeat(64)}` }],
    ["at a tag, whatever commit it is", { buildSignerDigest: "e".repeat(40) }, { at: ["refs/tags/v1"] }],
    ["on a tag", { sourceRef: "refs/tags/v7" }],
    ["on a ref that the rule names", { sourceRef: "refs/tags/v7" }, { refs: ["refs/heads/main", "refs/tags/*"] }],
    ["in an environment of which the rule says nothing", { environment: "staging" }],
    ["in the rule's environment", { environment: "production" }, { environment: "production" }],
  ])("%s", (_what, of, by) => {
    expect(judge(of, by)).toEqual([]);
  });
});

test("all that keeps a run from it is told", () => {
  expect(judge({ issuer: "https://x", sourceOwnerId: "1", sourceRef: "refs/pull/7/merge" })).toHaveLength(3);
});

test("who signs is told in one line, with the environment where there is one", () => {
  const line = `${workflow}@refs/tags/v1 (commit ${commit}), for https://github.com/acme/shop at refs/heads/main, owner 4321, github-hosted, by the word of ${identity.issuer}`;
  expect(describeWorkflow(identity)).toBe(line);
  expect(describeWorkflow({ ...identity, environment: "production" })).toContain(
    "github-hosted, environment production, by",
  );
});
