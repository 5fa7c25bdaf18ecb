import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { listTaggedImages } from "../../evidence/gather-record.ts";
import type { LoadedPolicy, PolicyBase } from "../../policy/schema.ts";
import { gatherStandings, type Standings } from "../gather-standings.ts";
import { type MovedTag, type MoveOptions, moveTag, withTag } from "./execute-tag.ts";
import { gatherVersions, listSigned, type SignedImages } from "./gather-versions.ts";

/** What became of the floating tags of the bases that a version was of. */
export interface TakenBack {
  moved: MovedTag[];
  /** Why a tag stays where it is. */
  failures: unknown[];
}

/** Of what a policy has a version: bases to stand on, images to build in, and those of both that count by approvals. */
export interface VersionOf {
  isBase: boolean;
  isBuilder: boolean;
  signed: SignedImages[];
}

/**
 * Of what of a policy something is a version: by the policy's list, or else by what a repository's tags point at.
 * @throws as `gatherVersions`
 */
export async function findVersion(
  client: RegistryClient,
  version: Digest,
  policy: LoadedPolicy,
  now: Date,
): Promise<VersionOf> {
  const { bases, build } = policy.policy;
  const signed: SignedImages[] = [];
  for (const each of listSigned(policy.policy)) {
    const versions =
      each.digests.length > 0
        ? each.digests
        : (await gatherVersions(rememberReads(client), each, policy, now)).map(({ digest }) => digest);
    if (versions.includes(version)) signed.push(each);
  }
  return {
    isBase: signed.some(({ use }) => use === "run") || bases.some(({ digests }) => digests.includes(version)),
    isBuilder: JSON.stringify(build.builders).includes(version),
    signed,
  };
}

/**
 * Takes floating tags back to what is approved still, once a version was withdrawn. Where one tag can't be moved the
 * others are, all the same.
 * @param readPolicy with the withdrawal in it
 * @throws what no tag is to blame for, as `moveTag`
 */
export async function takeTagsBack(
  client: RegistryClient,
  signed: readonly SignedImages[],
  readPolicy: () => Promise<LoadedPolicy>,
  options: MoveOptions,
): Promise<TakenBack> {
  const taken: TakenBack = { moved: [], failures: [] };
  for (const each of signed.flatMap((one) => withTag(one) ?? [])) {
    try {
      taken.moved.push(await moveTag(client, each, readPolicy, options));
    } catch (error) {
      if (!isKnownError(error) || error.code === "aborted") throw error;
      taken.failures.push(error);
    }
  }
  return taken;
}

/**
 * What stands on a version of a base, of all images that the tags of these repositories point at.
 * @returns those images, and what could not be looked at, which may stand on it
 * @throws as `gatherStandings`
 */
export async function listStandingOn(
  client: RegistryClient,
  version: Digest,
  repositories: readonly Repository[],
  policy: LoadedPolicy,
  now: Date,
): Promise<Standings> {
  const { images, unread } = await gatherAll(client, repositories, policy, now);
  return { images: images.filter(({ base }) => base?.digest === version), unread };
}

/**
 * What stands on another version of these bases than the newest, of all images that the tags of these repositories point
 * at: what has to be built anew.
 * @throws as `gatherStandings`
 */
export async function listBehind(
  client: RegistryClient,
  bases: readonly Pick<PolicyBase, "name">[],
  repositories: readonly Repository[],
  policy: LoadedPolicy,
  now: Date,
): Promise<Standings> {
  const { images, unread } = await gatherAll(client, repositories, policy, now);
  const isOfThese = (name: string | undefined): boolean => bases.some((base) => base.name === name);
  return {
    images: images.filter(({ base, standing }) => isOfThese(base?.name) && standing !== "current"),
    unread,
  };
}

async function gatherAll(
  client: RegistryClient,
  repositories: readonly Repository[],
  policy: LoadedPolicy,
  now: Date,
): Promise<Standings> {
  const references: Reference[] = [];
  const unread: Standings["unread"] = [];
  for (const repository of repositories) {
    try {
      const { images, unreadable } = await listTaggedImages(client, repository);
      for (const { tag, why } of unreadable)
        unread.push({ asked: formatReference({ ...repository, tag }), problem: why });
      references.push(...[...images].map(([digest, [tag]]) => ({ ...repository, tag, digest })));
    } catch (error) {
      if (!isKnownError(error) || error.code === "aborted") throw error;
      unread.push({ asked: formatReference(repository), problem: describeError(error) });
    }
  }
  const standings = await gatherStandings(client, references, policy, now);
  return { images: standings.images, unread: [...unread, ...standings.unread] };
}
