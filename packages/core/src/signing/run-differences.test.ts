import { expect, test } from "vitest";
import { findDifferences, type ToldRun } from "./run-differences.ts";
import type { WorkflowIdentity } from "./workflow-identity.ts";

const identity: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: "builder",
  buildSignerDigest: "c".repeat(40),
  runnerEnvironment: "github-hosted",
  sourceRepository: "source",
  sourceOwnerId: "4321",
  sourceRef: "ref",
  sourceDigest: "commit",
  buildConfigUri: "caller",
  buildTrigger: "push",
};
const told: ToldRun = {
  builderId: "builder",
  sourceRepository: "source",
  sourceRef: "ref",
  sourceCommit: "commit",
  callerId: "caller",
  event: "push",
};

test.each<[keyof ToldRun, string, string]>([
  ["builderId", "its builder", "builder"],
  ["sourceRepository", "its source", "source"],
  ["sourceRef", "its ref", "ref"],
  ["sourceCommit", "its commit", "commit"],
  ["callerId", "its workflow", "caller"],
  ["event", "its event", "push"],
])("another %s, or none, is a difference, and the only one", (field, what, certified) => {
  expect(findDifferences({ ...told, [field]: "x" }, identity)).toEqual([
    `${what} is x, and by its certificate ${certified}`,
  ]);
  expect(findDifferences({ ...told, [field]: undefined }, identity)).toEqual([
    `${what} is unknown, and by its certificate ${certified}`,
  ]);
});

test("of a run that has built nothing, the builder alone is compared", () => {
  const other = { ...told, sourceRepository: "x", sourceRef: "x", sourceCommit: "x", callerId: "x", event: "x" };
  expect(findDifferences(other, identity)).toHaveLength(5);
  expect(findDifferences(other, identity, true)).toEqual([]);
  expect(findDifferences({ ...other, builderId: "x" }, identity, true)).toHaveLength(1);
});

test("and the same run has no difference", () => {
  expect(findDifferences(told, identity)).toEqual([]);
});
