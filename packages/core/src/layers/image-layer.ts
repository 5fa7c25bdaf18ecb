import { zstdDecompressSync } from "node:zlib";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { createBudget, type LayerBudget } from "./budget.ts";
import { MalformedLayer } from "./bytes.ts";
import { createCollector, type KeptContent, type LayerContents } from "./contents.ts";
import { type LayerVisitor, type ReadLayer, readImageLayer, unreadable } from "./read.ts";
import { chunkedAnnotations, compareToc, stargzDigest, stargzIndex } from "./toc.ts";
import { createChunkChecker } from "./toc-chunks.ts";

/** Of a table of contents, compressed and not: one of a million files has some 200 MB. Bytes. */
const maxToc = 256 * 1024 * 1024;

interface ImageLayer {
  client: Pick<RegistryClient, "openBlob">;
  repository: Repository;
  layer: Descriptor;
  diffId: Digest;
  budget: LayerBudget;
  kept: KeptContent;
  signal?: AbortSignal;
}

/**
 * Reads one layer of an image and tells what is in it. Where the layer has a table of contents besides its archive
 * (eStargz, zstd:chunked), that has to tell the same.
 * @param onBytes gets the archive's bytes as they come
 * @throws as {@link readImageLayer}
 */
export async function readLayerContents(
  source: ImageLayer,
  onBytes?: NonNullable<LayerVisitor["bytes"]>,
): Promise<LayerContents & Pick<ReadLayer, "size">> {
  const { client, repository, layer, diffId, budget, kept, signal } = source;
  const where = `layer ${layer.digest} of ${formatRepository(repository)}`;
  const annotations = layer.annotations ?? {};
  const range = findRange(annotations, layer, where);
  const collector = createCollector({
    add: (bytes) => kept.add(bytes),
    watch: kept.watch,
    largestOf: (path) => (path === stargzIndex ? Number.POSITIVE_INFINITY : kept.largestOf(path)),
  });
  const tapped: Uint8Array[] = [];
  const visitor: LayerVisitor = {
    events: (events) => collector.take(events),
    ...(onBytes === undefined ? {} : { bytes: onBytes }),
  };
  const read = await readImageLayer(
    range === undefined ? client : tap(client, range, tapped),
    repository,
    layer,
    diffId,
    budget,
    visitor,
    signal,
  );
  const contents = { diffId: read.diffId, size: read.size, entries: collector.entries };
  // What is another layer than its config says is refused for that.
  if (read.diffId !== diffId) return contents;
  try {
    for (const toc of findTables(annotations, collector.entries, range, tapped)) {
      const chunks = compareToc(toc, collector.entries);
      if (chunks.size === 0) continue;
      const checker = createChunkChecker(chunks);
      await readImageLayer(
        client,
        repository,
        layer,
        diffId,
        createBudget(budget.limits),
        { events: (events) => checker.take(events) },
        signal,
      );
    }
  } catch (error) {
    throw error instanceof MalformedLayer ? unreadable(where, error.message, error) : error;
  }
  return contents;
}

interface Range {
  offset: number;
  length: number;
  checksum: string;
}

/** Where in the layer, as the registry has it, the annotations say that its table is. */
function findRange(annotations: Readonly<Record<string, string>>, layer: Descriptor, where: string): Range | undefined {
  const [used, ...others] = chunkedAnnotations.filter(
    (names) => annotations[names.position] !== undefined || annotations[names.checksum] !== undefined,
  );
  if (used === undefined) return undefined;
  if (others.length > 0) throw unreadable(where, "its annotations name two tables of contents");
  const { [used.position]: position, [used.checksum]: checksum } = annotations;
  const [, offset = "", length = ""] = /^(\d{1,15}):(\d{1,15}):\d{1,15}:1$/.exec(position ?? "") ?? [];
  const range = { offset: Number(offset), length: Number(length), checksum: checksum ?? "" };
  const isInside = offset !== "" && range.length > 0 && range.offset + range.length <= layer.size;
  if (!isInside || range.length > maxToc || checksum === undefined)
    throw unreadable(where, "its annotations say of no table of contents where it is");
  return range;
}

/** The client, which keeps a part of what it reads of a blob as it passes. */
function tap(
  client: Pick<RegistryClient, "openBlob">,
  { offset, length }: Range,
  kept: Uint8Array[],
): Pick<RegistryClient, "openBlob"> {
  return {
    async openBlob(repository, descriptor) {
      const content = await client.openBlob(repository, descriptor);
      return (async function* () {
        let position = 0;
        for await (const chunk of content) {
          const part = chunk.subarray(Math.max(0, offset - position), Math.max(0, offset + length - position));
          if (part.length > 0) kept.push(Buffer.from(part));
          position += chunk.length;
          yield chunk;
        }
      })();
    },
  };
}

/** The texts of the tables that a runtime could go by: one in the archive itself, and one beside it. */
function findTables(
  annotations: Readonly<Record<string, string>>,
  entries: LayerContents["entries"],
  range: Range | undefined,
  tapped: readonly Uint8Array[],
): string[] {
  const wanted = annotations[stargzDigest];
  const tables = entries
    .filter(({ path, kind }) => path === stargzIndex && kind === "file")
    .map(({ content = new Uint8Array(0) }) => content);
  if (range !== undefined) tables.push(expandTable(Buffer.concat(tapped), range));
  if (wanted !== undefined && !tables.some((table) => digestOf(table) === wanted)) {
    throw new MalformedLayer("its annotation names a table of contents that is not in it");
  }
  return tables.map((table) => Buffer.from(table).toString("utf8"));
}

function expandTable(bytes: Buffer, { checksum }: Range): Uint8Array {
  if (digestOf(bytes) !== checksum)
    throw new MalformedLayer("its table of contents is not the one that its annotation names");
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: maxToc });
  } catch {
    throw new MalformedLayer("its table of contents can't be unpacked");
  }
}
