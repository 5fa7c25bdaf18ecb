import { collectEvidence } from "@goldenpath/core/signing/collect";
import { envelopeMediaType } from "@goldenpath/core/signing/notary/envelope";
import { signatureType } from "@goldenpath/core/signing/notary/referrer";
import { signStatement } from "@goldenpath/core/signing/schemes/key/sign";
import type { Statement } from "@goldenpath/core/signing/types";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type EvidenceRegistry, startEvidenceRegistry, statementAbout } from "@goldenpath/testing/evidence-registry";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { constructNotary } from "../support/constructed-notary.ts";

// Evidence of a hundred megabytes, by the very signer of the stage or by anybody: it counts for nothing, is not read to
// its end, and takes nothing away from what lies beside it.

const large = 100 * 1024 * 1024;
let registry: EvidenceRegistry;
let key: StageKey;
beforeAll(async () => {
  registry = await startEvidenceRegistry(true);
  key = await makeKey();
});
afterAll(() => registry.close());

async function collect(repository: Repository, image: Descriptor, more: object = {}) {
  const signers = { base: { kind: "key", publicKey: key.publicKeyPem }, ...more };
  const now = new Date();
  const { statements, rejected } = await collectEvidence(registry.client, repository, image.digest, signers as never, {
    now,
  });
  return { by: statements.map(({ signers: names }) => names), why: rejected.map(({ reason }) => reason) };
}

/** How often a blob was asked for. */
const asked = (digest: Digest): number =>
  registry.server.requests.filter(({ method, path }) => method === "GET" && path.endsWith(`/blobs/${digest}`)).length;

describe("a payload of 100 MB, signed by the stage's signer", () => {
  const pad = (statement: Statement, bytes: number): Statement => ({
    ...statement,
    predicate: { ...statement.predicate, more: "x".repeat(bytes) },
  });

  test("counts for nothing, and is not even fetched; beside it and by itself the same of ordinary size counts", async () => {
    const { repository, image } = await registry.newImage();
    const statement = statementAbout(repository, [image.digest]);
    const bundle = await signStatement(pad(statement, large), key.signer);
    expect(bundle.byteLength).toBeGreaterThan(large);
    await registry.pushReferrer(repository, image, bundle);
    const alone = await collect(repository, image);
    expect(alone).toEqual({ by: [], why: [expect.stringMatching(/^its bundle has \d+ bytes, and 16777216 are read/)] });
    expect(asked(digestOf(bundle))).toBe(0);
    await registry.pushReferrer(repository, image, await signStatement(pad(statement, 1024), key.signer));
    const beside = await collect(repository, image);
    expect(beside.by).toEqual([["base"]]);
    expect(beside.why).toEqual(alone.why);
  });

  test("that its manifest calls a small one is given up where it is longer", async () => {
    const { repository, image } = await registry.newImage();
    const statement = statementAbout(repository, [image.digest]);
    const bundle = await signStatement(pad(statement, large), key.signer);
    const layer = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bundle), size: 1024 };
    await registry.pushReferrer(repository, image, bundle, { layers: [layer] });
    const { by, why } = await collect(repository, image);
    expect(by).toEqual([]);
    expect(why).toEqual([expect.stringMatching(/is not what its digest says: it has \d+ bytes, not 1024$/)]);
    await registry.pushReferrer(repository, image, await signStatement(statement, key.signer));
    expect((await collect(repository, image)).by).toEqual([["base"]]);
  });
});

test("an envelope of the Notary Project of 100 MB is not fetched, and takes nothing from what lies beside it", async () => {
  const { repository, image } = await registry.newImage();
  const layer = await registry.pushBlob(repository, new Uint8Array(large), envelopeMediaType);
  await registry.pushReferrer(repository, image, new Uint8Array(1), { artifactType: signatureType, layers: [layer] });
  await registry.pushReferrer(
    repository,
    image,
    await signStatement(statementAbout(repository, [image.digest]), key.signer),
  );
  const certified = {
    ...{ kind: "notation", trustStore: "acme", identity: "x509.subject: C=DE, ST=Berlin, O=acme, CN=other" },
    store: { certificates: (await constructNotary()).root },
  };
  const { by, why } = await collect(repository, image, { certified });
  expect(by).toEqual([["base"]]);
  expect(why).toEqual([`its envelope has ${large} bytes; 1048576 are read at most`]);
  expect(asked(layer.digest)).toBe(0);
});
