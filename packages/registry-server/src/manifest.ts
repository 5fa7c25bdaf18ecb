import { refuse } from "./errors.ts";
import { type Digest, isDigest } from "./grammar.ts";
import type { ManifestRecord } from "./store.ts";

/** "At least 4 megabytes" by the specification; clients read no more than that. Bytes. */
export const maxManifestBytes = 4 * 1024 * 1024;

export const indexMediaType = "application/vnd.oci.image.index.v1+json";
const imageTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
const indexTypes = [indexMediaType, "application/vnd.docker.distribution.manifest.list.v2+json"];

/** A pushed manifest, understood as far as a registry has to. */
export interface ParsedManifest {
  record: ManifestRecord;
  /** Content that has to be in the repository already. `subject` isn't among it: it may come later. */
  blobs: Digest[];
  /** An index's children. */
  children: Digest[];
}

type Json = Record<string, unknown>;

/**
 * Checks what an image's or an index's bytes say. The media type is the JSON's own, and otherwise the request's; where
 * they differ, or where one document has the fields of both kinds, it is refused, since clients could take it for
 * different things (CVE-2021-41190).
 * @throws RegistryError 400 MANIFEST_INVALID
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): ParsedManifest {
  const json = parseObject(bytes);
  const declared = json.mediaType;
  if (declared !== undefined && typeof declared !== "string") return invalid("mediaType is not a string");
  const sent = contentType?.split(";")[0]?.trim();
  const mediaType = declared ?? sent;
  if (mediaType === undefined || mediaType === "")
    return invalid("neither it nor the Content-Type says which media type it has");
  if (declared !== undefined && sent !== undefined && sent !== "" && sent !== declared)
    return invalid(`it says it is ${declared}, and the Content-Type ${sent}`);
  if (json.schemaVersion !== 2) return invalid("schemaVersion is not 2");
  const subject =
    json.subject === undefined || json.subject === null ? undefined : parseDescriptor(json.subject, "subject").digest;
  const annotations = parseAnnotations(json.annotations);
  const artifactType = json.artifactType;
  if (artifactType !== undefined && typeof artifactType !== "string") return invalid("artifactType is not a string");
  const record = (fallbackType?: string): ManifestRecord => {
    const type = artifactType === undefined || artifactType === "" ? fallbackType : artifactType;
    return {
      mediaType,
      size: bytes.byteLength,
      ...(subject === undefined ? {} : { subject }),
      ...(type === undefined ? {} : { artifactType: type }),
      ...(annotations === undefined ? {} : { annotations }),
    };
  };
  if (imageTypes.includes(mediaType)) {
    if ("manifests" in json) return invalid("an image has no manifests");
    const config = parseDescriptor(json.config, "config");
    const layers = parseDescriptors(json.layers, "layers").filter((layer) => !isForeign(layer.mediaType));
    return {
      record: record(config.mediaType),
      blobs: [config.digest, ...layers.map((layer) => layer.digest)],
      children: [],
    };
  }
  if (indexTypes.includes(mediaType)) {
    if ("layers" in json || "config" in json) return invalid("an index has neither config nor layers");
    return {
      record: record(),
      blobs: [],
      children: parseDescriptors(json.manifests, "manifests").map((child) => child.digest),
    };
  }
  return invalid(`the media type ${mediaType} is neither an image's nor an index's`);
}

function parseObject(bytes: Uint8Array): Json {
  let json: unknown;
  try {
    // Of any depth: no more than a descriptor's fields is looked at, and this package stands on no other.
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return invalid("it is not JSON");
  }
  return isObject(json) ? json : invalid("it is not a JSON object");
}

function parseDescriptors(value: unknown, what: string): { mediaType: string; digest: Digest }[] {
  if (!Array.isArray(value)) return invalid(`${what} is not a list`);
  return value.map((item, index) => parseDescriptor(item, `${what}[${index}]`));
}

function parseDescriptor(value: unknown, what: string): { mediaType: string; digest: Digest } {
  if (!isObject(value)) return invalid(`${what} is not a descriptor`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string" || mediaType === "") return invalid(`${what} has no mediaType`);
  if (!isDigest(digest)) return invalid(`${what} has no sha256 or sha512 digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return invalid(`${what} has no size`);
  return { mediaType, digest };
}

function parseAnnotations(value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value) || !Object.values(value).every((item) => typeof item === "string"))
    return invalid("annotations are not a map of strings");
  return value as Record<string, string>;
}

/** Layers that their vendors don't let others serve: a client takes them from elsewhere, so they needn't be here. */
function isForeign(mediaType: string): boolean {
  return (
    mediaType.includes("nondistributable") || mediaType === "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(why: string): never {
  return refuse(400, "MANIFEST_INVALID", `the manifest is refused: ${why}`);
}
