import { parseJson } from "@goldenpath/foundation/text/json";
import { findDuplicateKey, findMisspelledField } from "@goldenpath/registry-client/oci/strict-json";
import { z } from "zod";
import { MalformedLayer } from "./bytes.ts";
import type { LayerEntry } from "./contents.ts";
import { formatPath } from "./tar.ts";

/**
 * The file in an eStargz layer that is its table of contents, and the annotation by which stargz-snapshotter and
 * containers/storage trust it.
 */
export const stargzIndex = "stargz.index.json";
export const stargzDigest = "containerd.io/snapshot/stargz/toc.digest";
/**
 * Where a zstd:chunked layer has its table, and what digest it has there, compressed: containers/storage goes by these,
 * and so does stargz-snapshotter. The second spelling is that of its versions before 1.44.
 */
export const chunkedAnnotations = [
  "io.github.containers.zstd-chunked.manifest",
  "io.containers.zstd-chunked.manifest",
].map((name) => ({
  position: `${name}-position`,
  checksum: `${name}-checksum`,
}));

const tocEntry = z.looseObject({
  type: z.string(),
  name: z.string(),
  linkName: z.string().nullish(),
  mode: z.number().nullish(),
  size: z.number().nullish(),
  uid: z.number().nullish(),
  gid: z.number().nullish(),
  devMajor: z.number().nullish(),
  devMinor: z.number().nullish(),
  xattrs: z.record(z.string(), z.string()).nullish(),
  digest: z.string().nullish(),
  chunkOffset: z.number().nullish(),
  chunkSize: z.number().nullish(),
  chunkDigest: z.string().nullish(),
  chunkType: z.string().nullish(),
});
type TocEntry = z.infer<typeof tocEntry>;
const tocSchema = z.looseObject({ version: z.literal(1), entries: z.array(tocEntry) });

/** A part of a file, whose content the table tells apart from the file's own. */
export interface TocChunk {
  offset: number;
  size: number;
  /** `sha256:…`; undefined for a part of nothing but zeros. */
  digest: string | undefined;
}

/** Index of an entry of the layer → the parts of it. */
export type TocChunks = ReadonlyMap<number, readonly TocChunk[]>;

const kinds: Readonly<Record<string, LayerEntry["kind"]>> = {
  reg: "file",
  dir: "directory",
  symlink: "symlink",
  hardlink: "hardlink",
  char: "character-device",
  block: "block-device",
  fifo: "fifo",
};

/**
 * Holds a layer's table of contents to its archive. Runtimes that fetch a layer in parts (stargz-snapshotter, podman
 * with zstd:chunked) unpack what the table says, names, modes and digests, and never look at the archive: so both have
 * to tell the same files, in the same order.
 * https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md
 * https://github.com/containers/storage/blob/main/pkg/chunked/internal/minimal/compression.go
 * @returns the parts of files that are still to be compared with the archive's bytes
 * @throws MalformedLayer
 */
export function compareToc(json: string, entries: readonly LayerEntry[]): TocChunks {
  const toc = parseToc(json);
  const files = entries.map((entry, index) => ({ entry, index })).filter(({ entry }) => entry.path !== stargzIndex);
  const chunks = new Map<number, readonly TocChunk[]>();
  let at = 0;
  for (const { entry, index } of files) {
    const told = toc[at];
    if (told === undefined || told.type === "chunk")
      throw new MalformedLayer(`its table of contents does not have ${formatPath(entry.path)}`);
    const difference = compareEntry(told, entry);
    if (difference !== undefined) {
      throw new MalformedLayer(
        `its table of contents says something else of ${formatPath(entry.path)} than its archive: ${difference}`,
      );
    }
    const rest: TocEntry[] = [];
    for (at += 1; toc[at]?.type === "chunk"; at += 1) rest.push(toc[at] as TocEntry);
    const parts = readChunks(told, rest, entry);
    if (parts.length > 0) chunks.set(index, parts);
  }
  if (at !== toc.length)
    throw new MalformedLayer(
      `its table of contents has ${formatPath(toBytes(toc[at]?.name ?? ""))}, and its archive does not`,
    );
  return chunks;
}

function parseToc(text: string): TocEntry[] {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    throw new MalformedLayer("its table of contents is not JSON");
  }
  const names = { names: ["version", "entries"], inside: { entries: { names: Object.keys(tocEntry.shape) } } };
  const odd = findDuplicateKey(text) ?? findMisspelledField(json, names);
  const parsed = tocSchema.safeParse(json);
  if (odd !== undefined || !parsed.success) throw new MalformedLayer("its table of contents can't be read in one way");
  return parsed.data.entries;
}

/** What differs, or undefined. */
function compareEntry(told: TocEntry, entry: LayerEntry): string | undefined {
  const link = told.linkName ?? "";
  const [major = "0", minor = "0"] = entry.device.split(":");
  const isDevice = entry.device !== "";
  const hasDigest = told.digest === `sha256:${entry.contentDigest}` || (entry.size === 0 && (told.digest ?? "") === "");
  const same: [string, boolean][] = [
    ["the kind", kinds[told.type] === entry.kind],
    ["the name", sameName(normalise(told.name), entry.path)],
    [
      "where it leads",
      entry.kind === "hardlink" ? sameName(normalise(link), entry.target) : sameName(link, entry.target),
    ],
    ["the mode", ((told.mode ?? 0) & 0o7777) === entry.mode],
    ["the owner", (told.uid ?? 0) === entry.uid && (told.gid ?? 0) === entry.gid],
    ["the size", (told.size ?? 0) === entry.size || entry.kind !== "file"],
    ["the content", entry.kind !== "file" || hasDigest],
    ["the device", !isDevice || ((told.devMajor ?? 0) === Number(major) && (told.devMinor ?? 0) === Number(minor))],
    ["the attributes", sameAttributes(told.xattrs ?? {}, entry.attributes)],
  ];
  return same.find(([, isSame]) => !isSame)?.[0];
}

function normalise(name: string): string {
  return name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/**
 * JSON has no bytes that are not UTF-8: Go writes the replacement character for each of them, and the rest of the name
 * has to do.
 */
function sameName(told: string, bytes: string): boolean {
  const merge = (text: string): string => text.replaceAll(/\ufffd+/g, "\ufffd");
  return merge(told) === merge(Buffer.from(bytes, "latin1").toString("utf8"));
}

function sameAttributes(told: Readonly<Record<string, string>>, attributes: Readonly<Record<string, string>>): boolean {
  const names = new Set([...Object.keys(told), ...Object.keys(attributes)]);
  return [...names].every(
    (name) => told[name] !== undefined && Buffer.from(told[name], "base64").toString("latin1") === attributes[name],
  );
}

/**
 * The parts of a file, which have to be the whole of it. One part that is the file is compared here; of several, each
 * has bytes of its own.
 */
function readChunks(first: TocEntry, rest: readonly TocEntry[], entry: LayerEntry): TocChunk[] {
  const refuse = (): never => {
    throw new MalformedLayer(`its table of contents does not tell the parts of ${formatPath(entry.path)} as one whole`);
  };
  if (entry.kind !== "file") return rest.length === 0 ? [] : refuse();
  if (rest.length === 0) {
    const digest = first.chunkDigest ?? "";
    const isWhole = (first.chunkOffset ?? 0) === 0 && [0, entry.size].includes(first.chunkSize ?? 0);
    if (!isWhole || !["", `sha256:${entry.contentDigest}`].includes(digest)) return refuse();
    return first.chunkType === "zeros" && entry.size > 0 ? [{ offset: 0, size: entry.size, digest: undefined }] : [];
  }
  let end = 0;
  return [first, ...rest].map((part, index, all) => {
    const offset = part.chunkOffset ?? 0;
    const size = (part.chunkSize ?? 0) === 0 ? entry.size - offset : (part.chunkSize ?? 0);
    const isLast = index === all.length - 1;
    const isNamed = part === first || sameName(normalise(part.name), entry.path);
    if (offset !== end || size <= 0 || (isLast && offset + size !== entry.size) || !isNamed) return refuse();
    end = offset + size;
    const isZeros = part.chunkType === "zeros";
    if (!isZeros && !["", undefined, null].includes(part.chunkType)) return refuse();
    if (!isZeros && !/^sha256:[0-9a-f]{64}$/.test(part.chunkDigest ?? "")) return refuse();
    return { offset, size, digest: isZeros ? undefined : (part.chunkDigest ?? "") };
  });
}

function toBytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
