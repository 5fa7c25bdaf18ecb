import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError, InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Ports, ProgressTask } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { blobsOf, copyBlobs } from "@goldenpath/registry-client/copy";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { RememberingClient } from "@goldenpath/registry-client/remember";
import { isAboutContent } from "../signing/content-errors.ts";
import { mergeAttestationTag } from "../signing/write-cosign-tag.ts";
import type { LeftBehind, PromotionPlan } from "./facts.ts";
import { addState } from "./failures.ts";

export interface ExecutionCounts {
  blobsMounted: number;
  blobsCopied: number;
  manifestsCopied: number;
  bytesCopied: number;
}

/** Manifests of one level that are written at the same time. */
const concurrency = 8;

export const noCounts: ExecutionCounts = { blobsMounted: 0, blobsCopied: 0, manifestsCopied: 0, bytesCopied: 0 };

/** Missing manifests that are written at the same time, once those of the levels before are there. */
interface Level {
  /** Of the image. */
  own: Manifest[];
  /** What refers to something, and is found by its list. */
  listed: Manifest[];
  /** What cosign attached under a tag. */
  tagged: { manifest: Manifest; tag: string; isEvidence: boolean }[];
}

/** A plan on its way to the destination. */
interface Copy {
  readonly client: RegistryClient;
  readonly source: RememberingClient;
  readonly plan: PromotionPlan;
  readonly manifests: ReadonlyMap<Digest, Manifest>;
  readonly to: Repository;
  readonly counts: ExecutionCounts;
  readonly task: ProgressTask;
}

/**
 * Writes what the plan says is missing, tags left out: blobs, then the image's manifests with children first, then what
 * refers to it, each after its subject. Stopped anywhere, it leaves blobs and manifests that no tag points at, and the
 * next run finds them present.
 *
 * A blob that nothing but somebody's referrer needs, and that is not at the source or is not what its digest and size
 * say, keeps that referrer and what refers to it from going along, and nothing else: that no blob is broken is only
 * known once it was copied.
 * @throws UserError `image-not-found` where the source no longer has what was gated; the client's errors, each with how
 *   far it got
 */
export async function executeCopy(
  client: RegistryClient,
  source: RememberingClient,
  plan: PromotionPlan,
  manifests: ReadonlyMap<Digest, Manifest>,
  ports: Ports,
): Promise<{ counts: ExecutionCounts; leftBehind: LeftBehind[] }> {
  const counts: ExecutionCounts = { ...noCounts };
  const blobs = plan.blobs.filter(({ action }) => action !== "present");
  const planned = plan.manifests.filter(({ action }) => action !== "present");
  if (blobs.length === 0 && planned.length === 0) return { counts, leftBehind: [] };
  const task = ports.progress.start(`copy to ${plan.to}`, {
    amount: plan.bytes.copy + plan.bytes.mount,
    unit: "bytes",
  });
  const copy: Copy = { client, source, plan, manifests, to: parseRepository(plan.to), counts, task };
  try {
    await assertStillThere(source, plan);
    const broken = await copyMissingBlobs(copy, blobs);
    const leftBehind = findBroken(planned, manifests, broken);
    const stays = new Set(leftBehind.map(({ digest }) => digest));
    const writes = planned.filter(({ digest }) => !stays.has(digest));
    for (const level of planLevels(writes, manifests)) await writeLevel(copy, level);
    task.done(
      `${counts.blobsMounted} mounted, ${counts.blobsCopied + counts.manifestsCopied} copied, ${(counts.bytesCopied / 1e6).toFixed(1)} MB`,
    );
    return { counts, leftBehind };
  } catch (error) {
    task.failed();
    const done = `at least ${counts.blobsMounted + counts.blobsCopied} of ${blobs.length} missing blobs and ${counts.manifestsCopied} of ${planned.length} missing manifests`;
    throw addState(error, `${done} were written to ${plan.to}, and no tag was set`);
  }
}

/** Those that are broken, and why: of what only somebody's referrer needs. */
async function copyMissingBlobs(copy: Copy, blobs: PromotionPlan["blobs"]): Promise<ReadonlyMap<Digest, string>> {
  const { client, source, plan, manifests, to, counts, task } = copy;
  const from = parseRepository(plan.from);
  const needing = plan.manifests.filter(({ role }) => role !== "referrer");
  const needed = new Set(
    needing.flatMap(({ digest }) => blobsOf(contentOf(manifests, digest)).map((blob) => blob.digest)),
  );
  const broken = new Map<Digest, string>();
  const noteBroken = (digest: Digest) => (error: unknown) => {
    if (!isAboutContent(error)) throw error;
    broken.set(digest, describeError(error));
  };
  const wanted = blobs.map((blob) => ({
    descriptor: blob,
    isMissing: blob.action === "copy",
    bytes: source.held(from, blob.digest),
    onError: needed.has(blob.digest) ? undefined : noteBroken(blob.digest),
  }));
  await copyBlobs(client, from, to, wanted, {
    onDone(blob, transfer) {
      if (transfer === "mounted") counts.blobsMounted++;
      else if (transfer === "copied") {
        counts.blobsCopied++;
        counts.bytesCopied += blob.size;
      }
      task.advance(blob.size);
    },
  });
  return broken;
}

/** In the order of writing. */
function planLevels(writes: PromotionPlan["manifests"], manifests: ReadonlyMap<Digest, Manifest>): Level[] {
  const levels = [...new Set(writes.map((each) => each.level))].sort((a, b) => a - b);
  return levels.map((number) => {
    const level: Level = { own: [], listed: [], tagged: [] };
    for (const { digest, role, tag } of writes.filter((each) => each.level === number)) {
      const manifest = contentOf(manifests, digest);
      if (tag !== undefined) level.tagged.push({ manifest, tag, isEvidence: role === "evidence" });
      else if (role === "child" || role === "image") level.own.push(manifest);
      else level.listed.push(manifest);
    }
    return level;
  });
}

async function writeLevel({ client, to, counts, task }: Copy, { own, listed, tagged }: Level): Promise<void> {
  const count = ({ bytes }: Manifest): void => {
    counts.manifestsCopied++;
    counts.bytesCopied += bytes.byteLength;
    task.advance(bytes.byteLength);
  };
  await mapConcurrently(concurrency, own, (manifest) =>
    client.pushManifest(to, manifest.bytes, manifest.mediaType, manifest.digest).then(() => count(manifest)),
  );
  if (listed.length > 0) await client.pushReferrers(to, listed).then(() => listed.forEach(count));
  for (const { manifest, tag, isEvidence } of tagged) {
    if (isEvidence) await mergeAttestationTag(client, to, tag, manifest);
    else await client.setTag(to, tag, manifest, undefined);
    count(manifest);
  }
}

function contentOf(manifests: ReadonlyMap<Digest, Manifest>, digest: Digest): Manifest {
  const manifest = manifests.get(digest);
  if (manifest === undefined) throw new TypeError(`the plan names ${digest}, and its bytes were not gathered`);
  return manifest;
}

/**
 * Of what is to be written, what names a broken blob, and what refers to that: subjects come before what refers to
 * them.
 */
function findBroken(
  planned: PromotionPlan["manifests"],
  manifests: ReadonlyMap<Digest, Manifest>,
  broken: ReadonlyMap<Digest, string>,
): LeftBehind[] {
  const reasons = new Map<Digest, LeftBehind>();
  for (const { digest, subject, role } of planned) {
    if (role !== "referrer" || subject === undefined) continue;
    const blob = blobsOf(contentOf(manifests, digest)).find((each) => broken.has(each.digest));
    const reason = blob === undefined ? undefined : broken.get(blob.digest);
    if (reason !== undefined) reasons.set(digest, { digest, subject, reason });
    else if (reasons.has(subject)) reasons.set(digest, { digest, subject, reason: `${subject} stays behind` });
  }
  return [...reasons.values()];
}

/** By digest it cannot be anything else than what was gated; but who owns it may have taken it back. */
async function assertStillThere(client: Pick<RegistryClient, "resolve">, plan: PromotionPlan): Promise<void> {
  if ((await client.resolve({ ...parseRepository(plan.from), digest: plan.digest }, { wasThere: true })) !== undefined)
    return;
  throw new UserError(`${plan.from}@${plan.digest} was deleted after the gate had passed it`, {
    code: "image-not-found",
    wayOut: "See who deleted it, and why; then build it again, or promote another.",
  });
}

/**
 * Gives each image that tags leave for what was rebased from it a tag of its own, before they do: the gate looks at it
 * again as long as the rebased one is there. The same again sets none.
 * @returns a sentence for each
 */
export async function keepAncestors(client: RegistryClient, plan: PromotionPlan): Promise<string[]> {
  const to = parseRepository(plan.to);
  const left = plan.tags.flatMap(({ from, kept }) =>
    from === undefined || kept === undefined ? [] : [[from, kept] as const],
  );
  const notes: string[] = [];
  // Of several tags that leave it the last one gives its name.
  for (const [digest, kept] of new Map(left)) {
    const seen = await client.readTag(to, kept);
    if (seen.digest === digest) continue;
    await client.setTag(to, kept, await client.fetchManifest({ ...to, digest }), undefined, seen);
    notes.push(`${digest}, which it was rebased from, is kept as ${kept}`);
  }
  return notes;
}

/**
 * Points the plan's tags at the promoted digest: the last thing that a promotion does. Where somebody moved one of them
 * since the plan, it is left alone, and none of the others is set. In two requests a tag: a look, and a write that the
 * registry compares with it where it can.
 * @throws InfrastructureError `tag-moved`, `tag-immutable`, and the client's others, each with which tags were set
 */
export async function executeTags(client: RegistryClient, plan: PromotionPlan, image: Manifest): Promise<void> {
  const to = parseRepository(plan.to);
  const set: string[] = [];
  try {
    const seen = await mapConcurrently(concurrency, plan.tags, ({ tag }) => client.readTag(to, tag));
    plan.tags.forEach(({ tag, from }, index) => {
      const current = seen[index]?.digest;
      if (current !== digestOf(image.bytes) && current !== from) throw tagMoved(plan, tag, from, current);
    });
    for (const [index, { tag, from }] of plan.tags.entries()) {
      await client.setTag(to, tag, image, from, seen[index]);
      set.push(tag);
    }
  } catch (error) {
    const left = plan.tags.map(({ tag }) => tag).filter((tag) => !set.includes(tag));
    const there = `the image, its evidence and the promotion's statement are in ${plan.to}`;
    throw addState(
      error,
      `${there}; ${set.length === 0 ? "no tag was set" : `set: ${set.join(", ")}`} (not set: ${left.join(", ")})`,
    );
  }
}

function tagMoved(
  plan: PromotionPlan,
  tag: string,
  from: Digest | undefined,
  current: Digest | undefined,
): InfrastructureError {
  return new InfrastructureError(
    `tag ${tag} of ${plan.to} was moved while this promotion ran: from ${from ?? "nothing"} to ${current ?? "nothing"}`,
    { code: "tag-moved", wayOut: "See who else promotes to this tag, then run the promotion again." },
  );
}
