import { decideGate } from "@goldenpath/testing/decide-gate";
import { factsOf, provenance, rulesOf, whole } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { WorkflowIdentity } from "../signing/workflow-identity.ts";
import { judgeRun } from "./match-run.ts";

// A builder writes what it wants into a provenance; of what the server certified of its run it can change nothing.

const caller = "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main";
const builder = "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main";
const identity: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: builder,
  buildSignerDigest: "c".repeat(40),
  runnerEnvironment: "github-hosted",
  sourceRepository: "https://github.com/acme/shop",
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "a".repeat(40),
  buildConfigUri: caller,
  buildTrigger: "push",
};
const told = { event: "push", callerId: caller };

function factsBy(given: WorkflowIdentity, more: Parameters<typeof provenance>[1] = {}) {
  const signed = { ...provenance("build", { ...told, ...more }), identity: given };
  return factsOf([...Object.values({ ...whole(), provenance: signed })]);
}

describe("a provenance that its own certificate contradicts", () => {
  test.each<[string, Partial<WorkflowIdentity>, RegExp]>([
    ["in the repository", { sourceRepository: "https://github.com/acme/cart" }, /its source is .*shop, .*acme\/cart/],
    ["in the ref", { sourceRef: "refs/heads/topic" }, /its ref is refs\/heads\/main, .*topic/],
    ["in the commit", { sourceDigest: "b".repeat(40) }, /its commit is a+, .*b+/],
    ["in the workflow", { buildConfigUri: `${caller}2` }, /its workflow is /],
    ["in the event", { buildTrigger: "pull_request_target" }, /its event is push, .*pull_request_target/],
    ["in the builder", { buildSignerUri: `${builder}2` }, /its builder is /],
  ])("%s is refused", (_what, change, says) => {
    const facts = factsBy({ ...identity, ...change });
    expect(rulesOf(facts)).toEqual(["gate.source"]);
    expect(decideGate(facts).violations[0]?.problem).toMatch(says);
  });

  test.each<[string, Parameters<typeof provenance>[1]]>([
    ["its event", { event: undefined }],
    ["its workflow", { callerId: undefined }],
    ["its ref", { source: { repository: "https://github.com/acme/shop", commit: "a".repeat(40) } }],
  ])("by leaving out %s is refused", (_what, more) => {
    expect(rulesOf(factsBy(identity, more))).toEqual(["gate.source"]);
  });

  test("in two places is refused for both, and told so in one line", () => {
    const facts = factsBy({ ...identity, sourceRef: "refs/heads/topic", buildTrigger: "pull_request_target" });
    expect(decideGate(facts).violations.map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/its ref is .*topic; its event is push, .*pull_request_target$/),
    ]);
  });

  test("in its event is refused, but for a run that has built nothing, of which the builder alone is asked", () => {
    const by = { ...told, builderId: builder, sourceRepository: identity.sourceRepository };
    const run = { ...by, sourceRef: identity.sourceRef, sourceCommit: identity.sourceDigest };
    expect(judgeRun({ ...run, event: "schedule" }, identity, "w")).toHaveLength(1);
    expect(judgeRun({ ...run, event: "schedule" }, identity, "w", true)).toEqual([]);
    expect(judgeRun({ ...run, builderId: "x" }, identity, "w", true)).toHaveLength(1);
  });

  test("and its twin passes, as does one without a certificate", () => {
    expect(rulesOf(factsBy(identity))).toEqual([]);
    expect(rulesOf(factsOf(Object.values(whole())))).toEqual([]);
  });
});
