import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { createPointerReader } from "@goldenpath/core/promote/in-force";
import { type PromotionPreparation, preparePromotion } from "@goldenpath/core/promote/promote";
import { isStagingTag } from "@goldenpath/core/promote/server-side/plan";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { Fault } from "@goldenpath/registry-server/server";
import { attachEvidence, pieces, pushImage, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { type ChainPolicy, putInForce } from "@goldenpath/testing/chain-policy";
import {
  connect,
  openStand,
  promoteWhole,
  promotionsAmong,
  readStatements,
  type Stand,
} from "@goldenpath/testing/promotion";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Behaviour, type ProductServer, startProduct } from "../support/artifactory-nexus.ts";

/**
 * The whole promotion, with a product's part in it: the product is a stand-in, the gate, the registry and the evidence
 * are what they are everywhere.
 */
let stand: Stand;
let product: ProductServer;

type Kind = "artifactory" | "nexus";
interface Setting {
  kind: Kind;
  copy: boolean;
}
const settings: [string, Setting][] = [
  ["Artifactory, copying", { kind: "artifactory", copy: true }],
  ["Artifactory, moving", { kind: "artifactory", copy: false }],
  ["Nexus", { kind: "nexus", copy: false }],
];

async function open({ kind, copy }: Setting, change: Record<string, string> = {}): Promise<void> {
  const opened = await openStand();
  product = await startProduct({ product: kind, registry: opened.quarantine });
  const { from = opened.from, url = product.url } = change;
  const lines = [
    "    serverSide:",
    `      product: ${kind}`,
    `      url: ${url}`,
    `      from: { key: quarantine, prefix: "${from}" }`,
    `      to: { key: vetted, prefix: "${opened.to}" }`,
    ...(kind === "artifactory" ? [`      copy: ${copy}`] : []),
  ];
  const text = (await readFile(opened.policy.file, "utf8"))
    .replace(/^( {2}production:\n)/m, `$1${lines.join("\n")}\n`)
    .replace("serial: 5", "serial: 6");
  const file = join(await mkdtemp(join(opened.directory, "policy-")), "policy.yaml");
  await writeFile(file, text);
  const bytes = new TextEncoder().encode(text);
  const policy: ChainPolicy = { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes), file };
  // The stand's own is in force, under the same serial.
  await putInForce(opened.client, opened.to, policy, { keys: opened.keys });
  // A product that moves takes everything that it can: what it may leave is the easier case.
  product.behaviour = { takesManifest: true };
  stand = { ...opened, policy, promote: (image, inputs) => opened.promote(image, { policy: file, ...inputs }) };
}

async function stage(push: typeof pushImage, name = "shop"): Promise<TestImage> {
  const { client, policy, keys } = stand;
  const image = await push(client, `${stand.from}/${name}`);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

function prepare(image: TestImage, client: RegistryClient, name = "shop"): Promise<PromotionPreparation> {
  return preparePromotion(
    client,
    {
      image: parseReference(image.reference),
      to: parseRepository(`${stand.to}/${name}`),
      tags: ["1.0.0"],
      environmentName: "production",
      policy: stand.policy,
      pointers: createPointerReader(client, stand.policy, stand.keys.platform.publicKey),
      patience: { attempts: 2, sleep: async () => undefined },
    },
    {
      ports: silentPorts(),
      run: { builderId: "test" },
      workingDirectory: stand.directory,
      temporaryDirectory: stand.directory,
      env: {},
      signal: new AbortController().signal,
      now: () => new Date(),
    },
  );
}

const posts = (): number => product.requests.filter(({ method }) => method === "POST").length;
const stagingTags = async (): Promise<string[]> =>
  Object.entries(await stand.quarantine.snapshot()).flatMap(([name, { tags }]) =>
    Object.keys(tags)
      .filter(isStagingTag)
      .map((tag) => `${name}:${tag}`),
  );

afterEach(async () => {
  await product.close();
  await stand.close();
});

describe.each(settings)("%s: refused", (_what, setting) => {
  test.each<[string, Behaviour, string]>([
    ["another image", { brings: digestOf("set below") }, "server-side-mismatch"],
    ["the image's whole repository", { takesAll: true }, "server-side-carried-more"],
    ["that the product may not", { refuses: { status: 403 } }, "server-side-unauthorized"],
    ["that the product can't", { refuses: { status: 409 } }, "server-side-failed"],
  ])("%s: no tag, no statement", async (_case, behaviour, code) => {
    await open(setting);
    const image = await stage(pushImage);
    const other = await pushImage(stand.client, `${stand.from}/shop`, "never judged", "other");
    product.behaviour = behaviour.brings === undefined ? behaviour : { brings: other.digest };
    const { outcome, error } = await stand.promote(image);
    expect(error).toMatchObject({ code });
    expect(outcome.verdict).toBe("error");
    expect(Object.keys((await stand.vettedState())["vetted/shop"]?.tags ?? {})).not.toContain("1.0.0");
    expect(await readStatements(stand, `${stand.to}/shop`, image.digest).catch(() => [])).toEqual([]);
  });

  test("an image that the gate refuses is not staged, and the product is not asked", async () => {
    await open(setting);
    const image = await pushImage(stand.client, `${stand.from}/shop`);
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("fail");
    expect({ asked: product.requests, staged: await stagingTags() }).toEqual({ asked: [], staged: [] });
  });

  test("an image from elsewhere than the settings say, before anything is asked", async () => {
    await open(setting, { from: "other.example/quarantine" });
    const { error } = await stand.promote(await stage(pushImage));
    expect(error).toMatchObject({ code: "server-side-prefix" });
    expect(product.requests).toEqual([]);
  });
});

describe.each(settings)("%s", (_what, setting) => {
  beforeEach(() => open(setting));

  test("brings an image; its evidence and its release tag are as after every promotion, and no staging tag is left", async () => {
    const image = await stage(pushImage);
    await promoteWhole(stand, image);
    expect(posts()).toBe(1);
    expect(await stagingTags()).toEqual([]);
    const atSource = await stand.client.resolve({ ...image.repository, digest: image.digest });
    expect(atSource).toBe(setting.copy ? image.digest : undefined);
    // A second run finds everything there, and the product is not asked again.
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect(posts()).toBe(1);
  });

  test("brings an index without its children, and they are copied", async () => {
    product.behaviour = { withoutChildren: true };
    const image = await stage(pushIndex);
    await promoteWhole(stand, image);
    expect(posts()).toBe(1);
    const there = (await stand.vettedState())["vetted/shop"]?.manifests ?? [];
    expect(there).toEqual(expect.arrayContaining([image.digest, ...image.children.map(({ digest }) => digest)]));
  });

  test("says that it brought it, and did not: everything is copied, and the result says so", async () => {
    product.behaviour = { isIdle: true };
    const image = await stage(pushImage);
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.notes.join("\n")).toContain("it was not at the destination: all of it is copied");
    expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
  });

  test("is not asked by a dry run, whose plan says what it would be asked", async () => {
    const image = await stage(pushImage);
    const before = await stand.quarantine.snapshot();
    const execution = await stand.promote(image, { "dry-run": "true" });
    expect(execution.outcome.verdict).toBe("pass");
    expect(product.requests).toEqual([]);
    expect(await stand.quarantine.snapshot()).toEqual(before);
    const plan = await stand.plan(execution);
    expect(plan.serverSide).toMatchObject({
      product: setting.kind,
      moves: !setting.copy,
      image: "shop",
      fromKey: "quarantine",
      toKey: "vetted",
    });
    expect(plan.serverSide?.steps.join("\n")).toContain(
      `${setting.copy ? "copies" : "moves"} shop:goldenpath-staging-`,
    );
  });

  test("is asked by two promotions at once, and both end well", async () => {
    const image = await stage(pushImage);
    const clients = [connect(), connect()];
    const prepared = await Promise.all(clients.map((client) => prepare(image, client)));
    const outcomes = await Promise.all(prepared.map(({ prepared }) => prepared?.execute(stand.keys.promote.signer)));
    await Promise.all(clients.map((client) => client.close()));
    expect(outcomes.map((outcome) => outcome?.gate.verdict)).toEqual(["pass", "pass"]);
    expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
    expect(await stagingTags()).toEqual([]);
  });

  test("is asked when another promotion of the image has just ended, staging tags and all, and ends well", async () => {
    const image = await stage(pushImage);
    const [first, second] = [connect(), connect()];
    const other = await prepare(image, second);
    let hasEnded = false;
    const late: typeof first = {
      ...first,
      async listTags(repository) {
        // Its own staging tag is set by now, and the product is asked next.
        if (!hasEnded && repository.name.startsWith("quarantine/") && (await stagingTags()).length > 0) {
          hasEnded = true;
          await other.prepared?.execute(stand.keys.promote.signer);
        }
        return first.listTags(repository);
      },
    };
    const outcome = await (await prepare(image, late)).prepared?.execute(stand.keys.promote.signer);
    await Promise.all([first.close(), second.close()]);
    expect(hasEnded).toBe(true);
    expect(outcome?.gate.verdict).toBe("pass");
    expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
    expect(await stagingTags()).toEqual([]);
  });
});

describe.each(settings)("%s: killed after any write, to either repository,", (_what, setting) => {
  /** From the write after the first `count` on, none gets through, not the product's either. */
  const dieAfter = (count: number): Fault => ({
    method: ["POST", "PUT", "PATCH", "DELETE"],
    after: count,
    action: { kind: "reset" },
  });

  test("a promotion leaves no tag without evidence, and the next run ends it", async () => {
    await open(setting);
    let deaths = 0;
    for (let isWhole = false; !isWhole; ) {
      const name = `shop-${deaths}`;
      const image = await stage(pushImage, name);
      const mortal = connect(1);
      const { prepared } = await prepare(image, mortal, name);
      stand.quarantine.faults = [dieAfter(deaths)];
      const error = await prepared?.execute(stand.keys.promote.signer).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      stand.quarantine.faults = [];
      await mortal.close();
      const tag = { ...parseRepository(`${stand.to}/${name}`), tag: "1.0.0" };
      const evidence = async (): Promise<number> =>
        (await readStatements(stand, `${stand.to}/${name}`, image.digest)).length;
      if (error === undefined) isWhole = (await stagingTags()).length === 0;
      else expect(error).toBeInstanceOf(InfrastructureError);
      if ((await stand.client.resolve(tag)) !== undefined) expect(await evidence()).toBe(pieces.length + 1);
      if (!isWhole) {
        const again = connect();
        const outcome = await (await prepare(image, again, name)).prepared?.execute(stand.keys.promote.signer);
        await again.close();
        expect(outcome?.gate.verdict).toBe("pass");
        deaths++;
      }
      expect(await stand.client.resolve(tag)).toBe(image.digest);
      const statements = await readStatements(stand, `${stand.to}/${name}`, image.digest);
      expect({ all: statements.length, promotions: promotionsAmong(statements).length }).toEqual({
        all: pieces.length + 1,
        promotions: 1,
      });
      expect(await stagingTags()).toEqual([]);
    }
    // The staging tag, the product's own writes, the evidence, the promotion's, the release tag and the staging tags'
    // removal: fewer and something was not tried.
    expect(deaths).toBeGreaterThan(15);
  });
});

test("an image that was withdrawn from quarantine is not promoted again where the product copies, although vetted still has it", async () => {
  await open({ kind: "artifactory", copy: true });
  const image = await stage(pushImage);
  await promoteWhole(stand, image);
  const from = new URL(`/v2/quarantine/shop/manifests/${image.digest}`, stand.quarantine.url);
  expect((await fetch(from, { method: "DELETE" })).status).toBe(202);
  const { outcome, error } = await stand.promote(image, { tags: "2.0.0" });
  expect(outcome.verdict).toBe("error");
  expect(error).toMatchObject({ code: "image-not-found" });
  expect((await stand.vettedState())["vetted/shop"]?.tags["2.0.0"]).toBeUndefined();
});
