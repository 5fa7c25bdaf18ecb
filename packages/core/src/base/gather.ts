import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { isRunnable, type Platform } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";
import {
  formatReference,
  formatRepository,
  parseRepository,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts, readImageFacts } from "@goldenpath/registry-client/subject";
import type { PolicyBase } from "../policy/schema.ts";
import { type ApprovedBase, isSamePlatform, platformOf } from "./identify.ts";

/**
 * Every approved version of every base for the given platforms, each fetched by its digest, in the policy's order.
 *
 * One that can't be read is an error, also where another one would match: the unread one may be the longer match, and
 * then the evidence would name the wrong base, or miss that the right one has expired.
 * @throws UserError `base-not-found`, `registry-unauthorized`; InfrastructureError `base-unreadable`
 */
export async function gatherApprovedBases(
  client: RegistryClient,
  bases: readonly Pick<PolicyBase, "name" | "image" | "digests" | "until" | "mayChange">[],
  platforms: readonly Platform[],
  what = "approved base",
): Promise<ApprovedBase[]> {
  const cache = new Map<string, Promise<ChildFacts[]>>();
  const wanted = bases.flatMap((base) =>
    base.digests.map((digest) => ({ base, reference: { ...parseRepository(base.image), digest } })),
  );
  const fetched = wanted.map(({ base, reference }) => {
    const key = formatReference(reference);
    const children = cache.get(key) ?? fetchBase(client, `${what} '${base.name}'`, reference, platforms);
    cache.set(key, children);
    return children;
  });
  const all = await Promise.all(fetched);
  return wanted.flatMap(({ base, reference }, index) =>
    (all[index] ?? []).map((child) => ({
      name: base.name,
      image: formatRepository(reference),
      digest: reference.digest,
      child: child.digest,
      ...(base.until === undefined ? {} : { until: base.until }),
      platform: platformOf(child),
      diffIds: child.config.rootfs.diff_ids,
      layers: child.manifest.layers.map((layer) => layer.digest),
      ...(base.mayChange === undefined ? {} : { mayChange: base.mayChange }),
    })),
  );
}

async function fetchBase(
  client: RegistryClient,
  base: string,
  reference: PinnedReference,
  platforms: readonly Platform[],
): Promise<ChildFacts[]> {
  try {
    const root = await client.fetchManifest(reference);
    if (root.kind === "image") return (await readImageFacts(client, reference, root)).children;
    // What an index says of a child's platform only saves requests: a base is compared by the platform in its own
    // config.
    const needed = root.manifest.manifests
      .filter(isRunnable)
      .filter(({ platform }) => platform === undefined || platforms.some((wanted) => isSamePlatform(wanted, platform)));
    const children: ChildFacts[] = [];
    for (const { digest } of needed)
      children.push(...(await fetchImageFacts(client, { ...reference, digest })).children);
    return children;
  } catch (error) {
    throw describeFailure(error, base, reference);
  }
}

function describeFailure(error: unknown, base: string, reference: Reference): Error {
  const what = `${base} (${formatReference(reference)})`;
  if (error instanceof UserError && error.code === "image-not-found") {
    return new UserError(`${what} is not in its registry`, {
      code: "base-not-found",
      cause: error,
      wayOut: "Put it back, or take this digest out of the policy: what nobody can look at can't be compared with.",
    });
  }
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof UserError) {
    return new UserError(`${what} can't be read: ${why}`, {
      code: error.code,
      cause: error,
      ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }),
    });
  }
  return new InfrastructureError(`${what} can't be read: ${why}`, {
    code: "base-unreadable",
    cause: error,
    ...(error instanceof InfrastructureError ? { attempts: error.attempts, safeToRetry: error.safeToRetry } : {}),
    wayOut: "See that its registry can be reached and serves it, then run again.",
  });
}
