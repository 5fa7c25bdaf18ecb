import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  formatRepository,
  parseRepository,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts } from "@goldenpath/registry-client/subject";
import { planTarget } from "../../build/plan-target.ts";
import type { LayerContents } from "../../layers/contents.ts";
import { buildTrees } from "../../layers/read.ts";
import type { LoadedPolicy } from "../../policy/schema.ts";
import { listWithdrawn } from "../../policy/withdrawals.ts";
import { gatherPolicyBases } from "../approval/gather.ts";
import { isHeld } from "../decide.ts";
import { platformOf, readChildLayers } from "../gather.ts";
import { type ApprovedBase, identifyBase, isSamePlatform } from "../identify.ts";
import { judgeRebase, type RebaseRefusal } from "./judge.ts";
import { planRebase, type RebasePlan } from "./plan.ts";

export interface RebaseRequest {
  image: Reference;
  /** HOST/NAME:TAG, in quarantine. */
  to: string;
  /** A version of the same base, as the policy approves it or by its platform's own digest; else the newest. */
  onto?: Digest | undefined;
  isDryRun: boolean;
  now: Date;
  signal: AbortSignal;
}

export interface Rebased {
  /** HOST/NAME@sha256:… of what was rebased. */
  from: string;
  /** HOST/NAME@sha256:… of the result; absent where nothing was pushed. */
  image?: string;
  oldBase?: string;
  newBase?: string;
  refused: RebaseRefusal[];
  remarks: string[];
}

type Bases = { old: ApprovedBase; next: ApprovedBase } | { refused: RebaseRefusal };

/**
 * Puts an image of one platform on another version of its base, from registry to registry: what it stands on is told by
 * its layers, what it may stand on by the policy. Nothing is pushed where something is against it. What is pushed goes by
 * digest first and has its tag last, so that running again is safe.
 *
 * The result is another image, without any evidence.
 * @throws as {@link gatherPolicyBases}, {@link planTarget}, {@link readChildLayers}
 */
export async function rebaseImage(
  client: RegistryClient,
  loaded: LoadedPolicy,
  request: RebaseRequest,
): Promise<Rebased> {
  const target = planTarget(loaded.policy, [request.to], "--to");
  const found = await fetchImageFacts(client, request.image);
  const [child] = found.children;
  const from = formatReference({ ...found.reference, tag: undefined });
  const told: Rebased = { from, refused: [], remarks: target.remarks };
  if (child === undefined || child.digest !== found.reference.digest) {
    const wayOut = "Name one of its images by digest, and put the results together (detect-and-build, digests).";
    return {
      ...told,
      refused: [{ problem: "it is an index of several images, and one is rebased at a time", wayOut }],
    };
  }
  const approved = await gatherPolicyBases(client, loaded, [platformOf(child)], request.now);
  const bases = chooseBases(child, approved, loaded, request);
  if ("refused" in bases) return { ...told, refused: [bases.refused] };
  const { old, next } = bases;
  const named = { ...told, oldBase: nameOf(old), newBase: nameOf(next) };
  if (old.child === next.child) return { ...named, remarks: [...named.remarks, "it stands on that version already"] };
  const [oldBase, newBase] = [await fetchBase(client, old), await fetchBase(client, next)];
  const refused = await judge(client, request, { repository: found.reference, child, oldBase, newBase, next });
  if (refused.length > 0 || request.isDryRun) return { ...named, refused };
  const parts = { image: child, oldBase, newBase, newName: nameOf(next), newDigest: next.child };
  const digest = await push(client, target, planRebase(parts), { child, from: found.reference, next });
  return { ...named, image: `${formatRepository(target.repository)}@${digest}` };
}

const nameOf = ({ image, child }: ApprovedBase): string => `${image}@${child}`;

/** What the image stands on, and what it is to stand on: a version of the same base that still counts. */
function chooseBases(
  child: ChildFacts,
  approved: readonly ApprovedBase[],
  { inForce }: LoadedPolicy,
  { onto, now }: RebaseRequest,
): Bases {
  const platform = platformOf(child);
  const match = identifyBase({ platform, diffIds: child.config.rootfs.diff_ids }, approved);
  const catalogue = "Look at what it stands on by goldenpath base of, and at the bases of the policy.";
  if (match === undefined)
    return { refused: { problem: "its first layers are those of no base of the policy", wayOut: catalogue } };
  const [old] = match.bases;
  if (match.bases.some(({ name }) => name !== old.name)) {
    const names = [...new Set(match.bases.map(({ name }) => `'${name}'`))].join(" and ");
    return { refused: { problem: `its first layers are those of more than one base: ${names}`, wayOut: catalogue } };
  }
  const withdrawn = inForce === undefined ? [] : listWithdrawn(inForce);
  const isTakenBack = (digest: Digest): boolean =>
    withdrawn.some(({ thing }) => thing.kind !== "signer" && thing.digest === digest);
  if (isTakenBack(child.digest)) {
    const wayOut = "Build it again from its source, without what it was withdrawn for.";
    return { refused: { problem: "the image was withdrawn", wayOut } };
  }
  const counts = (base: ApprovedBase): boolean =>
    isHeld(base, now) && !isTakenBack(base.digest) && !isTakenBack(base.child);
  const versions = approved.filter(
    (base) => base.name === old.name && base.image === old.image && isSamePlatform(base.platform, platform),
  );
  const next = versions.findLast(
    (base) => counts(base) && (onto === undefined || [base.digest, base.child].includes(onto)),
  );
  if (next !== undefined) return { old, next };
  const asked = onto === undefined ? "no version" : `${onto} is no version`;
  return {
    refused: {
      problem: `${asked} of base '${old.name}' for ${formatPlatform(platform)} that is approved, not withdrawn and not over`,
      wayOut: "Have the platform team approve a version (goldenpath base approve, or the policy's digests).",
    },
  };
}

async function fetchBase(client: RegistryClient, base: ApprovedBase): Promise<ChildFacts> {
  const { children } = await fetchImageFacts(client, { ...parseRepository(base.image), digest: base.child });
  const [child] = children;
  if (child === undefined) throw new UserError(`${nameOf(base)} has no image`, { code: "base-not-found" });
  return child;
}

interface Found {
  repository: Reference;
  child: ChildFacts;
  oldBase: ChildFacts;
  newBase: ChildFacts;
  next: ApprovedBase;
}

async function judge(client: RegistryClient, { signal }: RebaseRequest, found: Found): Promise<RebaseRefusal[]> {
  const { child, oldBase, newBase, next } = found;
  const count = oldBase.config.rootfs.diff_ids.length;
  const { trees, layers } = await readChildLayers(client, found.repository, child, count, { signal });
  const read = await readChildLayers(client, parseRepository(next.image), newBase, 0, { signal });
  const wayOut = "Build it again from its source: what its config says can't be believed.";
  if (trees === undefined || layers === undefined)
    return [{ problem: "its layers are not what its config says", wayOut }];
  if (read.foreign === undefined || read.layers === undefined)
    return [{ problem: `the layers of ${nameOf(next)} are not what its config says`, wayOut }];
  return judgeRebase({
    labels: child.config.config?.Labels ?? {},
    baseLayers: count,
    oldBase: trees.base,
    image: trees.image,
    ...putTogether(read.layers, layers.slice(count), nameOf(next)),
  });
}

/** The new base, and the application's layers on it. */
function putTogether(newBase: readonly LayerContents[], own: readonly LayerContents[], where: string) {
  const { base, image } = buildTrees([...newBase, ...own], newBase.length, `the application on ${where}`);
  return { newBase: base, result: image, newLayers: newBase.length };
}

async function push(
  client: RegistryClient,
  { repository, tags: [tag] }: ReturnType<typeof planTarget>,
  { config, manifest }: RebasePlan,
  { child, from, next }: { child: ChildFacts; from: Reference; next: ApprovedBase },
): Promise<Digest> {
  const ofBase = new Set<string>(next.layers);
  for (const layer of manifest.layers)
    await client.copyBlob(ofBase.has(layer.digest) ? parseRepository(next.image) : from, repository, layer);
  const text = Buffer.from(stringifyJson(config));
  const described = { mediaType: child.manifest.config.mediaType, digest: digestOf(text), size: text.byteLength };
  await client.pushBlob(repository, described, () => text);
  const mediaType = child.manifest.mediaType ?? mediaTypes.ociManifest;
  const bytes = Buffer.from(stringifyJson({ ...manifest, mediaType, config: described }));
  const digest = await client.pushManifest(repository, bytes, mediaType);
  const seen = await client.readTag(repository, tag.tag ?? "");
  await client.setTag(repository, tag.tag ?? "", { bytes, mediaType, digest }, seen.digest, seen);
  return digest;
}
