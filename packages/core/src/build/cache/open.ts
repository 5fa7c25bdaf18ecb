import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  isSameRepository,
  type PinnedReference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { collectEvidence } from "../../signing/collect.ts";
import type { BuildCache, CachedImage, CacheMode, CacheParts, FoundCache } from "./cache.ts";
import { type CacheLabels, describeStray, readEntry, renderEntry, type Wanted } from "./entry.ts";
import { judgeEntry, type Reader } from "./judge-entry.ts";
import { nameTags, protectedWriter } from "./writer.ts";

/** Blobs that are pushed at the same time: more only makes a registry's other clients wait. */
const concurrency = 3;

export interface CacheRequest extends Omit<Wanted, "writer"> {
  mode: Exclude<CacheMode, "none">;
  /** Where entries are: the image's repository in quarantine, which the build can at least read. */
  repository: Repository;
  /** Where the build pushes to: the same, or a repository on this machine, from which a layout is made. */
  to: Repository;
  /** Who writes here: see `nameWriter`. */
  writer: string;
  /** Whether what the build leaves is kept. */
  isKept: boolean;
  /** For `verified`. */
  reader: Omit<Reader, "key">;
  client: RegistryClient;
  context: Context;
}

/** A build's cache, from the verb's side. */
export interface OpenCache extends BuildCache {
  /** What was kept, where it was pushed to, once it is; the same entry as what was found where nothing is new. */
  readonly kept: PinnedReference | undefined;
  /** Sentences for the result: what was read, what was not and why, what it saved, what was kept. */
  describe(): string[];
}

/**
 * Looks for what an earlier build left, without which a build only takes longer: whatever is wrong with a cache is said,
 * and nothing fails. Own entries first, then the protected refs'; of each those with the same lock files first. An entry
 * is one digest from here on, whatever its tag is given to be.
 */
export async function openCache(request: CacheRequest): Promise<OpenCache> {
  const notes: string[] = [];
  const chosen = await find(request, (note) => notes.push(note));
  if (chosen === undefined && notes.length === 0) notes.push("cache: there is none for this build yet");
  const cache = new Cache(request, chosen, notes);
  for (const note of cache.describe()) request.context.ports.log.info(note);
  return cache;
}

interface Chosen {
  reference: PinnedReference;
  manifest: ImageManifest;
  labels: CacheLabels;
}

async function find(request: CacheRequest, say: (note: string) => void): Promise<Chosen | undefined> {
  const { writer, key } = request;
  const tags = [...new Set([writer, protectedWriter])].flatMap((each) =>
    nameTags(each, key).map((tag) => ({ tag, from: each })),
  );
  const refused = new Set<Digest>();
  for (const { tag, from } of tags) {
    try {
      const found = await look(request, tag, from, refused);
      if (found === undefined) continue;
      if (!("problem" in found)) return found;
      refused.add(found.digest);
      say(`cache: ${tag} (${found.digest}) is not used: ${found.problem}`);
    } catch (error) {
      request.context.signal.throwIfAborted();
      say(`cache: ${tag} could not be read: ${describeError(error)}`);
    }
  }
  return undefined;
}

async function look(
  { client, context, repository, mode, reader, ...wanted }: CacheRequest,
  tag: string,
  writer: string,
  refused: ReadonlySet<Digest>,
): Promise<Chosen | { problem: string; digest: Digest } | undefined> {
  const digest = await client.resolve({ ...repository, tag });
  if (digest === undefined || refused.has(digest)) return undefined;
  const { strategy, platform, builder, key } = wanted;
  const entry = readEntry(await client.fetchManifest({ ...repository, digest }));
  if ("problem" in entry) return { ...entry, digest };
  const { manifest, labels } = entry;
  const stray = describeStray(labels, { strategy, platform, builder, key, writer });
  if (stray !== undefined) return { problem: stray, digest };
  const chosen = { reference: { ...repository, digest }, manifest, labels };
  if (mode !== "verified") return chosen;
  const evidence = await collectEvidence(client, repository, digest, reader.policy.signers, {
    now: context.now(),
  });
  const problem = judgeEntry({ repository, digest, labels, evidence }, { ...reader, key });
  return problem === undefined ? chosen : { problem, digest };
}

class Cache implements OpenCache {
  readonly isKept: boolean;
  kept: PinnedReference | undefined;
  found: FoundCache | undefined;
  private readonly notes: string[];
  private readonly request: CacheRequest;
  private readonly labels: CacheLabels | undefined;
  private readonly startedAt = performance.now();
  private received = 0;

  constructor(request: CacheRequest, chosen: Chosen | undefined, notes: string[]) {
    this.request = request;
    this.isKept = request.isKept;
    this.notes = notes;
    this.labels = chosen?.labels;
    if (chosen === undefined) return;
    const { client, mode, key } = request;
    const { reference, manifest, labels } = chosen;
    const count = (blob: Descriptor): void => {
      this.received += blob.size;
    };
    // What another ref left is good for layers, which each stand for one step, and not for the whole of an image.
    const isOwn = labels.writer === request.writer && labels.key === key.exact;
    this.found = {
      reference,
      manifest,
      image: isOwn ? labels.image : undefined,
      open(blob) {
        count(blob);
        return client.openBlob(reference, blob);
      },
      read(blob, maxBytes) {
        count(blob);
        return client.fetchBlob(reference, blob, maxBytes);
      },
    };
    const locks = labels.key === key.exact ? "the same lock files" : "other lock files";
    const trust = mode === "verified" ? "attested" : "not attested";
    this.notes.push(`cache: ${formatReference(reference)} is used (written by ${labels.writer}, ${locks}, ${trust})`);
  }

  giveUp(why: unknown): void {
    this.request.context.signal.throwIfAborted();
    this.found = undefined;
    const note = `cache: the build goes on without: ${describeError(why)}`;
    this.notes.push(note);
    this.request.context.ports.log.warning(note);
  }

  async keepFound(): Promise<void> {
    const { found } = this;
    if (found === undefined) throw new TypeError("nothing was found");
    const { client, to, repository } = this.request;
    if (this.request.isKept && isSameRepository(to, repository)) {
      this.tellSaved((performance.now() - this.startedAt) / 1000);
      this.kept = found.reference;
      return;
    }
    const { config, layers } = found.manifest;
    await this.keep(
      async () => ({
        config: { mediaType: config.mediaType, bytes: await client.fetchBlob(found.reference, config) },
        layers: layers.map((descriptor) => ({ descriptor, open: undefined })),
      }),
      Promise.resolve(found.image),
    );
  }

  async keep(gather: () => Promise<CacheParts | undefined>, image?: Promise<CachedImage | undefined>): Promise<void> {
    const { context } = this.request;
    const seconds = (performance.now() - this.startedAt) / 1000;
    this.tellSaved(seconds);
    if (!this.isKept) return;
    try {
      const parts = await context.ports.group("keep the cache", gather);
      if (parts === undefined) {
        this.say("cache: this build left none to keep");
        return;
      }
      const cold = this.found === undefined ? seconds.toFixed(1) : (this.labels?.cold ?? "0");
      this.kept = await this.push(parts, cold, image);
    } catch (error) {
      context.signal.throwIfAborted();
      const note = `cache: what this build left is not kept: ${describeError(error)}`;
      this.notes.push(note);
      context.ports.log.warning(note);
    }
  }

  describe(): string[] {
    return [...this.notes];
  }

  private tellSaved(seconds: number): void {
    if (this.found === undefined || this.labels === undefined) return;
    const saved = Math.max(0, Number(this.labels.cold) - seconds);
    this.say(
      `cache: ${formatMegabytes(this.received)} MB of it were read; the build took ${seconds.toFixed(1)} s, and without a cache ${this.labels.cold} s (${saved.toFixed(1)} s saved)`,
    );
  }

  private say(note: string): void {
    this.notes.push(note);
    this.request.context.ports.log.info(note);
  }

  private async push(
    { config, layers }: CacheParts,
    cold: string,
    image: Promise<CachedImage | undefined> | undefined,
  ): Promise<PinnedReference> {
    const { client, repository, to, writer, key, strategy, platform, builder } = this.request;
    const own: Descriptor = {
      mediaType: config.mediaType,
      digest: digestOf(config.bytes),
      size: config.bytes.byteLength,
    };
    let sent = 0;
    const onBytes = (more: number): void => {
      sent += more;
    };
    const moved = layers.filter(({ open }) => open !== undefined || !isSameRepository(to, repository));
    const blobs = [...moved, { descriptor: own, open: () => config.bytes }];
    await mapConcurrently(concurrency, blobs, async ({ descriptor, open }) => {
      if (open !== undefined) await client.pushBlob(to, descriptor, open, { onBytes });
      else await client.copyBlob(repository, to, descriptor);
    });
    // Without its image, which may have failed to be pushed, its layers are as good.
    const whole = await image?.catch(() => undefined);
    const labels = { key: key.exact, group: key.group, strategy, platform, builder, writer, cold };
    const descriptors = layers.map(({ descriptor }) => descriptor);
    const manifest = renderEntry(own, descriptors, whole === undefined ? labels : { ...labels, image: whole });
    const bytes = new TextEncoder().encode(stringifyJson(manifest));
    const kept = { ...to, digest: digestOf(bytes) };
    // The manifest last, under its tags at once: nothing half pushed has a name, and each of them means all of it.
    await mapConcurrently(concurrency, nameTags(writer, key), (tag) =>
      client.pushManifest(to, bytes, mediaTypes.ociManifest, tag),
    );
    this.say(
      `cache: kept as ${formatReference({ ...repository, digest: kept.digest })}, ${formatMegabytes(sizeOf(layers))} MB in ${layers.length} layers, of which ${formatMegabytes(sent)} MB are new`,
    );
    return kept;
  }
}

function sizeOf(layers: CacheParts["layers"]): number {
  return layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
}

function formatMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
