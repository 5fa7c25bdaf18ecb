import { policy } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { SourceBinding } from "../../gate/binding.ts";
import { type CacheRun, isProtected, nameWriter } from "./writer.ts";

// A policy that takes builds of pull requests takes them to be judged. What they leave is still nobody else's to read.

const repository = "https://github.com/acme/shop";
const onMain = {
  sourceRepository: repository,
  sourceRef: "refs/heads/main",
  defaultBranch: "main",
  event: "push",
  builderId: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-build.yml@refs/heads/main",
} satisfies CacheRun;
const onPullRequest = { ...onMain, sourceRef: "refs/pull/7/merge", event: "pull_request" } satisfies CacheRun;

const policyOf = (...sources: SourceBinding[]) => ({
  ...policy.policy,
  build: { ...policy.policy.build, sources },
});
const refs = ["refs/heads/main", "refs/pull/*/merge"];
const taking = (...events: string[]): SourceBinding => ({ repository, events: ["push", ...events] });

describe("a run that whoever may only propose can start does not write for others", () => {
  test.each<[string, CacheRun, SourceBinding[]]>([
    ["a pull request's, on a ref that the policy takes", onPullRequest, [{ ...taking("pull_request"), refs }]],
    ["on the default branch", { ...onMain, event: "pull_request_target" }, [taking("pull_request_target")]],
    ["after another workflow", { ...onMain, event: "workflow_run" }, [taking("workflow_run")]],
    ["by a comment", { ...onMain, event: "issue_comment" }, [taking("issue_comment")]],
    [
      "on a ref that another entry names",
      { ...onMain, defaultBranch: "trunk", event: "pull_request_target" },
      [taking("pull_request_target"), { repository, refs: ["refs/heads/main"] }],
    ],
  ])("%s", (_what, run, sources) => {
    const taken = policyOf(...sources);
    expect(isProtected(run, taken)).toBe(false);
    expect(nameWriter(run, taken)).toMatch(/^[0-9a-f]{12}$/);
    // What is pushed there, under the same policy, does.
    expect(nameWriter({ ...run, sourceRef: onMain.sourceRef, event: "push" }, taken)).toBe("protected");
  });

  test.each(["push", "release", "create", "schedule", "workflow_dispatch", "repository_dispatch"])(
    "one by '%s' does",
    (event) => {
      expect(isProtected({ ...onMain, event }, policyOf({ repository }))).toBe(true);
    },
  );
});
