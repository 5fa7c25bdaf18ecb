import { InfrastructureError, PolicyViolation } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { keptTag } from "../kept-tag.ts";
import { chooseNewest } from "./choose-newest.ts";
import { type BasesPolicy, gatherVersions, listSigned, type SignedImages } from "./gather-versions.ts";

/** What became of a floating tag. */
export interface MovedTag {
  base: string;
  /** HOST/NAME:TAG */
  tag: string;
  /** What it pointed at before; absent where it was not there. */
  before?: Digest;
  digest: Digest;
  /** False where it was there already. */
  isMoved: boolean;
  /** The tag under which the version that it left is kept, where it had no other. */
  kept?: string;
}

/** Images of which the policy says by which tag the newest version goes. */
export type TaggedImages = SignedImages & { approval: { tag: string } };

/** Of a policy's bases and builders those that have a floating tag. */
export function listFloating(policy: Parameters<typeof listSigned>[0]): TaggedImages[] {
  return listSigned(policy).flatMap((each) => withTag(each) ?? []);
}

/** The same as such with a floating tag; undefined where the policy gives it none. */
export function withTag(signed: SignedImages): TaggedImages | undefined {
  const { tag } = signed.approval;
  return tag === undefined ? undefined : { ...signed, approval: { ...signed.approval, tag } };
}

export interface MoveOptions {
  now: Date;
  isDryRun?: boolean;
}

/** How often the tag is looked at and set, where somebody sets, approves or withdraws at the same time. */
const maxRounds = 4;

/**
 * Points the floating tag of a base, or of what builds run in, at the newest version that is approved and has not ended,
 * whatever it points at now. Once it is set, policy, approvals and tag are read anew, so that whoever withdraws, approves or sets it at the same
 * time does not leave it behind; the same again changes nothing.
 *
 * A version is what a tag of the repository points at. The one that the tag leaves gets a tag of its own where it has
 * no other: what stands on it would stand on nothing that is known.
 * @param readPolicy the policy as it is now, with what is withdrawn
 * @throws PolicyViolation `base-not-approved` where no version is left: the tag stays where it is; InfrastructureError
 *   `tag-moved`; as `gatherVersions`, and the client's
 */
export async function moveTag(
  client: RegistryClient,
  base: TaggedImages,
  readPolicy: () => Promise<BasesPolicy>,
  { now, isDryRun = false }: MoveOptions,
): Promise<MovedTag> {
  const repository = parseRepository(base.image);
  const { tag } = base.approval;
  const name = formatReference({ ...repository, tag });
  const { digest: before } = await client.readTag(repository, tag);
  let kept: string | undefined;
  for (let round = 1; round <= maxRounds; round++) {
    const digest = await findNewest(client, base, await readPolicy(), now);
    const moved = { base: base.name, tag: name, ...(before === undefined ? {} : { before }), digest };
    const { digest: there } = await client.readTag(repository, tag);
    if (isDryRun || there === digest)
      return { ...moved, isMoved: before !== digest, ...(kept === undefined ? {} : { kept }) };
    if (there !== undefined) kept = (await keepVersion(client, repository, { tag, digest: there })) ?? kept;
    const manifest = await client.fetchManifest({ ...repository, digest });
    try {
      await client.setTag(repository, tag, manifest, there);
    } catch (error) {
      if (!(error instanceof InfrastructureError) || error.code !== "tag-moved") throw error;
    }
  }
  throw new InfrastructureError(`${name} was set ${maxRounds} times, and is not where it should be`, {
    code: "tag-moved",
    attempts: maxRounds,
    wayOut: `See who else sets it, and who approves and withdraws versions of ${describeUse(base)}, then run again.`,
  });
}

const describeUse = ({ name, use }: SignedImages): string => `${use === "run" ? "base" : "builder"} '${name}'`;

async function findNewest(client: RegistryClient, base: SignedImages, policy: BasesPolicy, now: Date): Promise<Digest> {
  const versions = await gatherVersions(rememberReads(client), base, policy, now);
  const found = chooseNewest(versions, base, now);
  if ("version" in found) return found.version.digest;
  const why = found.problems.length === 0 ? ["it has no version"] : found.problems;
  throw new PolicyViolation(
    `no version of ${describeUse(base)} is approved, and its tag '${base.approval.tag}' stays where it is: ${why.slice(0, 5).join("; ")}`,
    {
      code: "base-not-approved",
      rule: base.use === "run" ? "base.approval" : "build.builder",
      wayOut: "Approve a version (goldenpath base approve), and run again.",
    },
  );
}

/** @returns the version's new tag; undefined where it has another already, or is gone */
async function keepVersion(
  client: RegistryClient,
  repository: Repository,
  left: { tag: string; digest: Digest },
): Promise<string | undefined> {
  for (const tag of await client.listTags(repository)) {
    if (tag !== left.tag && (await client.readTag(repository, tag)).digest === left.digest) return undefined;
  }
  const own = keptTag(left.tag, left.digest);
  await client.setTag(repository, own, await client.fetchManifest({ ...repository, digest: left.digest }), undefined);
  return own;
}
