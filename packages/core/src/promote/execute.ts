import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError, InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { blobsOf, copyBlobs } from "@goldenpath/registry-client/copy";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { RememberingClient } from "@goldenpath/registry-client/remember";
import { isAboutContent } from "../signing/read-referrer.ts";
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
  const from = parseRepository(plan.from);
  const to = parseRepository(plan.to);
  const counts: ExecutionCounts = { ...noCounts };
  const blobs = plan.blobs.filter(({ action }) => action !== "present");
  const planned = plan.manifests.filter(({ action }) => action !== "present");
  if (blobs.length === 0 && planned.length === 0) return { counts, leftBehind: [] };
  const contentOf = (digest: Digest): Manifest => {
    const manifest = manifests.get(digest);
    if (manifest === undefined) throw new TypeError(`the plan names ${digest}, and its bytes were not gathered`);
    return manifest;
  };
  const needed = new Set(
    plan.manifests
      .filter(({ role }) => role !== "referrer")
      .flatMap(({ digest }) => blobsOf(contentOf(digest)).map((blob) => blob.digest)),
  );
  const broken = new Map<Digest, string>();
  const noteBroken = (digest: Digest) => (error: unknown) => {
    if (!isAboutContent(error)) throw error;
    broken.set(digest, describeError(error));
  };
  const task = ports.progress.start(`copy to ${plan.to}`, {
    amount: plan.bytes.copy + plan.bytes.mount,
    unit: "bytes",
  });
  try {
    await assertStillThere(source, plan);
    await copyBlobs(
      client,
      from,
      to,
      blobs.map((blob) => ({
        descriptor: blob,
        isMissing: blob.action === "copy",
        bytes: source.held(from, blob.digest),
        onError: needed.has(blob.digest) ? undefined : noteBroken(blob.digest),
      })),
      {
        onDone: (blob, transfer) => {
          if (transfer === "mounted") counts.blobsMounted++;
          else if (transfer === "copied") {
            counts.blobsCopied++;
            counts.bytesCopied += blob.size;
          }
          task.advance(blob.size);
        },
      },
    );
    const count = ({ bytes }: Manifest): void => {
      counts.manifestsCopied++;
      counts.bytesCopied += bytes.byteLength;
      task.advance(bytes.byteLength);
    };
    const leftBehind = findBroken(planned, contentOf, broken);
    const stays = new Set(leftBehind.map(({ digest }) => digest));
    const writes = planned.filter(({ digest }) => !stays.has(digest));
    for (const level of [...new Set(writes.map((each) => each.level))].sort((a, b) => a - b)) {
      const here = writes.filter((each) => each.level === level);
      const listed = here
        .filter(({ role, tag }) => role !== "child" && role !== "image" && tag === undefined)
        .map(({ digest }) => contentOf(digest));
      const own = here
        .filter(({ role }) => role === "child" || role === "image")
        .map(({ digest }) => contentOf(digest));
      await mapConcurrently(concurrency, own, (manifest) =>
        client.pushManifest(to, manifest.bytes, manifest.mediaType, manifest.digest).then(() => count(manifest)),
      );
      if (listed.length > 0) await client.pushReferrers(to, listed).then(() => listed.forEach(count));
      for (const { digest, tag } of here) {
        if (tag === undefined) continue;
        await client.setTag(to, tag, contentOf(digest), undefined);
        count(contentOf(digest));
      }
    }
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

/**
 * Of what is to be written, what names a broken blob, and what refers to that: subjects come before what refers to
 * them.
 */
function findBroken(
  planned: PromotionPlan["manifests"],
  contentOf: (digest: Digest) => Manifest,
  broken: ReadonlyMap<Digest, string>,
): LeftBehind[] {
  const reasons = new Map<Digest, LeftBehind>();
  for (const { digest, subject, role } of planned) {
    if (role !== "referrer" || subject === undefined) continue;
    const blob = blobsOf(contentOf(digest)).find((each) => broken.has(each.digest));
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
