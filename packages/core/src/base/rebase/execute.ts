import { UserError } from "@goldenpath/foundation/errors";
import type { ManifestContent, RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform, type Manifest } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  formatRepository,
  parseRepository,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts, type ImageFacts, readImageFacts } from "@goldenpath/registry-client/subject";
import { type PlannedTarget, planTarget } from "../../build/plan-target.ts";
import type { LayerContents } from "../../layers/contents.ts";
import { buildTrees } from "../../layers/read.ts";
import type { LoadedPolicy } from "../../policy/schema.ts";
import { findWithdrawn } from "../../policy/withdrawals.ts";
import { gatherPolicyBases } from "../approval/gather.ts";
import { readChildLayers } from "../gather-child.ts";
import { type ApprovedBase, platformOf } from "../identify.ts";
import { chooseBases } from "./choose.ts";
import { copyImage, pushImage, type RenderedImage, renderImage, renderIndex, setTag } from "./execute-push.ts";
import { judgeRebase, type RebaseRefusal } from "./judge.ts";
import { planRebase } from "./plan.ts";
import { planIndex, type RebasedChild, type SharedBase } from "./plan-index.ts";

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
  /** What the result is, or would be; absent where nothing is. */
  digest?: Digest;
  /** What runs of it, as far as it was looked at before something was found against it. */
  children: RebasedPart[];
  refused: RebaseRefusal[];
  remarks: string[];
}

/** One image that runs: HOST/NAME@sha256:… of the bases that it stood on and is to stand on. */
export interface RebasedPart {
  platform: string;
  oldBase: string;
  newBase: string;
}

/** What is to be done with one image that runs. */
interface ChildPlan {
  child: ChildFacts;
  old: ApprovedBase;
  next: ApprovedBase;
  refused: RebaseRefusal[];
  /** Undefined where it stands on the new base already, and where something is against it. */
  rendered?: RenderedImage;
}

/**
 * Puts an image on another version of its base, from registry to registry: what it stands on is told by its layers, what
 * it may stand on by the policy. Of an index each image is put on the base's image of its platform, and where something
 * is against one of them, nothing is pushed. What is pushed goes by digest first and has its tag last, so that running
 * again is safe.
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
  const root = await client.fetchManifest(request.image);
  const found = await readImageFacts(client, request.image, root);
  const from = formatReference({ ...found.reference, tag: undefined });
  const told: Rebased = { from, children: [], refused: [], remarks: [...target.remarks] };
  if ([found.reference, ...found.children].some(({ digest }) => findWithdrawn(loaded, digest) !== undefined)) {
    const wayOut = "Build it again from its source, without what it was withdrawn for.";
    return { ...told, refused: [{ problem: "the image was withdrawn", wayOut }] };
  }
  const approved = await gatherPolicyBases(client, loaded, found.children.map(platformOf), request.now);
  const plans: ChildPlan[] = [];
  for (const child of found.children) {
    const plan = await planChild(client, loaded, request, { found, child, approved });
    const where = root.kind === "index" ? `${formatPlatform(child.platform)}: ` : "";
    told.refused.push(...plan.refused.map(({ problem, wayOut }) => ({ problem: `${where}${problem}`, wayOut })));
    if (!("old" in plan)) continue;
    plans.push(plan);
    const platform = formatPlatform(platformOf(child));
    told.children.push({ platform, oldBase: nameOf(plan.old), newBase: nameOf(plan.next) });
  }
  if (told.refused.length > 0) return told;
  if (plans.every(({ old, next }) => old.child === next.child))
    return { ...told, remarks: [...told.remarks, "it stands on that version already"] };
  if (found.attestations !== undefined && found.attestations.length > 0)
    told.remarks.push("attestations in the index are about the old images, and are left out");
  const { digest } = renderRoot({ root, plans });
  if (request.isDryRun) return { ...told, digest };
  await push(client, target, { root, found, plans });
  return { ...told, digest, image: `${formatRepository(target.repository)}@${digest}` };
}

const nameOf = ({ image, child }: ApprovedBase): string => `${image}@${child}`;

async function planChild(
  client: RegistryClient,
  loaded: LoadedPolicy,
  request: RebaseRequest,
  { found, child, approved }: { found: ImageFacts; child: ChildFacts; approved: readonly ApprovedBase[] },
): Promise<ChildPlan | { refused: RebaseRefusal[] }> {
  const bases = chooseBases(child, approved, loaded, request);
  if ("refused" in bases) return { refused: [bases.refused] };
  const { old, next } = bases;
  if (old.child === next.child) return { child, old, next, refused: [] };
  const [oldBase, newBase] = [await fetchBase(client, old), await fetchBase(client, next)];
  const refused = await judge(client, request, { repository: found.reference, child, oldBase, newBase, next });
  if (refused.length > 0) return { child, old, next, refused };
  const plan = planRebase({ image: child, oldBase, newBase, newName: nameOf(next), newDigest: next.child });
  return { child, old, next, refused, rendered: renderImage(plan, child) };
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
    topLayer: oldBase.config.rootfs.diff_ids.at(-1),
    newLabels: newBase.config.config?.Labels ?? {},
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

interface Planned {
  root: Manifest;
  found: ImageFacts;
  plans: readonly ChildPlan[];
}

/** The same again has the same bytes. */
function renderRoot({ root, plans }: Pick<Planned, "root" | "plans">): ManifestContent {
  if (root.kind === "image") {
    const [only] = plans;
    if (only?.rendered === undefined) throw new TypeError(`${root.digest} was not rebased`);
    return only.rendered;
  }
  const replaced = new Map<Digest, RebasedChild>();
  for (const { child, next, rendered } of plans) {
    const base = { name: nameOf(next), digest: next.child };
    replaced.set(child.digest, { ...(rendered ?? { ...child.descriptor, system: child.config }), base });
  }
  return renderIndex(planIndex(root.manifest, replaced, shareBase(plans)), root.mediaType);
}

async function push(client: RegistryClient, target: PlannedTarget, { root, found, plans }: Planned): Promise<void> {
  const { repository } = target;
  for (const { child, next, rendered } of plans) {
    if (rendered === undefined) await copyImage(client, found.reference, repository, child.digest);
    else await pushImage(client, repository, rendered, { from: found.reference, next });
  }
  const whole = renderRoot({ root, plans });
  if (root.kind === "index") await client.pushManifest(repository, whole.bytes, whole.mediaType);
  await setTag(client, target, whole);
}

/** As the policy approves it: one digest for all of its platforms. */
function shareBase(plans: readonly ChildPlan[]): SharedBase {
  const [first] = plans;
  if (first === undefined || plans.some(({ next }) => next.digest !== first.next.digest)) return undefined;
  const { image, digest } = first.next;
  return { name: `${image}@${digest}`, digest };
}
