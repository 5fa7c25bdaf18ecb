import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { isKnownError } from "@goldenpath/foundation/errors";
import { blobsOf } from "@goldenpath/registry-client/copy";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { RememberingClient } from "@goldenpath/registry-client/remember";
import { isAboutContent } from "../signing/content-errors.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { listEvidence } from "./evidence.ts";
import type { LeftBehind } from "./facts.ts";
import { isRunnableContent, maxPayloadBytes, payloadsOf } from "./runnable.ts";

/** Something that refers to the image, to a child, or to another referrer, and goes along. */
interface CarriedReferrer {
  manifest: Manifest;
  subject: Digest;
  /** 1 for what refers to the image or a child, 2 for what refers to that, … */
  depth: number;
  /** What cosign attached under this tag. */
  tag?: string;
}

export interface ReferrerGraph {
  carried: CarriedReferrer[];
  leftBehind: LeftBehind[];
  /** Lists of referrers and tags that were asked for. */
  lists: number;
  /** Manifests and payloads that were read for it, and that the gate had not read. */
  contents: number;
}

interface ReferrerLimits {
  depth: number;
  referrers: number;
  blobs: number;
  bytes: number;
}

/**
 * A signature on an SBOM's signature is depth 3. Of what is not evidence: more in number, in layers, or in bytes than
 * this is not what anybody attached to an image on purpose.
 */
export const referrerLimits: ReferrerLimits = { depth: 4, referrers: 200, blobs: 1000, bytes: 512 * 1024 * 1024 };

const concurrency = 8;

interface Candidate {
  digest: Digest;
  subject: Digest;
  depth: number;
  tag?: string;
}

/** A walk along what refers to an image, and what it has found. */
interface Walk {
  readonly source: RememberingClient;
  readonly from: Repository;
  readonly limits: ReferrerLimits;
  readonly graph: ReferrerGraph;
  /** The repository's tags, where they could be listed. */
  readonly tagNames: ReadonlySet<string> | undefined;
  /** Digests and tags that were met, or are evidence. */
  readonly seen: Set<string>;
  /** Of what goes along, by size. */
  readonly blobs: Map<Digest, number>;
}

/**
 * Everything that refers to the image, and to what refers to it, besides the evidence of the policy's signers:
 * signatures of others, SBOMs, attestations, and what cosign attached under tags. What could be run stays behind, and
 * what is broken; each with its reason. Beyond the limits none of it goes along: a part that a stranger's flood leaves
 * over would be a matter of chance, and evidence is not touched by it.
 * @throws InfrastructureError, UserError where the registry can't be asked
 */
export async function findReferrers(
  source: RememberingClient,
  from: Repository,
  evidence: ReadonlyMap<Digest, CollectedEvidence>,
  limits: ReferrerLimits = referrerLimits,
): Promise<ReferrerGraph> {
  const signed = listEvidence(evidence);
  const tagged = await findTagged(source, from, [...evidence.keys()]);
  const graph: ReferrerGraph = { carried: [], leftBehind: [], lists: 1, contents: tagged.candidates.length };
  const seen = new Set<string>(signed.map(({ digest, tag }) => tag ?? digest));
  const walk: Walk = { source, from, limits, graph, tagNames: tagged.names, seen, blobs: new Map() };
  const strangers = [...evidence].flatMap(([subject, { rejected }]) =>
    rejected.flatMap(({ referrer, tag }) => (tag === undefined ? [{ digest: referrer, subject, depth: 1 }] : [])),
  );
  let candidates: Candidate[] = [...strangers, ...tagged.candidates];
  for (let depth = 1; ; depth++) {
    const taken = await takeAlong(walk, candidates, depth);
    if (typeof taken === "string") return withoutOthers(graph, evidence, taken);
    const below = signed
      .filter(({ level, tag }) => level === depth + 1 && tag === undefined)
      .map(({ digest }) => digest);
    const parents = new Set([...below, ...taken]);
    if (depth === limits.depth || parents.size === 0) return graph;
    candidates = (await mapConcurrently(concurrency, [...parents], (parent) => list(walk, parent, depth + 1))).flat();
  }
}

/**
 * Judges candidates that were not met before. What of them goes along and can be referred to; or which limit it goes
 * over, in words.
 */
async function takeAlong(walk: Walk, candidates: readonly Candidate[], depth: number): Promise<Digest[] | string> {
  const { graph, limits, seen, blobs } = walk;
  const fresh = candidates.filter(({ digest, tag }) => {
    const key = tag ?? digest;
    return seen.has(key) ? false : Boolean(seen.add(key));
  });
  const room = limits.referrers - graph.carried.length - graph.leftBehind.length;
  if (fresh.length > room) return `there are more than ${limits.referrers} of them`;
  if (depth > 1) graph.contents += fresh.length;
  const judged = await mapConcurrently(concurrency, fresh, (candidate) => judge(walk, candidate));
  const carried = judged.filter((each): each is CarriedReferrer => "manifest" in each);
  graph.carried.push(...carried);
  graph.leftBehind.push(...judged.filter((each): each is LeftBehind => "reason" in each));
  for (const { digest, size } of carried.flatMap(({ manifest }) => blobsOf(manifest)))
    blobs.set(digest, Math.max(size, blobs.get(digest) ?? 0));
  if (blobs.size > limits.blobs) return `they have more than ${limits.blobs} layers`;
  const bytes = [...blobs.values()].reduce((sum, size) => sum + size, 0);
  if (bytes > limits.bytes) return `they have more than ${limits.bytes} bytes`;
  return carried.filter(({ tag }) => tag === undefined).map(({ manifest }) => manifest.digest);
}

async function judge({ source, from, graph }: Walk, candidate: Candidate): Promise<CarriedReferrer | LeftBehind> {
  const { digest, subject, depth, tag } = candidate;
  const stays = (reason: string): LeftBehind => ({ digest, subject, reason });
  try {
    const manifest = await source.fetchManifest({ ...from, digest });
    if (tag === undefined && manifest.manifest.subject?.digest !== subject)
      return stays("its manifest refers to another image");
    const payloads = await readPayloads(source, from, manifest);
    graph.contents += payloads.size;
    const runs = isRunnableContent(manifest, payloads);
    return runs === undefined
      ? { manifest, subject, depth, ...(tag === undefined ? {} : { tag }) }
      : stays(`${runs}, and nobody has judged it`);
  } catch (error) {
    if (isAboutContent(error)) return stays(isKnownError(error) ? error.message : String(error));
    throw error;
  }
}

/** The candidates that refer to `subject`, or none with a note where its list is nonsense. */
async function list({ source, from, graph, tagNames }: Walk, subject: Digest, depth: number): Promise<Candidate[]> {
  graph.lists++;
  try {
    const listed = await source.listReferrers(from, subject, {
      hasFallbackTag: tagNames === undefined || tagNames.has(fallbackTag(subject)),
    });
    return listed.map(({ digest }) => ({ digest, subject, depth }));
  } catch (error) {
    if (!isAboutContent(error)) throw error;
    graph.leftBehind.push({
      digest: subject,
      subject,
      reason: `what refers to it: ${isKnownError(error) ? error.message : String(error)}`,
    });
    return [];
  }
}

function withoutOthers(
  graph: ReferrerGraph,
  evidence: ReadonlyMap<Digest, CollectedEvidence>,
  why: string,
): ReferrerGraph {
  const reason = `what refers to the image besides the evidence of the policy's signers: ${why}, so none of it goes along`;
  const [subject] = evidence.keys();
  return { ...graph, carried: [], leftBehind: subject === undefined ? [] : [{ digest: subject, subject, reason }] };
}

/** Names that cosign keeps signatures, attestations and SBOMs under, before it used referrers. */
const cosignSuffixes = ["sig", "att", "sbom"] as const;

/**
 * What lies under cosign's tags for these subjects. Found by the list of tags, which is one request however many
 * subjects there are; where it isn't to be had, by asking for each.
 */
async function findTagged(
  source: RememberingClient,
  from: Repository,
  subjects: readonly Digest[],
): Promise<{ candidates: Candidate[]; names: ReadonlySet<string> | undefined }> {
  const wanted = new Map<string, Digest>(
    subjects.flatMap((subject) =>
      cosignSuffixes.map((suffix) => [`${fallbackTag(subject)}.${suffix}`, subject] as const),
    ),
  );
  let names: ReadonlySet<string> | undefined;
  try {
    names = new Set(await source.listTags(from));
  } catch (error) {
    // Some registries let an account pull, and not list.
    if (!isKnownError(error) || error.code === "aborted") throw error;
  }
  const asked = [...wanted.keys()].filter((name) => names === undefined || names.has(name));
  const found = await mapConcurrently(concurrency, asked, async (tag): Promise<Candidate | undefined> => {
    const digest = await resolveQuietly(source, from, tag);
    const subject = wanted.get(tag);
    return digest === undefined || subject === undefined ? undefined : { digest, subject, depth: 1, tag };
  });
  return { candidates: found.filter((each) => each !== undefined), names };
}

/** By the client's own reading, so that the manifest is remembered: a tag costs one request. */
async function resolveQuietly(source: RememberingClient, from: Repository, tag: string): Promise<Digest | undefined> {
  try {
    return (await source.fetchManifest({ ...from, tag })).digest;
  } catch (error) {
    if (isAboutContent(error)) return undefined;
    throw error;
  }
}

/** The layers of a manifest by which {@link isRunnableContent} tells, by digest. */
export async function readPayloads(
  source: Pick<RememberingClient, "fetchBlob">,
  from: Repository,
  manifest: Manifest,
  maxBytes: number = maxPayloadBytes,
): Promise<ReadonlyMap<Digest, Uint8Array>> {
  const payloads = new Map<Digest, Uint8Array>();
  for (const layer of payloadsOf(manifest, maxBytes))
    payloads.set(layer.digest, await source.fetchBlob(from, layer, maxBytes));
  return payloads;
}
