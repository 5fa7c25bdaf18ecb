import { isDeepStrictEqual } from "node:util";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { LayerEntry } from "../../layers/contents.ts";
import { formatName, formatPath } from "../../layers/tar.ts";

/** One image of two that should be the same. */
export interface ImageListing {
  /** As parsed: what of it differs is told by its place. */
  config: unknown;
  layers: readonly LayerListing[];
}

export interface LayerListing {
  diffId: Digest;
  /** As the registry has it. */
  digest: Digest;
  /** In the archive's order; left out where the other image has the very same layer. */
  entries?: readonly LayerEntry[];
}

/** What differs, and how. */
export interface Difference {
  /** `layer 3: /app/build-info.json`, `config: created`. */
  thing: string;
  /** One clause a way: `content`, `mtime`, … with both values where they can be shown. */
  how: string[];
}

/**
 * Two builds of one source → what differs between them, to the file and the way. Layers are compared by their place. It
 * says something wherever the digests differ, and nothing only where all of it is the same.
 */
export function compareImages(first: ImageListing, second: ImageListing): Difference[] {
  const counts = [first.layers.length, second.layers.length];
  return [
    ...(counts[0] === counts[1]
      ? []
      : [{ thing: "layers", how: [`${counts[0]} in the first, ${counts[1]} in the second`] }]),
    ...first.layers.flatMap((layer, index) => compareLayers(index, layer, second.layers[index])),
    // What follows from layers is told by them.
    ...compareValues("config", withoutLayers(first.config), withoutLayers(second.config)),
  ];
}

function compareLayers(index: number, first: LayerListing, second: LayerListing | undefined): Difference[] {
  const thing = `layer ${index + 1}`;
  if (second === undefined || first.digest === second.digest) return [];
  if (first.diffId === second.diffId)
    return [{ thing, how: [`compression: the same archive as ${first.digest} and ${second.digest}`] }];
  const files = compareEntries(thing, first.entries ?? [], second.entries ?? []);
  if (files.length > 0) return files;
  const order = compareOrder(first.entries ?? [], second.entries ?? []);
  return [{ thing, how: [order ?? "the archive's own bytes: names of owners, its format, or padding"] }];
}

function compareEntries(thing: string, first: readonly LayerEntry[], second: readonly LayerEntry[]): Difference[] {
  const others = new Map(second.map((entry) => [entry.path, entry]));
  const own = new Map(first.map((entry) => [entry.path, entry]));
  const place = (path: string): string => `${thing}: ${formatPath(path)}`;
  return [
    ...[...own].flatMap(([path, entry]): Difference[] => {
      const other = others.get(path);
      if (other === undefined) return [{ thing: place(path), how: ["only in the first build"] }];
      const how = compareEntry(entry, other);
      return how.length === 0 ? [] : [{ thing: place(path), how }];
    }),
    ...[...others.keys()]
      .filter((path) => !own.has(path))
      .map((path) => ({ thing: place(path), how: ["only in the second build"] })),
  ];
}

function compareEntry(first: LayerEntry, second: LayerEntry): string[] {
  const values: [name: string, first: string, second: string][] = [
    ["kind", first.kind, second.kind],
    ["content", describeContent(first), describeContent(second)],
    ["mode", first.mode.toString(8).padStart(4, "0"), second.mode.toString(8).padStart(4, "0")],
    ["owner", `${first.uid}:${first.gid}`, `${second.uid}:${second.gid}`],
    ["mtime", describeTime(first.mtime), describeTime(second.mtime)],
    ["target", formatName(first.target), formatName(second.target)],
    ["device", first.device, second.device],
    ["attributes", describeAttributes(first), describeAttributes(second)],
  ];
  return values.filter(([, one, two]) => one !== two).map(([name, one, two]) => `${name}: ${one} and ${two}`);
}

const describeContent = ({ kind, size, contentDigest }: LayerEntry): string =>
  kind === "file" ? `${size} bytes, sha256:${contentDigest.slice(0, 12)}` : "none";
const describeAttributes = ({ attributes }: LayerEntry): string =>
  Object.keys(attributes)
    .sort()
    .map((name) => `${formatName(name)}=${formatName(attributes[name] ?? "")}`)
    .join(" ") || "none";

/** A header's octal seconds, or a pax record's decimal ones with a point. */
function describeTime(mtime: string): string {
  const seconds = /^\d+(?:\.\d*)?$/.test(mtime) ? Number(mtime) : Number.NaN;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime())
    ? `'${formatName(mtime)}'`
    : `${date.toISOString()}${/\.\d{4,}/.test(mtime) ? ` (${mtime})` : ""}`;
}

function compareOrder(first: readonly LayerEntry[], second: readonly LayerEntry[]): string | undefined {
  const index = first.findIndex(({ path }, at) => path !== second[at]?.path);
  const [one, two] = [first[index], second[index]];
  if (one !== undefined && two !== undefined)
    return `order: ${formatPath(one.path)} where the other has ${formatPath(two.path)}`;
  return first.length === second.length
    ? undefined
    : `entries: ${first.length} and ${second.length}, with one path more than once`;
}

function withoutLayers(config: unknown): unknown {
  if (!isRecord(config)) return config;
  const { rootfs: _, ...rest } = config;
  return rest;
}

/** By the places of values that are not the same; lists of other lengths are told as a whole. */
function compareValues(place: string, first: unknown, second: unknown): Difference[] {
  if (isDeepStrictEqual(first, second)) return [];
  if (isRecord(first) && isRecord(second)) {
    const names = new Set([...Object.keys(first), ...Object.keys(second)]);
    const separator = place === "config" ? ": " : ".";
    return [...names].flatMap((name) => compareValues(`${place}${separator}${name}`, first[name], second[name]));
  }
  if (Array.isArray(first) && Array.isArray(second) && first.length === second.length)
    return first.flatMap((value, index) => compareValues(`${place}[${index}]`, value, second[index]));
  return [{ thing: place, how: [`${shorten(first)} and ${shorten(second)}`] }];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const shorten = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
};
