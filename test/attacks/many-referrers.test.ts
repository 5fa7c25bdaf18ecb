import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGate } from "@goldenpath/core/gate/verify";
import { encodeBundleReferrer } from "@goldenpath/core/signing/bundle-layer";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { readingLimits } from "@goldenpath/core/signing/reading-bounds";
import { signStatement } from "@goldenpath/core/signing/schemes/key/sign";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { startRegistry } from "@goldenpath/registry-server/server";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { encode, statementAbout } from "@goldenpath/testing/evidence-registry";
import { connect } from "@goldenpath/testing/promotion";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startDistribution } from "../support/servers.ts";
import { requireCommand } from "../support/tools.ts";

// An image to which thousands refer: years of honest rescans, or what somebody who may push put there. What is needed is
// found among them, and so is what speaks against the image; where not all can be read, that is an error and no pass.

/** More than those of which all are read whatever they are listed as. */
const many = 600;

const pageSize = 150;
const sbom = "application/vnd.example.sbom+json";

interface Listed {
  digest: Digest;
  size: number;
}

interface Server {
  host: string;
  stop(): Promise<void>;
}

/** Where the registry has no API, the attacker writes the list as well. */
const registries: [name: string, hasApi: boolean, start: () => Promise<Server>][] = [
  ["listed by the registry, in pages", true, () => startEmbedded({ pageSize })],
  ["listed under a tag", false, () => startEmbedded({ referrers: false })],
  [
    "listed under a tag of distribution's registry",
    false,
    async () => startDistribution(await requireCommand("docker-registry")),
  ],
];

async function startEmbedded(options: Parameters<typeof startRegistry>[0]): Promise<Server> {
  const server = await startRegistry(options);
  return { host: server.host, stop: () => server.close() };
}

describe.each(registries)("%s", (_name, hasApi, start) => {
  let server: Server;
  let client: RegistryClient;
  let directory: string;
  let keys: TestKeys;
  let policy: ChainPolicy;
  beforeAll(async () => {
    server = await start();
    client = connect();
    directory = await mkdtemp(join(tmpdir(), "goldenpath-many-"));
    keys = await makeKeys(directory);
    const [from, to] = [`${server.host}/quarantine`, `${server.host}/vetted`];
    policy = await writeChainPolicy({ directory, keys, from, to });
  });
  afterAll(async () => {
    await client.close();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });

  async function put(image: TestImage, manifest: Uint8Array, tag?: string): Promise<void> {
    const { registry, name } = image.repository;
    const { mediaType } = JSON.parse(new TextDecoder().decode(manifest));
    const answer = await fetch(`http://${registry}/v2/${name}/manifests/${tag ?? digestOf(manifest)}`, {
      ...{ method: "PUT", body: manifest, headers: { "content-type": mediaType } },
    });
    expect(answer.status).toBe(201);
  }

  /** Attaches a stranger's, `many` of them: a bundle each, which its manifest calls something else. */
  async function flood(image: TestImage, artifactType: string): Promise<void> {
    const bundle = await signStatement(statementAbout(image.repository, [image.digest]), keys.stranger.signer);
    const layer: Descriptor = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bundle), size: bundle.length };
    await client.pushBlob(image.repository, layer, () => bundle);
    const made = Array.from({ length: many }, (_each, at) => {
      const created = new Date(Date.UTC(2030, 0, 1, 0, 0, at)).toISOString();
      const referrer = encodeBundleReferrer(image.image, layer, predicateTypes.base, created);
      return encode({ ...JSON.parse(new TextDecoder().decode(referrer)), artifactType });
    });
    await mapConcurrently(8, made, (manifest) => put(image, manifest));
    await writeList(
      image,
      made.map((manifest) => ({ digest: digestOf(manifest), size: manifest.byteLength })),
    );
  }

  /** Where the list is a tag, the stranger writes it: all in it is of another type, the honest ones in the middle. */
  async function writeList(image: TestImage, more: readonly Listed[] = []): Promise<void> {
    if (hasApi) return;
    const known = (await client.listReferrers(image.repository, image.digest)).map(({ digest, size }) => ({
      ...{ digest, size },
    }));
    const listed = [...more.slice(0, many / 2), ...known, ...more.slice(many / 2)];
    const manifests = listed.map((each) => ({ mediaType: mediaTypes.ociManifest, ...each, artifactType: sbom }));
    const index = encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
    await put(image, index, fallbackTag(image.digest));
  }

  /** The gate's violations, and how much it asked for. */
  async function gate(image: TestImage): Promise<{ rules: string[]; requests: number }> {
    const fresh = connect();
    try {
      const { violations } = await runGate(
        fresh,
        { ...image.repository, digest: image.digest },
        "production",
        policy,
        new Date(),
      );
      return { rules: violations.map(({ rule }) => rule), requests: fresh.traffic.requests };
    } finally {
      await fresh.close();
    }
  }

  test.each([
    ["bundles of a stranger", mediaTypes.sigstoreBundle],
    ["things of another type", sbom],
  ])(
    `an image passes among ${many} %s, and is refused once there is a newer failure`,
    async (_what, artifactType) => {
      const image = await pushImage(client, `${server.host}/quarantine/shop`, artifactType);
      await attachEvidence({ client, image, policy, keys });
      const plain = await gate(image);
      expect(plain.rules).toEqual([]);
      await flood(image, artifactType);
      const flooded = await gate(image);
      expect(flooded.rules).toEqual([]);
      // What the registry itself says is of another type is not asked for: only the list has more pages. What somebody
      // says in a list of their own is not believed, and it is read.
      const pages = Math.ceil(many / pageSize);
      if (hasApi && artifactType === sbom) expect(flooded.requests).toBeLessThanOrEqual(plain.requests + pages);
      else expect(flooded.requests).toBeGreaterThan(many);
      const falsehoods = { scanVerdict: { failed: true, age: 0 } };
      await attachEvidence({ client, image, policy, keys, pieces: ["scanVerdict"], falsehoods });
      await writeList(image);
      expect((await gate(image)).rules).toEqual(["gate.failed"]);
    },
    300_000,
  );
});

test("more than can be read is an error, whatever else is there, and a long list is none", async () => {
  const server = await startRegistry({});
  const client = connect();
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-many-"));
  try {
    const keys = await makeKeys(directory);
    const prefixes = { from: `${server.host}/quarantine`, to: `${server.host}/vetted` };
    const policy = await writeChainPolicy({ directory, keys, ...prefixes });
    const image = await pushImage(client, `${prefixes.from}/shop`);
    await attachEvidence({ client, image, policy, keys });
    const honest = await client.listReferrers(image.repository, image.digest);
    const gateAmong = async (gone: number) => {
      const manifests = [
        ...Array.from({ length: gone }, (_each, at) => ({
          ...{ mediaType: mediaTypes.ociManifest, digest: digestOf(`referrer ${at}`), size: 500 },
        })),
        ...honest,
      ];
      const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
      const headers = { "content-type": mediaTypes.ociIndex };
      server.faults = [
        { method: "GET", path: `/referrers/${image.digest}`, action: { kind: "replace", body, status: 200, headers } },
      ];
      const name = { ...image.repository, digest: image.digest };
      return (await runGate(client, name, "production", policy, new Date())).violations;
    };
    await expect(gateAmong(readingLimits.referrers)).rejects.toMatchObject({
      ...{ name: "InfrastructureError", code: "too-much-evidence" },
      message: expect.stringMatching(/ has 5006 referrers, and 5000 are read at most$/),
      wayOut: expect.stringContaining(`oras discover ${image.reference}`),
    });
    expect(await gateAmong(many)).toEqual([]);
  } finally {
    await client.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
}, 300_000);
