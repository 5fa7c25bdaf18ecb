import { describeIssues } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor, ImageManifest, Manifest } from "@goldenpath/registry-client/oci/manifest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import type { CacheKey } from "./key.ts";

/** Nothing that a runtime runs, and no evidence. */
export const cacheArtifactType = "application/vnd.goldenpath.build-cache.v1";

/** In an image's layout, which is for nobody else to look at. */
export const cacheFolder = "cache";

const prefix = "dev.goldenpath.cache.";
const hex = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256");

const digest = z.custom<Digest>(isDigest, "expected a digest");

/** Of the image that the build left, all of them or none. */
const imageSchema = z.object({ digest, child: digest, given: hex, images: hex });
/** In an annotation each, with this before its name. */
const imagePrefix = "image.";

const labelsSchema = z.object({
  key: hex,
  group: hex,
  /** The policy's builder, by name. */
  builder: z.string().min(1).max(200),
  strategy: z.string().min(1).max(100),
  platform: z.string().min(1).max(100),
  writer: z.string().min(1).max(100),
  /** Seconds that the build took which had no cache. */
  cold: z.string().regex(/^\d{1,7}(?:\.\d{1,3})?$/, "expected seconds"),
  image: imageSchema.optional(),
});

/** What an entry says of itself: a hint, by which what was meant for something else is passed over. */
export type CacheLabels = z.infer<typeof labelsSchema>;

/** An entry's manifest. The same content for the same key is the same entry, whenever it was written. */
export function renderEntry(config: Descriptor, layers: readonly Descriptor[], labels: CacheLabels): ImageManifest {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: cacheArtifactType,
    config,
    layers: [...layers],
    annotations: renderLabels(labels),
  };
}

function renderLabels({ image, ...names }: CacheLabels): Record<string, string> {
  const ofImage = Object.entries(image ?? {}).map(([name, value]) => [`${imagePrefix}${name}`, value] as const);
  return Object.fromEntries([...Object.entries(names), ...ofImage].map(([name, value]) => [`${prefix}${name}`, value]));
}

function readLabels(annotations: Readonly<Record<string, string>>): object {
  const own = Object.entries(annotations).flatMap(([name, value]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
  );
  const image = own.flatMap(([name, value]) =>
    name.startsWith(imagePrefix) ? [[name.slice(imagePrefix.length), value] as const] : [],
  );
  return { ...Object.fromEntries(own), image: image.length === 0 ? undefined : Object.fromEntries(image) };
}

/** An entry as it is there, or why it is none. */
export function readEntry(found: Manifest): { manifest: ImageManifest; labels: CacheLabels } | { problem: string } {
  if (found.kind !== "image" || found.manifest.artifactType !== cacheArtifactType)
    return { problem: "it is no cache of a build" };
  if (found.manifest.subject !== undefined) return { problem: "it refers to another image" };
  const parsed = labelsSchema.safeParse(readLabels(found.manifest.annotations ?? {}));
  return parsed.success
    ? { manifest: found.manifest, labels: parsed.data }
    : { problem: `what it says of itself can't be read: ${describeIssues(parsed.error)}` };
}

/** What a build looks for. */
export interface Wanted extends Pick<CacheLabels, "strategy" | "platform" | "builder" | "writer"> {
  key: CacheKey;
}

/** Why an entry is not for this build, whatever it is tagged; undefined where it may be. */
export function describeStray(labels: CacheLabels, wanted: Wanted): string | undefined {
  const { key, ...names } = wanted;
  for (const name of ["writer", "strategy", "platform", "builder"] as const)
    if (labels[name] !== names[name]) return `it is of ${name} '${labels[name]}', and not '${names[name]}'`;
  if (labels.group !== key.group) return "it is of another source, or of another version of the builder";
  return undefined;
}
