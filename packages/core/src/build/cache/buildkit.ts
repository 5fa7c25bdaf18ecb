import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestAlgorithm, digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  type Descriptor,
  type ImageManifest,
  maxManifestBytes,
  mediaTypes,
  parseManifest,
} from "@goldenpath/registry-client/oci/manifest";
import { startRegistry } from "@goldenpath/registry-server/server";
import { createRepositoryState, type RepositoryState, type Store } from "@goldenpath/registry-server/store";
import { createDirectoryStore } from "@goldenpath/registry-server/store-directory";
import { z } from "zod";
import type { RoomService } from "../strategies/dockerfile/room.ts";
import type { BuildCache, CacheParts, FoundCache } from "./cache.ts";
import { makeCertificate } from "./certificate.ts";

/**
 * BuildKit's own cache (`mode=max`, `image-manifest=true`): a manifest whose config says what each layer is the result
 * of.
 */
const configType = "application/vnd.buildkit.cacheconfig.v0";
/** Bytes. BuildKit itself reads no more. */
const maxConfig = 1024 * 1024;
/** RFC 6761: no name of anybody's. */
const host = "cache.goldenpath.invalid";
const repository = "cache";
const tags = { found: "found", kept: "kept" } as const;

/** A registry for one build, whose BuildKit reads of what was found what it needs and no more, and leaves what is new. */
export interface CacheRegistry {
  service: RoomService;
  /** Of buildctl. */
  args: readonly string[];
  /** Why something of what was found could not be had, with which BuildKit then fails; undefined as long as all could. */
  readonly failure: unknown;
  /** What BuildKit left; undefined where it left nothing. */
  gather(): Promise<CacheParts | undefined>;
  close(): Promise<void>;
}

/**
 * It has the found cache's blobs without their bytes: BuildKit takes most steps' results by their digests alone. Bytes
 * come from where they lie on this machine, or through the client, and BuildKit holds them to their digests as well.
 * @param parent a folder of ours, for what BuildKit leaves
 * @param fileOf where on this machine a blob is already, by its digest
 * @throws Error where what was found is no cache of BuildKit
 */
export async function openCacheRegistry(
  { found, isKept }: Pick<BuildCache, "found" | "isKept">,
  { parent, fileOf }: { parent: string; fileOf(digest: Digest): string | undefined },
): Promise<CacheRegistry> {
  const own = await createDirectoryStore(await mkdtemp(join(parent, "cache-")));
  const known = new Map<Digest, Descriptor>();
  const state = createRepositoryState();
  const before = found === undefined ? undefined : await place(found, { own, known, state });
  let failure: unknown;
  async function* readFound(blob: Descriptor, start: number, end: number): AsyncGenerator<Uint8Array> {
    if (found === undefined) throw new TypeError("without a cache nothing of it is known");
    try {
      yield* slice(await found.open(blob), start, end);
    } catch (error) {
      failure ??= error;
      throw error;
    }
  }
  const openKnown = (blob: Descriptor, start: number, end: number): Readable => {
    const file = fileOf(blob.digest);
    return file === undefined
      ? Readable.from(readFound(blob, start, end))
      : createReadStream(file, { start, end: end - 1 });
  };
  const store: Store = {
    ...own,
    loadRepositories: () => Promise.resolve(new Map([[repository, state]])),
    saveRepository: (_name, { tags: saved }) => {
      const digest = saved.get(tags.kept);
      if (digest !== undefined) state.tags.set(tags.kept, digest);
      return Promise.resolve();
    },
    async openContent(digest, start, end) {
      const blob = known.get(digest as Digest);
      return blob === undefined ? own.openContent(digest, start, end) : openKnown(blob, start, end);
    },
  };
  const login = { username: "buildkit", password: randomBytes(24).toString("hex") };
  const auth = { kind: "basic", users: { [login.username]: login.password } } as const;
  // A step may listen to all that goes over the room's network, with a right that BuildKit gives it.
  const tls = await makeCertificate(parent, host);
  const server = await startRegistry({ store, auth, record: false, tls });
  const port = Number(new URL(server.url).port);
  const at = (tag: string): string => `type=registry,ref=${host}:${port}/${repository}:${tag}`;
  // What of compressing costs the least. An image that is made from it has its layers in its own form all the same.
  const form = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true,compression=zstd";
  return {
    service: { host, port, login, certificate: tls.cert, accept: (connection) => server.accept(connection) },
    args: [
      ...(found === undefined ? [] : [`--import-cache=${at(tags.found)}`]),
      ...(isKept ? [`--export-cache=${at(tags.kept)},${form}`] : []),
    ],
    get failure() {
      return failure;
    },
    gather: () => gather(state.tags.get(tags.kept), own, before),
    close: () => server.close(),
  };
}

/** What was found, with its config, which is read once: BuildKit asks for it whatever it builds. */
interface Before {
  config: Uint8Array;
  manifest: ImageManifest;
}

async function place(
  found: FoundCache,
  { own, known, state }: { own: Store; known: Map<Digest, Descriptor>; state: RepositoryState },
): Promise<Before> {
  const { manifest } = found;
  if (manifest.config.mediaType !== configType) throw new Error("it is no cache of BuildKit");
  const config = await found.read(manifest.config, maxConfig);
  await own.writeContent(manifest.config.digest, config);
  state.blobs.set(manifest.config.digest, config.byteLength);
  for (const blob of manifest.layers) {
    known.set(blob.digest, blob);
    state.blobs.set(blob.digest, blob.size);
  }
  // Its fields that are ours mean nothing to BuildKit.
  const bytes = Buffer.from(stringifyJson(manifest));
  const digest = digestOf(bytes);
  await own.writeContent(digest, bytes);
  state.manifests.set(digest, { mediaType: mediaTypes.ociManifest, size: bytes.byteLength });
  state.tags.set(tags.found, digest);
  return { config, manifest };
}

/** What BuildKit left → an entry's parts. */
async function gather(
  digest: string | undefined,
  own: Store,
  before: Before | undefined,
): Promise<CacheParts | undefined> {
  if (digest === undefined) return undefined;
  const read = async (wanted: string, maxBytes: number): Promise<Uint8Array> => {
    const bytes = await own.readContent(wanted as Digest);
    if (
      bytes === undefined ||
      bytes.byteLength > maxBytes ||
      digestOf(bytes, digestAlgorithm(wanted as Digest)) !== wanted
    )
      throw new Error(`${wanted} is missing from what BuildKit left, or has other bytes`);
    return bytes;
  };
  const root = parseManifest(await read(digest, maxManifestBytes), mediaTypes.ociManifest, "BuildKit's cache");
  if (root.kind !== "image" || root.manifest.config.mediaType !== configType)
    throw new Error("BuildKit's cache is not of the form that was asked for");
  const { config, layers } = root.manifest;
  const bytes = await read(config.digest, maxConfig);
  // With all that was in it, also of what this build did not need.
  if (before !== undefined && !hasNew(bytes, before.config)) return repeat(before);
  const known = new Set(before?.manifest.layers.map((layer) => layer.digest));
  return {
    config: { mediaType: configType, bytes },
    layers: layers.map((descriptor) => ({
      descriptor,
      open: known.has(descriptor.digest) ? undefined : () => stream(own, descriptor),
    })),
  };
}

function repeat({ config, manifest }: Before): CacheParts {
  return {
    config: { mediaType: configType, bytes: config },
    layers: manifest.layers.map((descriptor) => ({ descriptor, open: undefined })),
  };
}

const configSchema = z.looseObject({ records: z.array(z.looseObject({ digest: z.string() })).nullish() });

/** Whether BuildKit did something that is not in the cache already. Beside its steps, times are in the text as well. */
function hasNew(after: Uint8Array, before: Uint8Array): boolean {
  const stepsOf = (bytes: Uint8Array): string[] => {
    const parsed = configSchema.parse(parseJson(Buffer.from(bytes).toString("utf8")));
    return (parsed.records ?? []).map(({ digest }) => digest);
  };
  const known = new Set(stepsOf(before));
  return stepsOf(after).some((digest) => !known.has(digest));
}

async function* stream(own: Store, { digest, size }: Descriptor): AsyncGenerator<Uint8Array> {
  const content = size === 0 ? undefined : await own.openContent(digest, 0, size);
  if (content !== undefined) yield* content as AsyncIterable<Uint8Array>;
}

/** The bytes from `start` up to and without `end`. */
async function* slice(chunks: AsyncIterable<Uint8Array>, start: number, end: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += chunk.byteLength;
    if (part.byteLength > 0) yield part;
  }
}
