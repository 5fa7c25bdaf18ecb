import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor, Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";

/** The registry that the recorded chain is in: there is none of this name, and policy and statements say it. */
export const recordedHost = "registry.example";
/** What time it was when the chain was recorded. */
export const recordedAt = new Date("2026-11-02T09:00:00.000Z");
export const recordedPolicyUri = `acme/platform//policy.yaml@${"c".repeat(40)}`;

const refName = "org.opencontainers.image.ref.name";

/** A client for which {@link recordedHost} is a registry that there is. */
export function relocate(client: RegistryClient, host: string): RegistryClient {
  const move = (value: unknown): unknown =>
    typeof value === "object" && value !== null && "registry" in value && value.registry === recordedHost
      ? { ...value, registry: host }
      : value;
  const moved = Object.entries(client).map(([name, member]) => [
    name,
    typeof member === "function" ? (...given: unknown[]) => member(...given.map(move)) : member,
  ]);
  return Object.fromEntries(moved) as RegistryClient;
}

export interface RecordedManifest {
  repository: Repository;
  descriptor: Descriptor;
  tag?: string;
}

/**
 * Writes manifests and their blobs as an OCI image layout. Each name in its index has the repository and the tag or the
 * digest.
 */
export async function writeLayout(
  directory: string,
  client: RegistryClient,
  manifests: readonly RecordedManifest[],
): Promise<void> {
  const entries: object[] = [];
  for (const { repository, descriptor, tag } of manifests) {
    const manifest = await client.fetchManifest({ ...repository, digest: descriptor.digest });
    await writeBlob(directory, manifest.digest, manifest.bytes);
    for (const blob of blobsOf(manifest))
      await writeBlob(directory, blob.digest, await client.fetchBlob(repository, blob));
    const name = `${formatRepository(repository)}${tag === undefined ? `@${manifest.digest}` : `:${tag}`}`;
    const { mediaType, digest, bytes } = manifest;
    entries.push({ mediaType, digest, size: bytes.byteLength, annotations: { [refName]: name } });
  }
  await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}\n');
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: entries };
  await writeFile(join(directory, "index.json"), `${JSON.stringify(index, null, 2)}\n`);
}

async function writeBlob(directory: string, digest: Digest, bytes: Uint8Array): Promise<void> {
  const file = blobFile(directory, digest);
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, bytes);
}

const blobFile = (directory: string, digest: Digest): string =>
  join(directory, "blobs", digestAlgorithm(digest), digestHex(digest));

const blobsOf = (manifest: Manifest): Descriptor[] =>
  manifest.kind === "index" ? [] : [manifest.manifest.config, ...manifest.manifest.layers];

/**
 * Puts what {@link writeLayout} wrote where its names say. `change` alters a manifest's layer on the way, and the
 * manifest then names what it has become; what has a layer inline is left as it is.
 */
export async function pushLayout(
  directory: string,
  client: RegistryClient,
  change: (bytes: Buffer, descriptor: Descriptor) => Buffer = (bytes) => bytes,
): Promise<void> {
  const index = JSON.parse(await readFile(join(directory, "index.json"), "utf8")) as { manifests: Descriptor[] };
  for (const { mediaType, digest, annotations } of index.manifests) {
    const { tag, ...repository } = parseReference(annotations?.[refName] ?? "");
    let content = await readFile(blobFile(directory, digest), "utf8");
    const { config, layers = [] } = JSON.parse(content) as { config?: Descriptor; layers?: Descriptor[] };
    for (const blob of config === undefined ? [] : [config, ...layers]) {
      const bytes = await readFile(blobFile(directory, blob.digest));
      const changed = blob === config || blob.data !== undefined ? bytes : change(bytes, blob);
      const pushed = { ...blob, digest: digestOf(changed), size: changed.byteLength };
      content = content.replace(blob.digest, pushed.digest);
      await client.pushBlob(repository, pushed, () => changed);
    }
    await client.pushManifest(repository, Buffer.from(content), mediaType, tag);
  }
}
