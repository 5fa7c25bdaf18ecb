import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import type { TrustFile } from "../signing/sigstore-instance.ts";
import { maxPolicyBytes } from "./parse.ts";

/** Of a policy's layer, and of the artifact that carries it. */
export const policyMediaType = "application/vnd.goldenpath.policy.v1+yaml";
/** Of the layers behind it: files that lie with the policy, which names each by its digest. */
export const policyFileMediaType = "application/vnd.goldenpath.policy-file.v1";
const maxFiles = 32;

/**
 * The policy's bytes from an OCI artifact, by digest. The manifest and the layer are both verified, so the digest
 * settles the content.
 * @throws UserError `policy-invalid` (not a policy's artifact), and the registry client's errors
 */
export async function fetchPolicyArtifact(client: RegistryClient, reference: PinnedReference): Promise<Uint8Array> {
  const { policy } = await fetchLayers(client, reference);
  return client.fetchBlob(reference, policy, maxPolicyBytes);
}

/**
 * A file that lies with a policy in its artifact.
 * @throws UserError `trusted-root-missing`, `policy-invalid`, and the registry client's errors
 */
export async function fetchPolicyFile(
  client: RegistryClient,
  reference: PinnedReference,
  { path, digest }: TrustFile,
): Promise<Uint8Array> {
  const { files } = await fetchLayers(client, reference);
  const found = files.find((file) => file.digest === digest);
  if (found !== undefined) return client.fetchBlob(reference, found, maxPolicyBytes);
  throw new UserError(`${formatReference(reference)} has no ${path} of ${digest}, which its policy names`, {
    code: "trusted-root-missing",
    wayOut: "Publish the policy again from the folder that the file is in.",
  });
}

async function fetchLayers(
  client: RegistryClient,
  reference: PinnedReference,
): Promise<{ policy: Descriptor; files: readonly Descriptor[] }> {
  const where = formatReference(reference);
  const invalid = (why: string): never => {
    throw new UserError(`${where} is not a policy: ${why}`, {
      code: "policy-invalid",
      wayOut: "Name an artifact that `goldenpath policy publish` has pushed.",
    });
  };
  const root = await client.fetchManifest(reference);
  if (root.kind !== "image") return invalid("it is an index");
  const [layer, ...files] = root.manifest.layers;
  const others = files.filter(({ mediaType }) => mediaType !== policyFileMediaType);
  if (layer === undefined || others.length > 0 || files.length > maxFiles)
    return invalid(`it has ${root.manifest.layers.length} layers, and a policy has one, and its files behind it`);
  if (layer.mediaType !== policyMediaType)
    return invalid(`its layer is ${layer.mediaType}, and a policy's is ${policyMediaType}`);
  if ([layer, ...files].some(({ size }) => size > maxPolicyBytes))
    return invalid(`it is larger than ${maxPolicyBytes} bytes`);
  return { policy: layer, files };
}
