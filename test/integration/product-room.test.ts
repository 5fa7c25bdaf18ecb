import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { copyManifest } from "@goldenpath/registry-client/copy";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { type ChainPolicy, putInForce } from "@goldenpath/testing/chain-policy";
import { openStand, promoteWhole, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

// A registry product that the project does not have: a file (support/harbour-product.ts) and the line below are all
// that anything learns of it.

vi.mock("@goldenpath/core/promote/server-side/products/products", async (original) => {
  const { products } = await original<typeof import("@goldenpath/core/promote/server-side/products/products")>();
  return { products: [...products, (await import("../support/harbour-product.ts")).harbour] };
});

let stand: Stand;
let server: Server;
/** What the product was asked, and what it says that it took besides. */
let asked: Record<string, unknown>[];
let alsoTook: string[];

/**
 * A stand-in for the product: it copies by tag, within the real registry whose repositories HOST/KEY/… are its
 * projects.
 */
async function retain(call: { from: string; to: string; image: string; tag: string }): Promise<string[]> {
  const [from, to] = [call.from, call.to].map((key) =>
    parseRepository(`${stand.quarantine.host}/${key}/${call.image}`),
  ) as [Repository, Repository];
  const manifest = await stand.client.fetchManifest({ ...from, tag: call.tag });
  await copyManifest(stand.client, from, to, manifest.digest);
  await stand.client.pushManifest(to, manifest.bytes, manifest.mediaType, call.tag);
  return [`${call.image}:${call.tag}`, ...alsoTook];
}

beforeEach(async () => {
  [asked, alsoTook] = [[], []];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    asked.push({ path: request.url, ...call });
    const took = await retain(call).catch((error: Error) => [error.message]);
    response.end(JSON.stringify({ took }));
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  stand = await openStand();
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await stand.close();
});

const render = (more: string): string => {
  const { port } = server.address() as AddressInfo;
  return `    serverSide:
      product: harbour
      url: http://localhost:${port}
      from: { key: quarantine, prefix: "${stand.from}" }
      to: { key: vetted, prefix: "${stand.to}" }
${more}`;
};

async function open(more = ""): Promise<TestImage> {
  const text = (await readFile(stand.policy.file, "utf8"))
    .replace(/^( {2}production:\n)/m, `$1${render(more)}`)
    .replace("serial: 5", "serial: 6");
  const file = join(await mkdtemp(join(stand.directory, "policy-")), "policy.yaml");
  await writeFile(file, text);
  const bytes = new TextEncoder().encode(text);
  const policy: ChainPolicy = { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes), file };
  const { client, keys, to, promote } = stand;
  await putInForce(client, to, policy, { keys });
  stand = { ...stand, policy, promote: (image, inputs) => promote(image, { policy: file, ...inputs }) };
  const image = await pushImage(client, `${stand.from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

test("a setting that it does not have, and a product that nobody has, are refused by the policy", async () => {
  const problems = async (more: string, product = "harbour"): Promise<string> =>
    open(more).then(
      () => "",
      (error: Error) => error.message.replaceAll("harbour", product),
    );
  expect(await problems("      copy: true\n")).toContain("environments.production.serverSide.copy: unknown key");
  expect(await problems("      keep: perhaps\n")).toContain(
    "environments.production.serverSide.keep: expected true or false",
  );
  expect(await problems("")).toBe("");
});

test("what it says that it took besides is refused, before a tag is set", async () => {
  const image = await open();
  alsoTook = ["shop:9.9.9"];
  const { outcome } = await stand.promote(image);
  expect(outcome.result.error).toMatchObject({
    code: "server-side-carried-more",
    message: expect.stringContaining("Harbour promoted more"),
  });
  expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBeUndefined();
});

test("its twin: it brings the image, and the promotion is whole", async () => {
  const image = await open("      keep: true\n");
  await promoteWhole(stand, image);
  expect(asked).toEqual([
    {
      path: "/retain",
      from: "quarantine",
      to: "vetted",
      image: "shop",
      tag: expect.stringMatching(/^goldenpath-staging-sha256-/),
      keep: true,
    },
  ]);
  const { outcome } = await stand.promote(image, { "dry-run": "true" });
  expect(outcome.verdict).toBe("pass");
  const tags: Record<string, string> = (await stand.vettedState())["vetted/shop"]?.tags ?? {};
  expect(Object.keys(tags).sort()).toEqual(["0.9.0", "1.0.0"]);
});
