import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { settleAll } from "@goldenpath/foundation/concurrency";
import { parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
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
import { blobPath } from "../../layouts/read-layout.ts";
import { openStorage } from "../../layouts/storage.ts";
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
const foundTag = "found";

/** What one build's BuildKit has of caches. */
export interface BuildKitCache {
  /** Where it reads what was found; undefined where nothing was. */
  service: RoomService | undefined;
  /** Of buildctl. */
  args: readonly string[];
  /** Why something of what was found could not be had, with which BuildKit then fails; undefined as long as all could. */
  readonly failure: unknown;
  /** What BuildKit left, when nothing writes there any more; undefined where it left nothing. */
  gather(): Promise<CacheParts | undefined>;
  close(): Promise<void>;
}

export interface CachePlaces {
  /** A folder of ours. */
  parent: string;
  /** What BuildKit leaves: a folder that is made here, and may be there from an earlier try. */
  kept: string;
  /** Where on this machine a blob is already, by its digest. */
  fileOf(digest: Digest): string | undefined;
}

/**
 * BuildKit reads of what was found what it needs and no more, in a registry for it alone, and leaves what is new in a
 * folder.
 * @throws Error where what was found is no cache of BuildKit
 */
export async function openBuildKitCache(
  { found, isKept }: Pick<BuildCache, "found" | "isKept">,
  places: CachePlaces,
): Promise<BuildKitCache> {
  // First: where it fails, nothing listens that nobody would close.
  if (isKept) await prepareKept(places.kept, found?.manifest.layers ?? []);
  const registry = found === undefined ? undefined : await openRegistry(found, places);
  return {
    service: registry?.service,
    args: [
      ...(registry === undefined ? [] : [`--import-cache=${registry.source}`]),
      ...(isKept ? [`--export-cache=type=local,dest=${places.kept},${keptForm}`] : []),
    ],
    get failure() {
      return registry?.failure();
    },
    gather: async () => (isKept ? gather(places.kept, registry?.before) : undefined),
    close: async () => registry?.close(),
  };
}

/** What of compressing costs the least. An image that is made from it has its layers in its own form all the same. */
const keptForm = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true,compression=zstd";

/** A blob that has a file there is not written: what was found stays where it is, and is not fetched for this. */
async function prepareKept(kept: string, known: readonly Descriptor[]): Promise<void> {
  await rm(kept, { recursive: true, force: true });
  for (const { digest } of known) {
    const folder = join(kept, "blobs", digestAlgorithm(digest));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, digestHex(digest)), "");
  }
  await mkdir(kept, { recursive: true });
}

interface FoundRegistry {
  service: RoomService;
  /** Of buildctl's `--import-cache`. */
  source: string;
  before: Before;
  failure(): unknown;
  close(): Promise<void>;
}

/**
 * It has the found cache's blobs without their bytes: BuildKit takes most steps' results by their digests alone. Bytes
 * come from where they lie on this machine, or through the client, and BuildKit holds them to their digests as well.
 */
async function openRegistry(found: FoundCache, { parent, fileOf }: CachePlaces): Promise<FoundRegistry> {
  const own = await createDirectoryStore(await mkdtemp(join(parent, "cache-")));
  const known = new Map<Digest, Descriptor>();
  const state = createRepositoryState();
  // A step may listen to all that goes over the room's network, with a right that BuildKit gives it.
  const [before, tls] = await settleAll(place(found, { own, known, state }), makeCertificate(parent, host));
  let failure: unknown;
  async function* readFound(blob: Descriptor, start: number, end: number): AsyncGenerator<Uint8Array> {
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
    // Nothing is written to it.
    saveRepository: () => Promise.resolve(),
    async openContent(digest, start, end) {
      const blob = known.get(digest as Digest);
      return blob === undefined ? own.openContent(digest, start, end) : openKnown(blob, start, end);
    },
  };
  const login = { username: "buildkit", password: randomBytes(24).toString("hex") };
  const auth = { kind: "basic", users: { [login.username]: login.password } } as const;
  const server = await startRegistry({ store, auth, record: false, tls });
  const port = Number(new URL(server.url).port);
  return {
    service: { host, port, login, certificate: tls.cert, accept: (connection) => server.accept(connection) },
    source: `type=registry,ref=${host}:${port}/${repository}:${foundTag}`,
    before,
    failure: () => failure,
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
  state.tags.set(foundTag, digest);
  return { config, manifest };
}

/** What BuildKit left → an entry's parts. */
async function gather(kept: string, before: Before | undefined): Promise<CacheParts | undefined> {
  const storage = await openStorage(kept);
  if ((await storage.sizeOf("index.json")) === undefined) return undefined;
  const index = parseManifest(
    await storage.read("index.json", maxManifestBytes),
    mediaTypes.ociIndex,
    "BuildKit's cache",
  );
  const root = index.kind === "index" ? index.manifest.manifests[0] : undefined;
  if (root === undefined) return undefined;
  const read = async ({ digest }: Descriptor, maxBytes: number): Promise<Uint8Array> => {
    const bytes = await storage.read(blobPath(digest), maxBytes);
    if (digestOf(bytes, digestAlgorithm(digest)) === digest) return bytes;
    throw new Error(`${digest} is not what BuildKit left under this name`);
  };
  const entry = parseManifest(await read(root, maxManifestBytes), mediaTypes.ociManifest, "BuildKit's cache");
  if (entry.kind !== "image" || entry.manifest.config.mediaType !== configType)
    throw new Error("BuildKit's cache is not of the form that was asked for");
  const { config, layers } = entry.manifest;
  const bytes = await read(config, maxConfig);
  // With all that was in it, also of what this build did not need.
  if (before !== undefined && !hasNew(bytes, before.config)) return repeat(before);
  const known = new Set(before?.manifest.layers.map((layer) => layer.digest));
  return {
    config: { mediaType: configType, bytes },
    layers: layers.map((descriptor) => ({
      descriptor,
      open: known.has(descriptor.digest) ? undefined : () => storage.stream(blobPath(descriptor.digest)),
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

/** The bytes from `start` up to and without `end`. */
async function* slice(chunks: AsyncIterable<Uint8Array>, start: number, end: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += chunk.byteLength;
    if (part.byteLength > 0) yield part;
  }
}
