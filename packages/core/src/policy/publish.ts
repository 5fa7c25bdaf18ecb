import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type PinnedReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { policyFileMediaType, policyMediaType } from "./artifact.ts";
import { parsePolicy } from "./parse.ts";
import type { LoadedPolicy } from "./schema.ts";

/**
 * A policy as an OCI artifact (image specification 1.1: an artifactType, and the empty config). The same bytes always
 * make the same digest.
 */
export function buildPolicyArtifact(
  policy: Uint8Array,
  files: readonly Uint8Array[] = [],
): {
  manifest: Uint8Array;
  digest: Digest;
  config: Descriptor;
  layers: Descriptor[];
} {
  const config: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const layer: Descriptor = {
    mediaType: policyMediaType,
    digest: digestOf(policy),
    size: policy.byteLength,
    // By this name, `oras pull` writes the file.
    annotations: { "org.opencontainers.image.title": "policy.yaml" },
  };
  const beside = files.map((bytes): Descriptor => {
    return { mediaType: policyFileMediaType, digest: digestOf(bytes), size: bytes.byteLength };
  });
  const layers = [layer, ...beside.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))];
  const manifest = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: policyMediaType,
      config,
      layers,
    }),
  );
  return { manifest, digest: digestOf(manifest), config, layers };
}

/**
 * Pushes a policy as an OCI artifact, with the files that lie with it, and gives its reference by digest. What does not
 * parse is not pushed.
 * @throws UserError `policy-invalid`, `policy-version`, and the registry client's errors
 */
export async function publishPolicy(
  client: RegistryClient,
  repository: Repository,
  bytes: Uint8Array,
  files: readonly Uint8Array[] = [],
): Promise<PinnedReference> {
  parsePolicy(bytes, `for ${formatRepository(repository)}`);
  const { config, layers, manifest } = buildPolicyArtifact(bytes, files);
  await client.pushBlob(repository, config, () => emptyBlob.bytes);
  const content = new Map([bytes, ...files].map((each) => [digestOf(each), each]));
  for (const layer of layers) await client.pushBlob(repository, layer, () => content.get(layer.digest) ?? bytes);
  const digest = await client.pushManifest(repository, manifest, mediaTypes.ociManifest);
  return { registry: repository.registry, name: repository.name, digest };
}

/**
 * May `next` take the place of `previous`? Evidence names the serial that it was made under, so two contents must never
 * share one.
 * @throws UserError `policy-serial` where the content differs and the serial does not rise; `policy-name` where it is
 *   another policy
 */
export function checkPolicyChange(previous: LoadedPolicy, next: LoadedPolicy): void {
  if (previous.digest === next.digest) return;
  if (previous.policy.name !== next.policy.name) {
    throw new UserError(
      `policy ${next.uri} is '${next.policy.name}', and the one before it, ${previous.uri}, is '${previous.policy.name}'`,
      {
        code: "policy-name",
        wayOut: "Keep the name as it is; a policy of another name starts a line of its own.",
      },
    );
  }
  if (next.policy.serial <= previous.policy.serial) {
    throw new UserError(
      `policy ${next.uri} differs from ${previous.uri}, and its serial is ${next.policy.serial}, not above ${previous.policy.serial}`,
      { code: "policy-serial", wayOut: `Set serial to ${previous.policy.serial + 1} or more.` },
    );
  }
}
