import { runGate } from "@goldenpath/core/gate/verify";
import { createdAnnotation, intotoPayloadType } from "@goldenpath/core/signing/predicates";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import type { TestKeys } from "@goldenpath/testing/chain-keys";
import { afterEach, describe, expect, test } from "vitest";
import { passed } from "../support/gate-answers.ts";
import { policy, registry, signerOf, useNotationWorld } from "../support/notation-world.ts";

// What lies beside the statement that a Notary Project signature names: whoever may write to quarantine can put more
// there, and must not thereby make a newer failure disappear.

useNotationWorld();

afterEach(() => {
  registry.server.faults = [];
});

let counter = 0;
const minute = 60_000;

/** An image that passed some minutes ago, and the signature of its verdict; `failed`: of the newer one, which fails it. */
async function newImage({ failed }: { failed: boolean }): Promise<{ image: TestImage; signature: Digest }> {
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/quarantine/shop`, `beset ${++counter}`);
  const keys = { base: { signer: signerOf({}) } } as unknown as TestKeys;
  const facts = { client, image, policy, keys, pieces: ["base", "baseVerdict"] as const };
  const passing = await attachEvidence({ ...facts, falsehoods: { baseVerdict: { age: 10 * minute } } });
  const attached = failed
    ? await attachEvidence({ ...facts, falsehoods: { baseVerdict: { failed: true, age: minute } } })
    : passing;
  const signature = attached.get("baseVerdict")?.referrer.digest;
  if (signature === undefined) throw new Error("no verdict");
  return { image, signature };
}

async function verify({ reference }: TestImage) {
  const { verdict, violations } = await runGate(
    registry.client,
    parseReference(reference),
    "production",
    policy,
    new Date(),
  );
  return { verdict, rules: violations.map(({ rule }) => rule) };
}
const refused = { verdict: "fail", rules: ["gate.failed"] };
const accepted = { verdict: passed.verdict, rules: [] };

/** Beside what holds the statement, one that says the same of it in a false size, and is listed before it. */
async function addDecoy({ repository }: TestImage, signature: Digest): Promise<void> {
  const { client } = registry;
  const about = await client.fetchManifest({ ...repository, digest: signature });
  const [honest] = await client.listReferrers(repository, signature);
  if (honest === undefined) throw new Error("nothing holds the statement");
  const held = await client.fetchManifest({ ...repository, digest: honest.digest });
  if (held.kind !== "image") throw new Error("an index");
  const [layer] = held.manifest.layers;
  if (layer === undefined) throw new Error("no statement");
  const config = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const { mediaType, digest, bytes } = about;
  // Registries list by digest, and annotations make it another: some tries, and it is the first.
  for (let at = 0; ; at++) {
    const decoy = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        artifactType: intotoPayloadType,
        config,
        layers: [{ ...layer, size: layer.size + 1 }],
        subject: { mediaType, digest, size: bytes.byteLength },
        annotations: { [createdAnnotation]: `${at}` },
      }),
    );
    if (digestOf(decoy) > honest.digest) continue;
    await client.pushManifest(repository, decoy, mediaTypes.ociManifest);
    const [first] = await client.listReferrers(repository, signature);
    expect(first?.digest).toBe(digestOf(decoy));
    return;
  }
}

describe("a second holder of the statement, in a false size and listed first", () => {
  test("hides no failure", async () => {
    const { image, signature } = await newImage({ failed: true });
    expect(await verify(image)).toEqual(refused);
    await addDecoy(image, signature);
    expect(await verify(image)).toEqual(refused);
  });

  test("and keeps nothing from passing", async () => {
    const { image, signature } = await newImage({ failed: false });
    await addDecoy(image, signature);
    expect(await verify(image)).toEqual(accepted);
  });
});

// A registry that lists in one page what is more than anybody reads; this one would page it.
test.each(["failure", "pass"])("a list that was made too large says nothing of what is in it: a %s", async (what) => {
  const failed = what === "failure";
  const { image, signature } = await newImage({ failed });
  expect(await verify(image)).toEqual(failed ? refused : accepted);
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [],
    annotations: { flood: "x".repeat(4 * 1024 * 1024) },
  });
  const headers = { "content-type": mediaTypes.ociIndex };
  registry.server.faults = [
    { method: "GET", path: `/referrers/${signature}`, action: { kind: "replace", body, status: 200, headers } },
  ];
  await expect(verify(image)).rejects.toMatchObject({ code: "registry-error" });
});
