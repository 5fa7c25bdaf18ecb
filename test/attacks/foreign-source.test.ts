import type { ProvenanceFacts } from "@goldenpath/core/signing/provenance";
import type { Execution } from "@goldenpath/core/verbs/execute";
import { attachEvidence, pushImage } from "@goldenpath/testing/chain";
import { type ChainPolicy, putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, describe, expect, test } from "vitest";

// Whose build may become which image: repository, ref, builder, caller and event of the build, held to what it is
// promoted to.

let stand: Stand;
let policy: ChainPolicy;
afterEach(() => stand.close());

const workflows = "https://github.com/acme/platform/.github/workflows";
/** What an honest build of shop says of itself. */
const honest: Partial<ProvenanceFacts> = {
  source: { repository: "https://github.com/acme/shop", commit: "a".repeat(40), ref: "refs/heads/main" },
  builderId: `${workflows}/stage-build.yml@refs/tags/v1`,
  event: "push",
  callerId: "https://github.com/acme/shop/.github/workflows/golden-path.yml@refs/heads/main",
};
const sourceOf = (repository: string, ref?: string): Partial<ProvenanceFacts> => ({
  source: { repository, commit: "a".repeat(40), ...(ref === undefined ? {} : { ref }) },
});

async function open(sources: (to: string) => string): Promise<void> {
  stand = await openStand();
  const { directory, keys, from, to, client } = stand;
  policy = await writeChainPolicy({ directory, keys, from, to, serial: 6, sources: sources(to) });
  await putInForce(client, to, policy, { keys });
}

async function promote(built: Partial<ProvenanceFacts>, to = "shop", from = "shop"): Promise<Execution> {
  const { client, keys } = stand;
  const image = await pushImage(client, `${stand.from}/${from}`);
  await attachEvidence({ client, image, policy, keys, falsehoods: { provenance: { built: { ...honest, ...built } } } });
  return stand.promote(image, { policy: policy.file, to: `${stand.to}/${to}` });
}

async function expectRefused(rule: string, says: RegExp, ...given: Parameters<typeof promote>): Promise<void> {
  const before = await stand.vettedState();
  const { outcome } = await promote(...given);
  expect(outcome.verdict).toBe("fail");
  expect(outcome.result.violations.map((violation) => violation.rule)).toEqual([rule]);
  expect(outcome.result.violations[0]?.problem).toMatch(says);
  expect(await stand.vettedState()).toEqual(before);
}

async function expectPass(...given: Parameters<typeof promote>): Promise<void> {
  const { outcome, error } = await promote(...given);
  expect(error).toBeUndefined();
  expect(outcome.result.violations).toEqual([]);
}

describe("each repository to its own image", () => {
  const bound = (to: string): string => `[{ repository: "https://github.com/acme/*", to: ["${to}/{name}"] }]`;

  test.each<[string, string, string]>([
    ["another team's image", "https://github.com/acme/cart", "shop"],
    ["an image whose name begins alike", "https://github.com/acme/shop", "shop2"],
    ["an image above its own", "https://github.com/acme/shop", "all/shop"],
    ["a name that is none for an image", "https://github.com/acme/shop_.", "shop"],
    ["an image under its own name, which may be another team's", "https://github.com/acme/shop", "shop/worker"],
  ])("%s is refused", async (_what, repository, to) => {
    await open(bound);
    await expectRefused("gate.destination", /and not to/, sourceOf(repository, "refs/heads/main"), to);
  });

  test.each<[string, string, string]>([
    ["its own image", "https://github.com/acme/shop", "shop"],
    ["a repository with capitals, whose image has none", "https://github.com/acme/Shop", "shop"],
  ])("%s passes", async (_what, repository, to) => {
    await open(bound);
    await expectPass(sourceOf(repository, "refs/heads/main"), to);
  });

  test("what lies below a repository is meant where the policy says so, and then not the repository itself", async () => {
    const below = (to: string): string => `[{ repository: "https://github.com/acme/*", to: ["${to}/{name}/"] }]`;
    await open(below);
    await expectPass(sourceOf("https://github.com/acme/shop", "refs/heads/main"), "shop/worker");
    await open(below);
    await expectRefused(
      "gate.destination",
      /and not to/,
      sourceOf("https://github.com/acme/shop", "refs/heads/main"),
      "shop",
    );
  });

  test.each<[string, string, string, boolean]>([
    ["the team above, under the other's prefix", "https://github.com/acme/payments", "payments/checkout", false],
    ["the team below, beside its prefix", "https://github.com/pay/checkout", "checkout", false],
    ["the team below, at the name that its prefix has", "https://github.com/pay/payments", "payments", false],
    ["its twin: each its own", "https://github.com/acme/payments", "payments", true],
    ["its twin: each its own, below", "https://github.com/pay/checkout", "payments/checkout", true],
  ])("two teams, one's place below the other's: %s", async (_what, repository, to, passes) => {
    await open(
      (vetted) => `[
        { repository: "https://github.com/acme/*", to: ["${vetted}/{name}"] }, { repository: "https://github.com/pay/*", to: ["${vetted}/payments/{name}"] }]`,
    );
    const built = sourceOf(repository, "refs/heads/main");
    await (passes ? expectPass(built, to) : expectRefused("gate.destination", /and not to/, built, to));
  });

  test("of several entries it takes one that fits whole: a repository's own, or the one for all", async () => {
    await open(
      (to) => `["https://github.com/acme/platform", { repository: "https://github.com/acme/*", to: ["${to}/{name}"] }]`,
    );
    await expectPass(sourceOf("https://github.com/acme/platform"), "anything");
    await stand.close();
    await open(
      (to) => `["https://github.com/acme/platform", { repository: "https://github.com/acme/*", to: ["${to}/{name}"] }]`,
    );
    await expectRefused("gate.destination", /shop/, {}, "anything");
  });
});

describe("ref, builder, caller and event", () => {
  const bound = (): string => `
    - repository: https://github.com/acme/shop
      refs: [refs/heads/main, refs/tags/*]
      workflows: ["${workflows}/stage-build.yml@refs/tags/*", "${workflows}/stage-build.yml@*"]
      callers: ["https://github.com/acme/shop/.github/workflows/golden-path.yml@refs/heads/main"]
      events: [push, workflow_dispatch]`;

  test.each<[string, RegExp, Partial<ProvenanceFacts>]>([
    ["another branch", /its ref is refs\/heads\/try/, sourceOf("https://github.com/acme/shop", "refs/heads/try")],
    ["a branch below the one", /its ref/, sourceOf("https://github.com/acme/shop", "refs/heads/main/x")],
    ["a branch that begins alike", /its ref/, sourceOf("https://github.com/acme/shop", "refs/heads/main2")],
    ["no ref", /its ref is unknown/, sourceOf("https://github.com/acme/shop")],
    [
      "another builder",
      /its builder/,
      { builderId: "https://github.com/acme/shop/.github/workflows/stage-build.yml@refs/tags/v1" },
    ],
    ["the builder at a branch", /its builder/, { builderId: `${workflows}/stage-build.yml@refs/heads/try` }],
    ["no workflow, but a machine", /its builder is local/, { builderId: "local" }],
    [
      "another workflow of the repository",
      /its workflow/,
      { callerId: "https://github.com/acme/shop/.github/workflows/x.yml@refs/heads/main" },
    ],
    ["an unknown caller", /its workflow is unknown/, { callerId: undefined }],
    ["a pull request", /its event is pull_request/, { event: "pull_request" }],
    ["an event that is not listed", /its event is schedule/, { event: "schedule" }],
    ["an unknown event", /its event is unknown/, { event: undefined }],
  ])("%s is refused", async (_what, says, built) => {
    await open(bound);
    await expectRefused("gate.source", says, built);
  });

  test.each<[string, Partial<ProvenanceFacts>]>([
    ["the build as it should be", {}],
    ["a tag", sourceOf("https://github.com/acme/shop", "refs/tags/v1.2.3")],
    ["a builder that is pinned to a commit", { builderId: `${workflows}/stage-build.yml@${"b".repeat(40)}` }],
    ["another event of the list", { event: "workflow_dispatch" }],
  ])("%s passes", async (_what, built) => {
    await open(bound);
    await expectPass(built);
  });
});

describe("where the policy says nothing but the repository", () => {
  const plain = (): string => `["https://github.com/acme/*"]`;

  test.each<[string, RegExp, Partial<ProvenanceFacts>]>([
    ["a pull request's run", /its event is pull_request/, { event: "pull_request" }],
    ["a run that a pull request from outside can start", /its event/, { event: "pull_request_target" }],
    ["a run that another workflow's end starts", /its event/, { event: "workflow_run" }],
    [
      "a pull request's ref, from before events were stated",
      /its ref/,
      { ...sourceOf("https://github.com/acme/shop", "refs/pull/7/merge"), event: undefined },
    ],
  ])("%s is refused", async (_what, says, built) => {
    await open(plain);
    await expectRefused("gate.source", says, built);
  });

  test.each<[string, Partial<ProvenanceFacts>]>([
    ["a push", {}],
    ["a schedule", { event: "schedule" }],
    [
      "any branch, from before events were stated",
      { ...sourceOf("https://github.com/acme/shop", "refs/heads/x"), event: undefined },
    ],
  ])("%s passes", async (_what, built) => {
    await open(plain);
    await expectPass(built);
  });

  test("a pull request's run passes where the policy says so", async () => {
    await open(() => `[{ repository: "https://github.com/acme/*", events: [pull_request] }]`);
    await expectPass({ ...sourceOf("https://github.com/acme/shop", "refs/pull/7/merge"), event: "pull_request" });
  });
});
