import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { silentPorts } from "@goldenpath/foundation/ports";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { buildImage, buildReferrer, encodeText, pushBuilt } from "@goldenpath/registry-client/testing";
import { attachEvidence, pieces, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { connect, promotionsAmong, readStatements } from "@goldenpath/testing/promotion";
import { afterEach, describe, expect, test } from "vitest";
import { startDistribution, startOlareg, type TestServer } from "../support/servers.ts";
import { requireCommand, requireTool } from "../support/tools.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const start = {
  /** Without a referrers API. */
  distribution: async (): Promise<TestServer> => startDistribution(await requireCommand("docker-registry")),
  /** With one. */
  olareg: async (): Promise<TestServer> => startOlareg(await requireTool("olareg")),
} as const;

async function begin(name: keyof typeof start): Promise<TestServer> {
  const server = await start[name]();
  ends.push(() => server.stop());
  return server;
}

/** Promotes `image` to `to`, as an action does. */
async function promote(
  image: TestImage,
  to: string,
  policy: string,
  keys: TestKeys,
  directory: string,
): Promise<Execution> {
  const inputs = {
    image: image.reference,
    to,
    tags: "1.0.0\nstable",
    environment: "production",
    policy,
    "policy-signer": keys.platform.publicKey,
    key: keys.promote.file,
  };
  return executeVerb(promoteVerb, inputs, {
    ports: silentPorts(),
    run: { builderId: "https://github.com/acme/platform/.github/workflows/stage-promote.yml@refs/heads/main" },
    workingDirectory: directory,
    temporaryRoot: directory,
    defaultResultDirectory: join(directory, "results"),
    env: { HOME: directory, DOCKER_CONFIG: directory },
    signal: new AbortController().signal,
  });
}

test.each<[keyof typeof start, keyof typeof start]>([
  ["distribution", "distribution"],
  ["olareg", "olareg"],
  ["distribution", "olareg"],
  ["olareg", "distribution"],
])(
  "from %s to %s an index arrives with its evidence and what else refers to it; a second run changes nothing",
  async (source, target) => {
    const quarantine = await begin(source);
    const vetted = source === target ? quarantine : await begin(target);
    const directory = await mkdtemp(join(tmpdir(), "goldenpath-interop-"));
    ends.push(() => rm(directory, { recursive: true, force: true }));
    const client = connect();
    ends.push(() => client.close());
    const keys = await makeKeys(directory);
    const [from, to] = [`${quarantine.host}/quarantine`, `${vetted.host}/vetted`];
    const policy = await writeChainPolicy({ directory, keys, from, to, referrers: "all" });
    await putInForce(client, to, policy, { keys });
    const image = await pushIndex(client, `${from}/shop`);
    await attachEvidence({ client, image, policy, keys });
    const [statement] = await client.listReferrers(image.repository, image.digest);
    if (statement === undefined) throw new TypeError("no statement");
    const { mediaType, digest, size } = statement;
    const signature = await pushBuilt(
      client,
      image.repository,
      buildReferrer({ mediaType, digest, size }, "application/vnd.cncf.notary.signature"),
    );
    const payload = encodeText('{"critical":{}}');
    const layer = {
      mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
      digest: digestOf(payload),
      size: payload.byteLength,
    };
    await client.pushBlob(image.repository, layer, () => payload);
    const wrapping = buildImage({ layers: [] });
    for (const blob of wrapping.blobs) await client.pushBlob(image.repository, blob.descriptor, () => blob.bytes);
    const cosign = encodeText(
      JSON.stringify({ ...JSON.parse(new TextDecoder().decode(wrapping.bytes)), layers: [layer] }),
    );
    await client.pushManifest(image.repository, cosign, mediaTypes.ociManifest, `${fallbackTag(image.digest)}.sig`);

    const first = await promote(image, `${to}/shop`, policy.file, keys, directory);
    expect(first.error).toBeUndefined();
    expect(first.outcome.verdict).toBe("pass");
    const there = parseRepository(`${to}/shop`);
    for (const tag of ["1.0.0", "stable"]) expect(await client.resolve({ ...there, tag })).toBe(image.digest);
    for (const subject of [image.digest, ...image.children.map((child) => child.digest)]) {
      const statements = await readStatements({ client, keys }, `${to}/shop`, subject);
      expect(promotionsAmong(statements)).toHaveLength(1);
      expect(statements).toHaveLength(pieces.length + 1);
    }
    expect((await client.listReferrers(there, digest)).map((each) => each.digest)).toEqual([signature.digest]);
    expect(await client.resolve({ ...there, tag: `${fallbackTag(image.digest)}.sig` })).toBe(digestOf(cosign));

    const second = await promote(image, `${to}/shop`, policy.file, keys, directory);
    expect(second.outcome.verdict).toBe("pass");
    expect(second.outcome.result.notes).toEqual(
      expect.arrayContaining([
        "0 blobs mounted, 0 blobs and 0 manifests copied, 0 bytes sent",
        "the promotion was signed before",
      ]),
    );
  },
);

/** What lets a promotion take a manifest that is there for the word that its blobs, or its children, are. */
describe.each(["distribution", "olareg"] as const)("%s", (name) => {
  const absent = digestOf("what nobody has pushed");
  test.each([
    ["a manifest whose layer it has not", mediaTypes.ociManifest, buildImage({ layers: ["absent"] }).bytes],
    [
      "an index whose child it has not",
      mediaTypes.ociIndex,
      encodeText(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.ociIndex,
          manifests: [{ mediaType: mediaTypes.ociManifest, digest: absent, size: 22 }],
        }),
      ),
    ],
  ])("takes no %s", async (_what, mediaType, bytes) => {
    const { host } = await begin(name);
    const answer = await fetch(`http://${host}/v2/team/shop/manifests/v1`, {
      method: "PUT",
      headers: { "content-type": mediaType },
      body: Buffer.from(bytes),
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("MANIFEST_BLOB_UNKNOWN");
  });
});
