import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createDigester, type Digest, digestAlgorithm } from "@goldenpath/registry-client/oci/digest";
import {
  findLayerType,
  foreignLayerMissing,
  isForeignLayer,
  type LayerCompression,
} from "@goldenpath/registry-client/oci/layer-types";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { checkRatio, type LayerBudget, spendBytes, spendEntry } from "./budget.ts";
import { ByteReader, MalformedLayer } from "./bytes.ts";
import type { LayerContents } from "./contents.ts";
import { expandGzip } from "./gzip.ts";
import { detectCompression, magicLength } from "./magic.ts";
import { type TarEvent, TarParser } from "./tar.ts";
import { buildTree, type FileTree } from "./tree.ts";
import { expandZstd } from "./zstd.ts";

/** One layer, as a manifest and a config name it. */
export interface LayerSource {
  mediaType: string;
  /** As the registry has it. */
  digest: Digest;
  /** What the config says that it unpacks to. */
  diffId: Digest;
  /** For messages: the image, or what else it is. */
  where: string;
}

/** What is made of one layer as it is read. Each is called in the layer's order, and waited for. */
export interface LayerVisitor {
  /** The bytes of the tar archive. */
  bytes?(chunk: Uint8Array): Promise<void> | void;
  events?(events: Iterable<TarEvent>): Promise<void> | void;
}

export interface ReadLayer {
  /** What the layer really unpacks to. */
  diffId: Digest;
  /** Of the tar archive, in bytes. */
  size: number;
}

/**
 * The one way to read a layer: strictly by its media type, every gzip member and zstd frame of it, as a tar archive
 * that all readers read alike, to its last byte. What it unpacks to is told, and is not compared: whoever calls decides
 * what a layer is that its config does not describe.
 * @param content the layer as the registry has it, verified by whoever opened it
 * @throws InfrastructureError `layer-unreadable` (unknown type, another compression than its type says, broken,
 *   ambiguous), `layers-too-large`, `layers-too-many-entries`, `layers-too-dense`, and what `content` and the visitor
 *   throw
 */
export async function readLayer(
  content: AsyncIterable<Uint8Array>,
  source: LayerSource,
  budget: LayerBudget,
  visitor: LayerVisitor,
  signal?: AbortSignal,
): Promise<ReadLayer> {
  const type = findLayerType(source.mediaType);
  const where = `layer ${source.digest} of ${source.where}`;
  if (type === undefined)
    throw unreadable(
      where,
      `its type is ${JSON.stringify(source.mediaType.slice(0, 200))}, and no layer is of that type`,
    );
  const digester = createDigester(digestAlgorithm(source.diffId));
  const reader = new ByteReader(content);
  const parser = new TarParser();
  let size = 0;
  let malformed: MalformedLayer | undefined;
  const parse = async (body: () => Promise<void> | void): Promise<void> => {
    try {
      if (malformed === undefined) await body();
    } catch (error) {
      if (!(error instanceof MalformedLayer)) throw error;
      malformed = error;
    }
  };
  try {
    for await (const chunk of checkBeginning(expand(reader, type.compression), type.compression)) {
      signal?.throwIfAborted();
      size += chunk.length;
      spendBytes(budget, chunk.length, where);
      checkRatio(budget, reader.position, size, where);
      digester.update(chunk);
      await visitor.bytes?.(chunk);
      await parse(() => visit(visitor, countEntries(parser.push(chunk), budget, where)));
    }
    await parse(() => parser.finish());
    // What opened the content has its last word at the end of it: that the digest is right.
    await reader.isAtEnd();
    if (malformed !== undefined) {
      malformed.diffId = digester.digest();
      throw malformed;
    }
  } catch (error) {
    if (!(error instanceof MalformedLayer)) throw error;
    // A registry that serves wrong bytes is not an image that is malformed: the rest tells whether the digest was
    // right.
    await reader.drain();
    throw unreadable(where, error.message, error);
  } finally {
    await reader.close();
  }
  return { diffId: digester.digest(), size };
}

function visit(visitor: LayerVisitor, events: Iterable<TarEvent>): Promise<void> | void {
  if (visitor.events !== undefined) return visitor.events(events);
  for (const _event of events);
}

/**
 * What a layer that can't be read unpacks to all the same, where its archive is malformed: for who has to tell it from
 * a layer that is another one than its config says.
 */
export function diffIdOfUnreadable(error: unknown): Digest | undefined {
  return error instanceof InfrastructureError && error.cause instanceof MalformedLayer ? error.cause.diffId : undefined;
}

/**
 * Fetches and reads one layer of an image: {@link readLayer}.
 * @throws UserError `layer-foreign` where a foreign layer is not in the registry
 */
export async function readImageLayer(
  client: Pick<RegistryClient, "openBlob">,
  repository: Repository,
  layer: Descriptor,
  diffId: Digest,
  budget: LayerBudget,
  visitor: LayerVisitor,
  signal?: AbortSignal,
): Promise<ReadLayer> {
  const where = formatRepository(repository);
  const content = await openLayer(client, repository, layer);
  return readLayer(
    content,
    { mediaType: layer.mediaType, digest: layer.digest, diffId, where },
    budget,
    visitor,
    signal,
  );
}

/** A layer's bytes as the registry has them. @throws UserError `layer-foreign`, and what the client throws */
async function openLayer(
  client: Pick<RegistryClient, "openBlob">,
  repository: Repository,
  layer: Descriptor,
): Promise<AsyncIterable<Uint8Array>> {
  try {
    return await client.openBlob(repository, layer);
  } catch (error) {
    const isMissing = isKnownError(error) && error.code === "blob-not-found";
    throw isMissing && isForeignLayer(layer.mediaType)
      ? foreignLayerMissing(formatRepository(repository), layer)
      : error;
  }
}

async function* expand(reader: ByteReader, compression: LayerCompression): AsyncGenerator<Uint8Array> {
  const found = detectCompression(await reader.peek(magicLength));
  if (found !== (compression === "none" ? undefined : compression)) {
    const says = compression === "none" ? "not compressed" : compression;
    throw new MalformedLayer(
      `its type says that it is ${says}, and by its first bytes it is ${found ?? "not compressed"}`,
    );
  }
  if (compression === "gzip") yield* expandGzip(reader);
  else if (compression === "zstd") yield* expandZstd(reader);
  else {
    for (let chunk = await reader.some(largestChunk); chunk.length > 0; chunk = await reader.some(largestChunk))
      yield chunk;
  }
}

const largestChunk = 1024 * 1024;

/**
 * syft unpacks again what looks compressed, whatever it came out of: such an archive would be another one to it than to
 * a runtime.
 */
async function* checkBeginning(
  expanded: AsyncGenerator<Uint8Array>,
  compression: LayerCompression,
): AsyncGenerator<Uint8Array> {
  let start: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of expanded) {
    if (start === undefined) {
      yield chunk;
      continue;
    }
    start = Buffer.concat([start, chunk]);
    if (start.length < magicLength) continue;
    checkInner(start, compression);
    yield start;
    start = undefined;
  }
  if (start !== undefined && start.length > 0) yield start;
}

function checkInner(start: Uint8Array, compression: LayerCompression): void {
  const found = detectCompression(start);
  if (compression !== "none" && (found === "gzip" || found === "zstd")) {
    throw new MalformedLayer(`what it unpacks to begins like ${found} again, and some readers would unpack that`);
  }
}

function* countEntries(events: Iterable<TarEvent>, budget: LayerBudget, where: string): Generator<TarEvent> {
  for (const event of events) {
    if (event.kind === "entry") spendEntry(budget, where);
    yield event;
  }
}

/**
 * A layer that is not what the image's config says, for who can't go on with it: the base stage makes a violation of
 * it, `base.layer-contradicts`.
 */
export function falseLayer(what: string, said: Digest, actual: Digest): InfrastructureError {
  return new InfrastructureError(
    `${what} is not what the image's config says: it unpacks to ${actual}, and the config says ${said}`,
    {
      code: "layer-contradicts",
      safeToRetry: false,
      wayOut:
        "Do not run it. Build it again from its source with an approved builder, and find out what wrote this config.",
    },
  );
}

/**
 * The layers of an image put together, its base's alone and all of them.
 * @throws InfrastructureError `layer-unreadable` where runtimes would put them together in two ways
 */
export function buildTrees(
  layers: readonly LayerContents[],
  baseLayers: number,
  where: string,
): { base: FileTree; image: FileTree } {
  try {
    return { base: buildTree(layers.slice(0, baseLayers), baseLayers), image: buildTree(layers, baseLayers) };
  } catch (error) {
    throw error instanceof MalformedLayer ? unreadable(`the layers of ${where}`, error.message, error) : error;
  }
}

/** A layer that can't be read in one way. */
export function unreadable(where: string, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`${where} can't be read: ${why}`, {
    code: "layer-unreadable",
    cause,
    safeToRetry: false,
    wayOut:
      "Build the image again with a builder that writes ordinary layers. If it was one, do not run the image, and find out what wrote this layer.",
  });
}
