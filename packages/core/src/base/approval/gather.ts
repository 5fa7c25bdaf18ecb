import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import { rememberReads } from "@goldenpath/registry-client/remember";
import type { ForbiddenBase } from "../../policy/forbidden-section.ts";
import { tellForbidden } from "../forbidden.ts";
import { gatherApprovedBases } from "../gather.ts";
import type { ApprovedBase } from "../identify.ts";
import type { BasesPolicy } from "./gather-versions.ts";

/** Bases that are asked about at the same time; the client has a limit of its own for each host. */
const concurrency = 8;

/** What reads tags and signatures is most of what would have to be loaded: only where the policy asks for them. */
const loadVersions = (): Promise<typeof import("./gather-versions.ts")> =>
  import(/* webpackMode: "eager" */ "./gather-versions.ts");

/**
 * The versions of every base of a policy for the given platforms, in the policy's order. Where a base counts by signed
 * approvals, its versions are those that its repository's tags point at, or that the policy lists, each with what is
 * signed of it, those that nobody approved among them: what stands on one of those stands on nothing older. They are
 * from the oldest approval to the newest.
 *
 * Requests do not depend on the images that are judged: of a base by approvals one for its tags, and of each version its
 * manifest, configs, list of referrers, and what those hold.
 * @throws as {@link gatherApprovedBases}; UserError `base-versions-too-many`; as `collectEvidence`
 */
export async function gatherPolicyBases(
  client: RegistryClient,
  loaded: BasesPolicy,
  platforms: readonly Platform[],
  now: Date,
): Promise<ApprovedBase[]> {
  const each = await mapConcurrently(concurrency, loaded.policy.bases, async (base) => {
    const { approval } = base;
    if (approval === undefined) return gatherApprovedBases(client, [base], platforms);
    const { gatherSigned } = await loadVersions();
    return gatherSigned(rememberReads(client), { ...base, approval }, loaded, platforms, now);
  });
  const approved = new Set(each.flat().map(listedAs));
  const forbidden = await mapConcurrently(concurrency, loaded.policy.forbiddenBases, async (base) => {
    const found = await gatherForbidden(rememberReads(client), base, platforms, approved);
    return found.map((version) => ({ ...version, forbidden: tellForbidden(base, loaded.policy, now) }));
  });
  return [...each, ...forbidden].flat();
}

const listedAs = ({ image, child }: Pick<ApprovedBase, "image" | "child">): string => `${image}@${child}`;

/**
 * The versions of what is forbidden, of which nothing else is asked: what a list says, or what tags point at, but for
 * what is approved.
 */
async function gatherForbidden(
  client: RegistryClient,
  { name, image, digests }: ForbiddenBase,
  platforms: readonly Platform[],
  approved: ReadonlySet<string>,
): Promise<ApprovedBase[]> {
  const gather = (versions: ForbiddenBase["digests"] & {}): Promise<ApprovedBase[]> =>
    gatherApprovedBases(client, [{ name, image, digests: versions }], platforms, "forbidden base");
  if (digests !== undefined) return gather(digests);
  const { listImages } = await loadVersions();
  const tagged = await gather(await listImages(client, { name, image }));
  return tagged.filter((version) => !approved.has(listedAs(version)));
}
