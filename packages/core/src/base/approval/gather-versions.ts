import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { isRunnable, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import type { Builder } from "../../build/strategies/strategy.ts";
import { lookAtTag } from "../../evidence/gather-record.ts";
import type { ApprovalRules } from "../../policy/approval-section.ts";
import type { LoadedPolicy, Policy, PolicyBase } from "../../policy/schema.ts";
import { findWithdrawn } from "../../policy/withdrawals.ts";
import { isRunnableContent } from "../../promote/runnable.ts";
import { collectEvidence } from "../../signing/collect.ts";
import { isAboutContent } from "../../signing/content-errors.ts";
import { gatherApprovedBases } from "../gather.ts";
import type { ApprovedBase } from "../identify.ts";
import { chooseApproval, type FoundApproval } from "./choose.ts";
import { judgeApproval, listNewer } from "./judge.ts";

/** What is asked of the policy that bases are looked up by. */
export type BasesPolicy = Pick<LoadedPolicy, "inForce"> & {
  policy: Pick<LoadedPolicy["policy"], "bases" | "enforceFrom" | "forbiddenBases" | "signers">;
};

/** Versions of one base that are asked about: what a repository of bases keeps, and no more. */
const maxVersions = 100;

/** Versions that are asked about at the same time; the client has a limit of its own for each host. */
const concurrency = 8;

type SignedBase = PolicyBase & { approval: ApprovalRules };

/** Images of a policy that count by signed approvals: a base, or what builds run in. */
export interface SignedImages {
  name: string;
  /** Their repository. */
  image: string;
  /** Those that are asked about; none: what the repository's tags point at. */
  digests: readonly Digest[];
  until?: string | undefined;
  approval: Pick<ApprovalRules, "signers"> & Partial<ApprovalRules>;
  use: "run" | "build";
}

/** Of a policy's bases and builders those that count so, in its order. */
export function listSigned({ bases, build }: Pick<Policy, "bases" | "build">): SignedImages[] {
  const ofBases = bases.flatMap(({ approval, ...base }) =>
    approval === undefined ? [] : [{ ...base, approval, use: "run" as const }],
  );
  const ofBuilders = build.builders.flatMap(({ name, image, digests, until, approval }: Builder) =>
    approval === undefined || image === undefined || digests === undefined
      ? []
      : [
          {
            name,
            image,
            digests,
            until,
            approval: { ...approval, signers: [...approval.signers] },
            use: "build" as const,
          },
        ],
  );
  return [...ofBases, ...ofBuilders];
}

/** A version of a base, and what is signed of it. */
export interface BaseVersion {
  digest: Digest;
  found: FoundApproval;
}

/** The versions of a base that counts by signed approvals: as `gatherPolicyBases` has them. */
export async function gatherSigned(
  client: RegistryClient,
  base: SignedBase,
  loaded: BasesPolicy,
  platforms: readonly Platform[],
  now: Date,
): Promise<ApprovedBase[]> {
  const versions = await gatherVersions(client, base, loaded, now);
  const gathered = await mapConcurrently(concurrency, versions, async ({ digest, found }) => {
    // All of them: without their own day, demands that only warn until then would refuse.
    const state = { rules: base.approval, found, newer: listNewer(found, versions) };
    const children = await gatherApprovedBases(client, [{ ...base, digests: [digest] }], platforms);
    return children.map((child): ApprovedBase => ({ ...child, approval: state }));
  });
  return gathered.flat();
}

/**
 * Of the policy's list, or else of the repository's tags, from the oldest approval to the newest.
 * @throws UserError `base-versions-too-many`, `base-unreadable`; as `collectEvidence`
 */
export async function gatherVersions(
  client: RegistryClient,
  base: Pick<SignedImages, "name" | "image" | "digests" | "approval">,
  loaded: BasesPolicy,
  now: Date,
): Promise<BaseVersion[]> {
  const repository = parseRepository(base.image);
  const digests = await listVersions(client, base);
  const { signers } = loaded.policy;
  const approvers = Object.fromEntries(
    base.approval.signers.flatMap((name) => {
      const signer = Object.hasOwn(signers, name) ? signers[name] : undefined;
      return signer === undefined ? [] : [[name, signer]];
    }),
  );
  const gathered = await mapConcurrently(concurrency, digests, async (digest) => {
    const children = await listChildren(client, repository, digest);
    if (children === undefined) return [];
    const evidence = await collectEvidence(client, repository, digest, approvers, { now });
    const found = chooseApproval({
      ...{ digest, children, evidence, now, withdrawn: findWithdrawn(loaded, digest) },
      approvers: base.approval.signers,
    });
    return [{ digest, found }];
  });
  const time = ({ found }: { found: FoundApproval }): number =>
    found.kind === "approved" ? found.approval.approvedAt.getTime() : 0;
  // Logs and timestamps tell seconds: of two of one moment the order must not rest on where tags point, which it moves.
  return gathered.flat().toSorted((a, b) => time(a) - time(b) || (a.digest < b.digest ? -1 : 1));
}

/** What a repository's tags point at, but for signatures and charts. */
export async function listImages(
  client: RegistryClient,
  base: Pick<SignedImages, "name" | "image">,
): Promise<Digest[]> {
  const repository = parseRepository(base.image);
  const versions = await listVersions(client, { ...base, digests: [] });
  const children = await mapConcurrently(concurrency, versions, (each) => listChildren(client, repository, each));
  return versions.filter((_, index) => children[index] !== undefined);
}

/** @throws UserError `base-versions-too-many`, `base-unreadable` */
async function listVersions(
  client: RegistryClient,
  { name, image, digests }: Pick<SignedImages, "name" | "image" | "digests">,
): Promise<Digest[]> {
  const versions = digests.length > 0 ? digests : await listTagged(client, parseRepository(image), name);
  assertFew(versions.length, name);
  return [...new Set(versions)];
}

/** Of an index what runs of it, of an image nothing; undefined for what is neither, such as a signature or a chart. */
async function listChildren(
  client: RegistryClient,
  repository: Repository,
  digest: Digest,
): Promise<Digest[] | undefined> {
  try {
    const root = await client.fetchManifest({ ...repository, digest });
    if (root.kind === "index") return root.manifest.manifests.filter(isRunnable).map((child) => child.digest);
    return isRunnableContent(root) === undefined ? undefined : [];
  } catch (error) {
    // It fails, as the base that it is, when its layers are asked for.
    if (isAboutContent(error)) return [];
    throw error;
  }
}

async function listTagged(client: RegistryClient, repository: Repository, name: string): Promise<Digest[]> {
  const tags = await client.listTags(repository).catch((error: unknown) => {
    if (!(error instanceof UserError) || error.code !== "registry-unauthorized") throw error;
    // Some registries say so of a repository that is not there.
    throw new UserError(
      `base '${name}': the versions in ${formatRepository(repository)} can't be listed: ${error.message}`,
      {
        code: error.code,
        cause: error,
        wayOut: `Log in as who may read it. If nothing was ever pushed there, push and approve its first version, or leave base '${name}' out of the policy until then.`,
      },
    );
  });
  assertFew(tags.filter((tag) => !/^sha(?:256|512)-/.test(tag)).length, name);
  const looked = await mapConcurrently(concurrency, tags, (tag) => lookAtTag(client, repository, tag));
  return looked.flatMap((found, at) => {
    if (typeof found !== "object") return found ?? [];
    throw new UserError(
      `base '${name}': what is under tag ${tags[at]} of ${formatRepository(repository)} can't be read`,
      {
        code: "base-unreadable",
        wayOut: "Delete the tag, or put an image there: what can't be read could be what an image stands on.",
      },
    );
  });
}

function assertFew(count: number, name: string): void {
  if (count <= maxVersions) return;
  throw new UserError(`base '${name}' has ${count} versions, and ${maxVersions} are looked at at most`, {
    code: "base-versions-too-many",
    wayOut: "Delete the tags of old versions from the base's repository, or list the versions in the policy's digests.",
  });
}

/**
 * The policy with the versions that hold at a moment in place of what its bases list, and of its builders, the newest
 * approved last: what is built goes on that one, and in that one.
 */
export async function resolveBases(client: RegistryClient, loaded: LoadedPolicy, now: Date): Promise<LoadedPolicy> {
  const signed = listSigned(loaded.policy);
  if (signed.length === 0) return loaded;
  const holding = await mapConcurrently(concurrency, signed, async (each) => {
    const versions = await gatherVersions(rememberReads(client), each, loaded, now);
    const { approval: rules, use } = each;
    const digests = versions
      .filter(({ found }) => judgeApproval({ rules, found, newer: [], use }, now).refused.length === 0)
      .map(({ digest }) => digest);
    return { ...each, digests };
  });
  const put = <T extends { name: string }>(entries: T[], of: SignedImages["use"]): T[] =>
    entries.map((entry) => {
      const found = holding.find(({ name, use }) => use === of && name === entry.name);
      return found === undefined ? entry : { ...entry, digests: found.digests };
    });
  const { bases, build } = loaded.policy;
  const resolved = { bases: put(bases, "run"), build: { ...build, builders: put(build.builders, "build") } };
  return { ...loaded, policy: { ...loaded.policy, ...resolved } };
}
