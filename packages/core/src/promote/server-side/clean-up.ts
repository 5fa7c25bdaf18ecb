import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { type AuthorizedTransport, createAuthorizedTransport } from "@goldenpath/registry-client/auth";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createCredentialStore } from "@goldenpath/registry-client/credentials";
import { registryEndpoint } from "@goldenpath/registry-client/endpoint";
import { plainHttpRules } from "@goldenpath/registry-client/host-settings";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { createTransport, type TransportOptions } from "@goldenpath/registry-client/transport";
import type { ServerSidePlan } from "./products/product.ts";

export interface CleanUpContext {
  client: Pick<RegistryClient, "resolve" | "pushManifest">;
  http: TransportOptions;
}

/**
 * Removes the staging tags, after the release tags are set. Best effort: a tag that stays is a note, not an error,
 * since nothing deploys it. It stays where no release tag holds the image, and where it is not what this promotion set.
 *
 * By the specification the deletion of a tag leaves the manifest alone. A registry which takes it away as well would
 * leave production without the image, so that is looked at, and the manifests are put back.
 * @param manifests the image's, children before the index
 * @throws InfrastructureError `server-side-failed` where the image is gone from the destination and can't be put back
 */
export async function removeStagingTags(
  plan: ServerSidePlan,
  manifests: readonly Manifest[],
  releaseTags: readonly string[],
  context: CleanUpContext,
): Promise<string[]> {
  const plainHttp = plainHttpRules(context.http);
  const transport = createTransport(context.http);
  const authorized = createAuthorizedTransport(transport, createCredentialStore(context.http), {
    ...context.http,
    plainHttp,
  });
  const notes: string[] = [];
  try {
    if (releaseTags.length === 0)
      notes.push(
        `the tag ${plan.stagingTag} stays at ${formatRepository(plan.to)}: no other tag holds the image there`,
      );
    for (const place of releaseTags.length === 0 ? [plan.from] : [plan.from, plan.to]) {
      const problem = await removeTag(place, plan, authorized, plainHttp, context).catch(describeError);
      if (problem !== undefined)
        notes.push(`the tag ${plan.stagingTag} stays at ${formatRepository(place)}: ${problem}`);
    }
  } finally {
    await transport.close();
  }
  if (releaseTags.length > 0 && (await putBack(plan, manifests, releaseTags, context))) {
    notes.push(`${plan.to.registry} deleted the image along with its staging tag; it was put back`);
  }
  return notes;
}

/** Why it stays, or undefined where it is gone. */
async function removeTag(
  place: Repository,
  plan: ServerSidePlan,
  authorized: AuthorizedTransport,
  plainHttp: readonly string[],
  { client }: CleanUpContext,
): Promise<string | undefined> {
  const found = await client.resolve({ ...place, tag: plan.stagingTag });
  if (found === undefined) return undefined;
  if (found !== plan.digest) return `it is another image, ${found}`;
  const url = new URL(`${place.name}/manifests/${plan.stagingTag}`, registryEndpoint(place.registry, plainHttp));
  const response = await authorized.send({ method: "DELETE", url }, { repository: place, action: "push" });
  if (response.status < 400) await response.discard();
  return [200, 202, 204, 404].includes(response.status) ? undefined : `the registry answers ${response.status}`;
}

/** True where something had to be put back. */
async function putBack(
  plan: ServerSidePlan,
  manifests: readonly Manifest[],
  releaseTags: readonly string[],
  { client }: CleanUpContext,
): Promise<boolean> {
  let isPut = false;
  try {
    for (const manifest of manifests) {
      if ((await client.resolve({ ...plan.to, digest: manifest.digest })) !== undefined) continue;
      await client.pushManifest(plan.to, manifest.bytes, manifest.mediaType, manifest.digest);
      isPut = true;
    }
    const image = manifests.find(({ digest }) => digest === plan.digest);
    if (!isPut || image === undefined) return isPut;
    // Only where it is gone: somebody may have moved it on since.
    for (const tag of releaseTags) {
      if ((await client.resolve({ ...plan.to, tag })) === undefined)
        await client.pushManifest(plan.to, image.bytes, image.mediaType, tag);
    }
    return true;
  } catch (error) {
    throw new InfrastructureError(
      `${formatRepository(plan.to)}@${plan.digest} is incomplete since its staging tag was removed: ${describeError(error)}`,
      {
        code: "server-side-failed",
        cause: error,
        wayOut: "Run the promotion again, and take serverSide out of the policy's environment.",
      },
    );
  }
}
