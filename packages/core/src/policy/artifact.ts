import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { maxPolicyBytes } from "./parse.ts";

/** Of a policy's one layer, and of the artifact that carries it. */
export const policyMediaType = "application/vnd.goldenpath.policy.v1+yaml";

/**
 * The policy's bytes from an OCI artifact, by digest. The manifest and the layer are both verified, so the digest
 * settles the content.
 * @throws UserError `policy-invalid` (not a policy's artifact), and the registry client's errors
 */
export async function fetchPolicyArtifact(client: RegistryClient, reference: PinnedReference): Promise<Uint8Array> {
  const where = formatReference(reference);
  const invalid = (why: string): never => {
    throw new UserError(`${where} is not a policy: ${why}`, {
      code: "policy-invalid",
      wayOut: "Name an artifact that `goldenpath policy publish` has pushed.",
    });
  };
  const root = await client.fetchManifest(reference);
  if (root.kind !== "image") return invalid("it is an index");
  const [layer, ...others] = root.manifest.layers;
  if (layer === undefined || others.length > 0)
    return invalid(`it has ${root.manifest.layers.length} layers, and a policy has one`);
  if (layer.mediaType !== policyMediaType)
    return invalid(`its layer is ${layer.mediaType}, and a policy's is ${policyMediaType}`);
  if (layer.size > maxPolicyBytes) return invalid(`it is larger than ${maxPolicyBytes} bytes`);
  return client.fetchBlob(reference, layer, maxPolicyBytes);
}
