import { readBuilds } from "@goldenpath/core/gate/binding";
import { findEnvironment } from "@goldenpath/core/gate/find-environment";
import type { Policy } from "@goldenpath/core/policy/schema";
import { type BuildFacts, orderBuilds } from "@goldenpath/core/promote/tag-order";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import type { ProvenanceFacts } from "@goldenpath/core/signing/provenance";
import { summaryExtension } from "@goldenpath/core/signing/verification-summary";
import type { Execution } from "@goldenpath/core/verbs/execute";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { attachEvidence, inRepository, pushImage, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { openStand, promotionsAmong, readStatements, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

// A tag goes to what a later run has built, and back only where somebody says so.

let stand: Stand;
beforeEach(async () => {
  stand = await openStand();
});
afterEach(() => stand.close());

const shop = "https://github.com/acme/shop";
const run = (id: number, attempt = 1): Partial<ProvenanceFacts> => ({
  invocationId: `${shop}/actions/runs/${id}/attempts/${attempt}`,
});

async function stage(
  content: string,
  built: Partial<ProvenanceFacts>,
  push: typeof pushImage = pushImage,
): Promise<TestImage> {
  const { client, policy, keys } = stand;
  const image = await push(client, `${stand.from}/shop`, content);
  await attachEvidence({ client, image, policy, keys, falsehoods: { provenance: { built } } });
  return image;
}

/** Puts a run's provenance of an image under another label, in the place of the referrer that is there. */
async function relabel(
  image: TestImage,
  runId: number,
  predicateType: string,
): Promise<{ restore(): Promise<unknown> }> {
  const { client, from, quarantine } = stand;
  const taken: Uint8Array[] = [];
  for (const { referrer, statement } of await readStatements(stand, `${from}/shop`, image.digest)) {
    if (!JSON.stringify(statement.predicate).includes(`/runs/${runId}/`)) continue;
    const found = await client.fetchManifest({ ...image.repository, digest: referrer });
    taken.push(found.bytes);
    const manifest = JSON.parse(new TextDecoder().decode(found.bytes));
    manifest.annotations["dev.sigstore.bundle.predicateType"] = predicateType;
    await client.pushManifest(image.repository, new TextEncoder().encode(JSON.stringify(manifest)), found.mediaType);
    const gone = await fetch(`http://${quarantine.host}/v2/${image.repository.name}/manifests/${referrer}`, {
      method: "DELETE",
    });
    expect(gone.status).toBe(202);
  }
  return {
    restore: () =>
      Promise.all(taken.map((bytes) => client.pushManifest(image.repository, bytes, mediaTypes.ociManifest))),
  };
}

function withDev(policy: Policy): Policy {
  const production = policy.environments["production"] ?? expect.unreachable();
  const dev = { ...production, promoter: "base", requires: [{ stage: "build" as const, signers: ["build", "scan"] }] };
  return { ...policy, environments: { ...policy.environments, dev } };
}

const tagOf = async (tag: string): Promise<string | undefined> => (await stand.vettedState())["vetted/shop"]?.tags[tag];

async function expectPass(execution: Promise<Execution>): Promise<Execution> {
  const { outcome, error } = await execution;
  expect(error).toBeUndefined();
  expect(outcome.result.violations).toEqual([]);
  return { outcome, resultFile: "" };
}

async function expectRefused(
  image: TestImage,
  says: RegExp,
  inputs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const before = await stand.vettedState();
  const { outcome } = await stand.promote(image, inputs);
  expect(outcome.verdict).toBe("fail");
  expect(outcome.result.violations.map((violation) => violation.rule)).toEqual(["promote.tag-moves-back"]);
  expect(outcome.result.violations[0]?.problem).toMatch(says);
  expect(outcome.result.violations[0]?.wayOut).toContain("allow-tag-rollback");
  expect(await stand.vettedState()).toEqual(before);
}

const says = { earlier: /built by a later run/, unknown: /can't be told/ };

describe("refused, and vetted stays as it was", () => {
  test.each<[string, Partial<ProvenanceFacts>, Partial<ProvenanceFacts>, RegExp]>([
    ["an image of an earlier run", run(1002), run(1001), says.earlier],
    ["an earlier run that is run again: it keeps its ID", run(1002), run(1001, 7), says.earlier],
    ["an earlier attempt of the same run", run(1002, 2), run(1002, 1), says.earlier],
    ["a run whose ID has fewer digits, although it reads as more", run(10_002), run(9_999), says.earlier],
    [
      "an earlier build where no run is known",
      { finishedOn: new Date(Date.now() - 60_000) },
      { finishedOn: new Date(Date.now() - 120_000) },
      says.earlier,
    ],
    ["an image of no known run over one of a known", run(1002), {}, says.unknown],
    ["an image of a known run over one of no known", {}, run(1002), says.unknown],
    [
      "an ID of another repository's run",
      run(1002),
      { invocationId: "https://github.com/acme/cart/actions/runs/2000/attempts/1" },
      says.unknown,
    ],
    ["an ID that is none", run(1002), { invocationId: `${shop}/actions/runs/0x7ff/attempts/1` }, says.unknown],
    [
      "an image of another repository",
      run(1002),
      {
        source: { repository: "https://github.com/acme/cart", commit: "a".repeat(40), ref: "refs/heads/main" },
        invocationId: "https://github.com/acme/cart/actions/runs/2000/attempts/1",
      },
      says.unknown,
    ],
  ])("%s", async (_what, present, next, problem) => {
    const there = await stage("there", present);
    await expectPass(stand.promote(there));
    await expectRefused(await stage("next", next), problem);
    await expectRefused(await stage("next", next), problem, { "dry-run": "true" });
    expect(await tagOf("1.0.0")).toBe(there.digest);
  });

  test("over an image of which nothing is signed, or by a stranger alone", async () => {
    const { client, policy, keys } = stand;
    await expectRefused(await stage("next", run(1002)), says.unknown, { tags: "0.9.0" });
    const there = await pushImage(client, `${stand.to}/shop`, "a stranger's", "0.8.0");
    await attachEvidence({
      client,
      image: there,
      policy,
      keys,
      falsehoods: { provenance: { by: "stranger", built: run(1) } },
    });
    await expectRefused(await stage("next", run(1002)), says.unknown, { tags: "0.8.0" });
    await attachEvidence({
      client,
      image: there,
      policy,
      keys,
      falsehoods: { provenance: { by: "scan", built: run(1) } },
    });
    await expectRefused(await stage("next", run(1002)), says.unknown, { tags: "0.8.0" });
  });

  test("a later run's provenance under a false label, which a reader of the list would pass over: it does not get into vetted", async () => {
    const image = await stage("there", run(1001));
    await stage("there", run(1003));
    const { restore } = await relabel(image, 1003, predicateTypes.cyclonedx);
    const before = await stand.vettedState();
    const { outcome } = await stand.promote(image);
    expect(outcome.result.violations.map(({ rule, problem }) => ({ rule, problem }))).toEqual([
      { rule: "promote.evidence-label", problem: expect.stringContaining(predicateTypes.provenance) },
    ]);
    expect(await stand.vettedState()).toEqual(before);
    // Its twin: with the same bundle under its own label as well, that one goes along, and the order holds.
    await restore();
    await expectPass(stand.promote(image));
    await expectRefused(await stage("next", run(1002)), says.earlier);
  });

  test("by a lesser environment's builder, who says that the present image is of an early run", async () => {
    const { client, policy, keys } = stand;
    const there = await stage("there", run(1002));
    await expectPass(stand.promote(there));
    // `scan` builds for dev alone: its word neither makes the one older nor the other newer.
    const dev = { ...policy, policy: withDev(policy.policy) };
    const inVetted = inRepository(there, `${stand.to}/shop`);
    await attachEvidence({
      client,
      image: inVetted,
      policy,
      keys,
      pieces: ["provenance"],
      falsehoods: { provenance: { by: "scan", built: run(999) } },
    });
    const next = await stage("next", run(1001));
    await attachEvidence({
      client,
      image: next,
      policy,
      keys,
      pieces: ["provenance"],
      falsehoods: { provenance: { by: "scan", built: run(2000) } },
    });
    await expectRefused(next, says.earlier);
    for (const [environment, order] of [
      ["production", "earlier"],
      ["dev", "later"],
    ] as const) {
      const builds = async (image: TestImage): Promise<BuildFacts> =>
        readBuilds(
          dev.policy,
          findEnvironment(dev, environment),
          await collectEvidence(client, image.repository, image.digest, dev.policy.signers, { now: new Date() }),
        );
      expect(orderBuilds(await builds(inVetted), await builds(next))).toBe(order);
    }
  });

  test("one of several tags: none of them is set", async () => {
    await expectPass(stand.promote(await stage("there", run(1002))));
    await expectRefused(await stage("next", run(1001)), says.earlier, { tags: "new\n1.0.0" });
    expect(await tagOf("new")).toBeUndefined();
  });

  test("an index of an earlier run", async () => {
    await expectPass(stand.promote(await stage("there", run(1002), pushIndex)));
    await expectRefused(await stage("next", run(1001), pushIndex), says.earlier);
  });
});

describe("their twins pass", () => {
  test.each<[string, Partial<ProvenanceFacts>, Partial<ProvenanceFacts>]>([
    ["an image of a later run", run(1001), run(1002)],
    ["a later attempt of the same run", run(1001, 1), run(1001, 2)],
    ["a run whose ID has more digits", run(9_999), run(10_002)],
    [
      "a later build where no run is known",
      { finishedOn: new Date(Date.now() - 120_000) },
      { finishedOn: new Date(Date.now() - 60_000) },
    ],
  ])("%s", async (_what, present, next) => {
    await expectPass(stand.promote(await stage("there", present)));
    const image = await stage("next", next);
    await expectPass(stand.promote(image));
    expect(await tagOf("1.0.0")).toBe(image.digest);
  });

  test("the same image again, a first tag, and an image that a later run has built again, bit for bit", async () => {
    const image = await stage("there", run(1001));
    await expectPass(stand.promote(image));
    await expectPass(stand.promote(image));
    await expectPass(stand.promote(await stage("next", run(1002))));
    await expectPass(stand.promote(await stage("there", run(1001)), { tags: "other" }));
    await stage("there", run(1003));
    await expectPass(stand.promote(image));
    expect(await tagOf("1.0.0")).toBe(image.digest);
  });

  test("what somebody allows is in the promotion's statement, however recently that was signed without", async () => {
    const first = await stage("there", run(1001));
    const second = await stage("next", run(1002));
    await expectPass(stand.promote(first));
    await expectPass(stand.promote(second));
    await expectRefused(first, /later run/);
    await expectPass(stand.promote(first, { "allow-tag-rollback": "true" }));
    expect(await tagOf("1.0.0")).toBe(first.digest);
    const said = promotionsAmong(await readStatements(stand, `${stand.to}/shop`, first.digest)).map(
      ({ statement }) => (statement.predicate[summaryExtension] as Record<string, unknown>)["tagRollbacks"],
    );
    expect(said).toHaveLength(2);
    expect(said.filter((each) => each !== undefined)).toEqual([
      [{ tag: "1.0.0", from: second.digest, reason: "earlier" }],
    ]);
  });

  test("of two promotions of different runs at once, the earlier never has the last word", async () => {
    await expectPass(stand.promote(await stage("there", run(1000))));
    const older = await stage("older", run(1001));
    const newer = await stage("newer", run(1002));
    const late = await stand.prepare(older);
    await expectPass(stand.promote(newer));
    await expect(late.prepared?.execute(stand.keys.promote.signer)).rejects.toMatchObject({ code: "tag-moved" });
    expect(await tagOf("1.0.0")).toBe(newer.digest);
  });

  test("a moved tag costs a list and the one provenance, and nothing where none moves", async () => {
    const count = async (image: TestImage): Promise<number> => {
      stand.vetted.requests.length = 0;
      await expectPass(stand.promote(image, { tags: "1.0.0" }));
      return stand.vetted.requests.filter(({ path }) => path.startsWith("/v2/vetted/")).length;
    };
    await stage("there", run(1001));
    await expectPass(stand.promote(await stage("warm", run(1)), { tags: "warm" }));
    const fresh = await count(await stage("first", run(1002)));
    const moved = await count(await stage("second", run(1003)));
    expect(moved - fresh).toBe(3);
  });
});

test("what replaces one image takes no tag that was put back on another while it waited, nor any beside that; its twin does", async () => {
  const good = await stage("good", run(1001));
  const bad = await stage("bad", run(1002));
  const tags = "1.0.0\nprod";
  await expectPass(stand.promote(good, { tags }));
  await expectPass(stand.promote(bad, { tags }));
  await expectPass(stand.promote(good, { tags: "prod", "allow-tag-rollback": "true" }));
  // As new as what was rebased from `bad` a day ago, and waited for reviewers since.
  const waiting = await stage("waiting", run(1003));
  const before = await stand.vettedState();
  const others: Record<string, string>[] = [{}, { "dry-run": "true" }, { "allow-tag-rollback": "true" }];
  for (const more of others) {
    const { outcome, error } = await stand.promote(waiting, { tags, replaces: bad.digest, ...more });
    expect(outcome.verdict).toBe("error");
    expect(error).toMatchObject({ code: "tag-moved", message: expect.stringContaining(`prod is at ${good.digest}`) });
    expect(await stand.vettedState()).toEqual(before);
  }
  await expectPass(stand.promote(bad, { tags: "prod" }));
  await expectPass(stand.promote(waiting, { tags, replaces: `${stand.to}/shop@${bad.digest}` }));
  expect([await tagOf("1.0.0"), await tagOf("prod")]).toEqual([waiting.digest, waiting.digest]);
  // The same again, as by a run that is run again.
  await expectPass(stand.promote(waiting, { tags, replaces: bad.digest }));
});
