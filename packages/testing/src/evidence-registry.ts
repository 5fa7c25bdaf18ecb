import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Statement } from "@goldenpath/core/signing/types";
import { buildVerificationSummary } from "@goldenpath/core/signing/verification-summary";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushTinyImage, pushTinyIndex, tinyLayer } from "./tiny-image.ts";

/** A registry, a client that tries each request once, and images to attach statements to. */
export interface EvidenceRegistry {
  server: RegistryServer;
  client: RegistryClient;
  /** An image of its own for each call. */
  newImage(architecture?: string, repository?: Repository): Promise<{ repository: Repository; image: Descriptor }>;
  newIndex(): Promise<{ repository: Repository; image: Descriptor; children: Descriptor[] }>;
  pushBlob(repository: Repository, bytes: Uint8Array, mediaType?: string): Promise<Descriptor>;
  /** A referrer like cosign's around any bytes, with `change` laid over its manifest. */
  pushReferrer(repository: Repository, subject: Descriptor, bytes: Uint8Array, change?: object): Promise<Digest>;
  close(): Promise<void>;
}

export async function startEvidenceRegistry(referrers: boolean): Promise<EvidenceRegistry> {
  const server = await startRegistry({ referrers });
  const client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  let counter = 0;
  const newImage: EvidenceRegistry["newImage"] = async (architecture = "amd64", repository) => {
    counter++;
    const where = repository ?? { registry: server.host, name: `quarantine/shop${counter}` };
    const layer = await tinyLayer({ "srv/name": `image ${counter}` });
    return { repository: where, image: await pushTinyImage(client, where, [layer], { architecture }) };
  };
  const pushBlob: EvidenceRegistry["pushBlob"] = async (repository, bytes, mediaType = mediaTypes.sigstoreBundle) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  return {
    server,
    client,
    newImage,
    pushBlob,
    async newIndex() {
      const amd64 = await newImage();
      const arm64 = await newImage("arm64", amd64.repository);
      const children = [amd64.image, arm64.image];
      const digest = await pushTinyIndex(client, amd64.repository, children);
      const size = (await client.fetchManifest({ ...amd64.repository, digest })).bytes.byteLength;
      return { repository: amd64.repository, image: { mediaType: mediaTypes.ociIndex, digest, size }, children };
    },
    async pushReferrer(repository, subject, bytes, change = {}) {
      const config = await pushBlob(repository, emptyBlob.bytes, mediaTypes.ociEmpty);
      const { mediaType, digest, size } = subject;
      const manifest = {
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        artifactType: mediaTypes.sigstoreBundle,
        config,
        layers: [await pushBlob(repository, bytes)],
        subject: { mediaType, digest, size },
        ...change,
      };
      return client.pushManifest(repository, encode(manifest), mediaTypes.ociManifest);
    },
    async close() {
      await client.close();
      await server.close();
    },
  };
}

export function encode(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}

export function statementAbout(
  repository: Repository,
  digests: Digest[],
  type: string = predicateTypes.base,
): Statement {
  return buildStatement(buildSubjects(repository, digests), type, { found: "something" });
}

/** Scan's verdict. */
export function verdictAbout(repository: Repository, digests: readonly Digest[], passed: boolean): Statement {
  const [digest, ...children] = digests;
  if (digest === undefined) throw new TypeError("a verdict about nothing");
  return buildVerificationSummary({
    stage: "scan",
    image: { repository, digest, children },
    policy: { uri: "policy.yaml", digest: digestOf("a policy"), serial: 1 },
    passed,
    violations: passed ? 0 : 1,
    excepted: 0,
    timeVerified: new Date("2026-05-01T12:00:00Z"),
    inputs: [],
    tools: [],
  });
}
