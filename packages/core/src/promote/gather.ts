import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { blobsOf } from "@goldenpath/registry-client/copy";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor, Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { RememberingClient } from "@goldenpath/registry-client/remember";
import type { GateOutcome } from "../gate/verify.ts";
import { compareAttestationTag } from "../signing/write-cosign-tag.ts";
import { listEvidence } from "./evidence.ts";
import type { BlobFacts, LeftBehind, ManifestFacts, PromotionFacts, ReadFacts } from "./facts.ts";
import { findReferrers, type ReferrerGraph, readPayloads } from "./referrers.ts";
import { isRunnableContent, maxStatementBytes } from "./runnable.ts";

const concurrency = 8;

interface GatherOptions {
  /** `signed`: the evidence of the policy's signers and nothing else. */
  referrers: "all" | "signed";
  /**
   * Each manifest and blob is asked for at the destination: what a list or an index there says of them is not taken for
   * it.
   */
  isThorough?: boolean;
}

export interface GatheredPromotion {
  facts: PromotionFacts;
  /** The bytes to push, by digest, as the source served them: checked once, and not asked for again. */
  manifests: ReadonlyMap<Digest, Manifest>;
}

/** A manifest that is to be at the destination. */
type Wanted = Omit<ManifestFacts, "isPresent" | "blobs" | "mediaType" | "size"> & { manifest: Manifest };

/**
 * What the promotion of an image needs at `to`, and what of it is there: the image's manifests, every statement that a
 * signer of the policy made, and, with `referrers: all`, what else refers to it and can't be run. A manifest that is
 * there means that its blobs are: registries take none whose blobs they have not, and keep the blobs of those that they
 * have.
 */
export async function gatherPromotion(
  client: RegistryClient,
  source: RememberingClient,
  { image, evidence }: Pick<GateOutcome, "image" | "evidence">,
  to: Repository,
  tags: readonly string[],
  { referrers, isThorough = false }: GatherOptions,
): Promise<GatheredPromotion> {
  const from: Repository = { registry: image.reference.registry, name: image.reference.name };
  const nothing: ReferrerGraph = { carried: [], leftBehind: [], lists: 0, contents: 0 };
  const [root, graph, current] = await Promise.all([
    source.fetchManifest({ ...from, digest: image.reference.digest }),
    referrers === "all" ? findReferrers(source, from, evidence) : nothing,
    mapConcurrently(concurrency, tags, (tag) => client.resolve({ ...to, tag })),
  ]);
  const { children, payloads } = await fetchChildren(
    source,
    root,
    from,
    new Set(image.children.map(({ digest }) => digest)),
  );
  // BuildKit's attestations are children of the index, and may be evidence besides.
  const own = new Set(children.map(({ digest }) => digest));
  const wanted: Wanted[] = [
    ...children.map((manifest) => ({ digest: manifest.digest, manifest, role: "child" as const, level: 0 })),
    { digest: root.digest, manifest: root, role: "image", level: 1 },
    ...(await fetchEvidence(source, from, evidence)).filter(({ digest }) => !own.has(digest)),
    ...graph.carried.map(asWanted),
  ];
  const destination = await lookAtDestination(client, to, wanted, isThorough);
  const blobs = await lookForBlobs(client, from, to, wanted, isThorough ? () => false : destination.isPresent);
  const manifests = wanted.map((each) => describeManifest(each, destination.isPresent(each), blobs.present));
  const reads = countReads(image, evidence, graph, manifests);
  reads.contents += payloads;
  reads.lists += destination.lists;
  // And one for which policy is in force.
  reads.looks += destination.looks + blobs.looks + tags.length + 1;
  reads.held = blobs.missing.map(({ digest }) => digest).filter((digest) => source.held(from, digest) !== undefined);
  return {
    facts: {
      from,
      to,
      digest: root.digest,
      manifests: manifests.filter(({ tag }) => tag === undefined || !destination.keepsOwn.has(tag)),
      leftBehind: [...graph.leftBehind, ...destination.leftBehind],
      tags: tags.map((tag, index) => {
        // A tag's digest is of the registry's own algorithm, whichever the image goes by.
        const found = current[index] === digestOf(root.bytes) ? root.digest : current[index];
        return { tag, ...(found === undefined ? {} : { current: found }) };
      }),
      reads,
    },
    manifests: new Map(wanted.map(({ manifest }) => [manifest.digest, manifest])),
  };
}

function fetchEvidence(
  source: RememberingClient,
  from: Repository,
  evidence: GateOutcome["evidence"],
): Promise<Wanted[]> {
  return mapConcurrently(concurrency, listEvidence(evidence), async ({ digest, ...part }) => ({
    digest,
    manifest: await source.fetchManifest({ ...from, digest }),
    role: "evidence" as const,
    ...part,
  }));
}

function asWanted({ manifest, subject, depth, tag }: ReferrerGraph["carried"][number]): Wanted {
  return {
    digest: manifest.digest,
    manifest,
    role: "referrer",
    level: depth + 1,
    subject,
    artifactType: typeOf(manifest),
    ...(tag === undefined ? {} : { tag }),
  };
}

/** Which blobs the destination has. `isThere`: the manifest is there and speaks for its blobs. */
async function lookForBlobs(
  client: RegistryClient,
  from: Repository,
  to: Repository,
  wanted: readonly Wanted[],
  isThere: (each: Wanted) => boolean,
): Promise<{ present: ReadonlySet<Digest>; missing: Descriptor[]; looks: number }> {
  const blobsAmong = (some: readonly Wanted[]): Descriptor[] => {
    const blobs = some.flatMap(({ manifest }) => blobsOf(manifest));
    return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
  };
  const present = new Set(blobsAmong(wanted.filter(isThere)).map(({ digest }) => digest));
  const missing = blobsAmong(wanted.filter((each) => !isThere(each))).filter(({ digest }) => !present.has(digest));
  // Within one registry a mount costs as much as the question.
  const asked = from.registry === to.registry ? [] : missing;
  const answers = await mapConcurrently(concurrency, asked, ({ digest }) => client.hasBlob(to, digest));
  asked.forEach(({ digest }, index) => void (answers[index] === true && present.add(digest)));
  return { present, missing, looks: asked.length };
}

function describeManifest(
  { manifest, ...facts }: Wanted,
  isPresent: boolean,
  present: ReadonlySet<Digest>,
): ManifestFacts {
  const blobs: BlobFacts[] = blobsOf(manifest).map(({ digest, mediaType, size }) => ({
    digest,
    mediaType,
    size,
    isPresent: present.has(digest),
  }));
  return { ...facts, mediaType: manifest.mediaType, size: manifest.bytes.byteLength, isPresent, blobs };
}

/**
 * Every child of an index, the unrunnable attestation children as well: the index is copied byte for byte, and must not
 * name what is not there. Of those that nobody has judged, the payloads are read: an attestation has an image's config,
 * and its layers' types keep no runtime that looks at none from unpacking an archive.
 * @throws InfrastructureError `manifest-invalid` for a child that could be run and was not judged
 */
async function fetchChildren(
  source: RememberingClient,
  root: Manifest,
  from: Repository,
  judged: ReadonlySet<Digest>,
): Promise<{ children: Manifest[]; payloads: number }> {
  if (root.kind === "image") return { children: [], payloads: 0 };
  const digests = [...new Set(root.manifest.manifests.map((descriptor) => descriptor.digest))];
  let payloads = 0;
  const children = await mapConcurrently(concurrency, digests, async (digest) => {
    const child = await source.fetchManifest({ ...from, digest });
    if (judged.has(digest)) return child;
    const read = await readPayloads(source, from, child, maxStatementBytes);
    payloads += read.size;
    const runs = isRunnableContent(child, read);
    if (runs !== undefined) {
      throw new InfrastructureError(
        `${formatRepository(from)}@${root.digest} holds ${digest}, which says that it is of no platform: ${runs}, and nobody has judged it`,
        {
          code: "manifest-invalid",
          safeToRetry: false,
          wayOut: "Find out who built the index, and build it again without that child.",
        },
      );
    }
    return child;
  });
  return { children, payloads };
}

interface Destination {
  isPresent(wanted: Wanted): boolean;
  /** cosign's tags that the destination has its own manifests under. */
  keepsOwn: ReadonlySet<string>;
  leftBehind: LeftBehind[];
  lists: number;
  looks: number;
}

/**
 * What the destination has: the image's manifest is asked for, its children where it is not there, and of what refers,
 * the list of each subject that is there. A referrer that a registry without referrers API keeps and does not list has
 * to be pushed again: a promotion that was killed between the two leaves one that nobody finds.
 */
async function lookAtDestination(
  client: RegistryClient,
  to: Repository,
  wanted: readonly Wanted[],
  isThorough: boolean,
): Promise<Destination> {
  // By tag what is written under one, and else by digest: the same manifest can be under a tag and in a list, and be at
  // the destination as one of the two.
  const there = new Set<string>();
  const keepsOwn = new Set<string>();
  const leftBehind: LeftBehind[] = [];
  let looks = 0;
  let lists = 0;
  const look = (some: readonly Wanted[]): Promise<unknown> =>
    mapConcurrently(concurrency, some, async ({ digest }) => {
      looks++;
      if ((await client.resolve({ ...to, digest })) !== undefined) there.add(digest);
    });
  const ofRole = (...roles: Wanted["role"][]): Wanted[] => wanted.filter(({ role }) => roles.includes(role));
  await look(ofRole("image"));
  const [root] = ofRole("image");
  const isWhole = root !== undefined && there.has(root.digest) && !isThorough;
  if (isWhole) for (const { digest } of ofRole("child")) there.add(digest);
  else await look(ofRole("child"));

  const referring = ofRole("evidence", "referrer");
  const levels = [...new Set(referring.map(({ level }) => level))].sort((a, b) => a - b);
  for (const level of levels) {
    const here = referring.filter((each) => each.level === level && each.tag === undefined);
    const subjects = [...new Set(here.map(({ subject }) => subject))].filter(
      (subject) => subject !== undefined && there.has(subject),
    );
    const listed = new Map<Digest, ReadonlySet<Digest>>();
    await mapConcurrently(concurrency, subjects, async (subject) => {
      if (subject === undefined) return;
      lists++;
      listed.set(subject, new Set((await client.listReferrers(to, subject)).map(({ digest }) => digest)));
    });
    const named = here.filter(
      ({ digest, subject }) => subject !== undefined && listed.get(subject)?.has(digest) === true,
    );
    if (isThorough) await look(named);
    else for (const { digest } of named) there.add(digest);
  }

  await mapConcurrently(
    concurrency,
    referring.filter(({ tag }) => tag !== undefined),
    async ({ digest, tag, subject, role, manifest }) => {
      if (tag === undefined || subject === undefined) return;
      looks++;
      const current = await client.resolve({ ...to, tag });
      if (current === undefined) return;
      // Stages that speak at the destination in cosign's older form have their layers there, among which evidence is.
      const has =
        current === digest
          ? "has"
          : role === "evidence"
            ? await compareAttestationTag(client, to, tag, manifest)
            : ("other" as const);
      if (has === "has") there.add(tag);
      else if (has === "other") {
        keepsOwn.add(tag);
        leftBehind.push({
          digest,
          subject,
          reason: `${formatRepository(to)} has a ${tag} of its own, which is left as it is`,
        });
      }
    },
  );
  return { isPresent: ({ digest, tag }) => there.has(tag ?? digest), keepsOwn, leftBehind, lists, looks };
}

/** What a manifest says that it is: of an artifact without a type, its config's. */
function typeOf(manifest: Manifest): string {
  return (
    manifest.manifest.artifactType ??
    (manifest.kind === "image" ? manifest.manifest.config.mediaType : manifest.mediaType)
  );
}

/** Each manifest, config and bundle once, as {@link countRequests} counts them. */
function countReads(
  image: GateOutcome["image"],
  evidence: GateOutcome["evidence"],
  graph: ReferrerGraph,
  manifests: readonly ManifestFacts[],
): ReadFacts {
  const own = manifests.filter(({ role }) => role === "child" || role === "image").length;
  const configs = new Set(image.children.map(({ manifest }) => manifest.config.digest)).size;
  const collected = [...evidence.values()];
  const bundles = new Set(collected.flatMap(({ statements }) => statements.map(({ bundle }) => bundle.digest))).size;
  const statements = collected.reduce((sum, each) => sum + each.statements.length, 0);
  // A referrer below has a list to be found by, a manifest, and what is in it.
  const below = collected.flatMap((each) => each.statements.flatMap((statement) => statement.below ?? []));
  const belowLists = new Set(below.map(({ subject }) => subject)).size;
  const belowContents = 2 * new Set(below.map(({ descriptor }) => descriptor.digest)).size;
  const rejected = collected.reduce((sum, each) => sum + each.rejected.length, 0);
  // A signature of somebody else is opened to be told from the policy's signers'.
  const foreign = collected.reduce(
    (sum, each) => sum + each.rejected.filter(({ claimedPredicateType }) => claimedPredicateType !== undefined).length,
    0,
  );
  const carried = manifests.filter(
    ({ role, level, tag }) => role === "referrer" && level === 2 && tag === undefined,
  ).length;
  return {
    contents: own + configs + statements + bundles + rejected + foreign + belowContents + graph.contents,
    lists: evidence.size + belowLists + graph.lists,
    looks: 0,
    verification:
      own +
      configs +
      evidence.size +
      statements +
      bundles +
      belowLists +
      belowContents +
      carried +
      Math.min(foreign, carried),
    held: [],
    subjects: evidence.size,
  };
}
