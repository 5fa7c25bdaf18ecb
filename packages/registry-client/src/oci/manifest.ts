import { InfrastructureError } from "@goldenpath/foundation/errors";
import { DeepJson, describeIssues, parseJson, withoutNulls } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { type Digest, digestOf, isDigest } from "./digest.ts";
import {
  findDuplicateKey,
  findMisspelledField,
  hasPrototypeKey,
  type KnownFields,
  mayHavePrototypeKey,
} from "./strict-json.ts";

/** Media types by the OCI image specification 1.1, and Docker's equivalents, which registries still hold most of. */
export const mediaTypes = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayerTarGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerTar: "application/vnd.oci.image.layer.v1.tar",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerManifestList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  sigstoreBundle: "application/vnd.dev.sigstore.bundle.v0.3+json",
} as const;

/** Registries must take manifests of 4 MiB; goldenpath reads none larger. */
export const maxManifestBytes = 4 * 1024 * 1024;

/** The two bytes `{}`, by the specification's guidance for artifacts without a config. */
export const emptyBlob = { bytes: new TextEncoder().encode("{}"), digest: digestOf("{}"), size: 2 } as const;

/** More descriptors than fit into a manifest of that size, unless they are none. */
const maxEntries = 40_000;

const digestSchema = z.custom<Digest>(isDigest, "expected a sha256 or sha512 digest");

export const platformSchema = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
  "os.version": z.string().optional(),
  "os.features": z.array(z.string()).optional(),
});
export type Platform = z.infer<typeof platformSchema>;

export const descriptorSchema = z.looseObject({
  mediaType: z.string().min(1),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
  urls: z.array(z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  artifactType: z.string().optional(),
  platform: platformSchema.optional(),
  data: z.string().optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

export const imageManifestSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema),
  subject: descriptorSchema.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type ImageManifest = z.infer<typeof imageManifestSchema>;

export const imageIndexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  manifests: z.array(descriptorSchema),
  subject: descriptorSchema.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type ImageIndex = z.infer<typeof imageIndexSchema>;

/** The parts of an image's config that goldenpath decides on. */
export const imageConfigSchema = z.looseObject({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
  created: z.string().optional(),
  config: z
    .looseObject({
      User: z.string().optional(),
      Env: z.array(z.string()).nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
      // Docker's, beside the image specification: instructions for whatever is built on the image.
      OnBuild: z.array(z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.looseObject({ type: z.literal("layers"), diff_ids: z.array(digestSchema) }),
  history: z
    .array(
      z.looseObject({
        created_by: z.string().optional(),
        comment: z.string().optional(),
        empty_layer: z.boolean().optional(),
      }),
    )
    .nullish(),
});
export type ImageConfig = z.infer<typeof imageConfigSchema>;

const platformFields: KnownFields = { names: Object.keys(platformSchema.shape) };
const descriptorFields: KnownFields = {
  names: Object.keys(descriptorSchema.shape),
  inside: { platform: platformFields },
};
const manifestFields: KnownFields = {
  names: [...Object.keys(imageManifestSchema.shape), ...Object.keys(imageIndexSchema.shape)],
  inside: {
    config: descriptorFields,
    layers: descriptorFields,
    manifests: descriptorFields,
    subject: descriptorFields,
  },
};
const configFields: KnownFields = {
  names: Object.keys(imageConfigSchema.shape),
  inside: {
    config: {
      names: ["User", "Env", "Labels", "Entrypoint", "Cmd", "WorkingDir", "OnBuild", "ExposedPorts", "Volumes"],
    },
    rootfs: { names: ["type", "diff_ids"] },
    history: { names: ["created", "created_by", "author", "comment", "empty_layer"] },
  },
};

/** What a manifest's own bytes say it is. Never taken from a descriptor or a Content-Type alone. */
export type Manifest =
  | { kind: "image"; mediaType: string; digest: Digest; bytes: Uint8Array; manifest: ImageManifest }
  | { kind: "index"; mediaType: string; digest: Digest; bytes: Uint8Array; manifest: ImageIndex };

const imageTypes: readonly string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest];
export const indexMediaTypes: readonly string[] = [mediaTypes.ociIndex, mediaTypes.dockerManifestList];

/**
 * Bytes → manifest. `contentType` only fills in a missing `mediaType`; where both are there and differ, or where the
 * content has the fields of both kinds, the manifest is refused: clients that disagree on what a digest is can be shown
 * different images (CVE-2021-41190).
 * @param digest of these bytes, where it is known already
 * @throws InfrastructureError `manifest-invalid`
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  where: string,
  digest: Digest = digestOf(bytes),
): Manifest {
  const invalid = (why: string, cause?: unknown): never => {
    throw new InfrastructureError(`manifest ${where} is malformed: ${why}`, {
      code: "manifest-invalid",
      cause,
      safeToRetry: false,
    });
  };
  if (bytes.byteLength > maxManifestBytes)
    return invalid(`${bytes.byteLength} bytes are more than the ${maxManifestBytes} allowed`);
  const json = parseOneMeaning(bytes, manifestFields, invalid);
  if (!isObject(json)) return invalid("it is not a JSON object");
  readNulls(json, ["layers", "manifests"]);
  if ("manifests" in json && ("layers" in json || "config" in json))
    return invalid("it has the fields of an image and of an index");
  const entries = [json["manifests"], json["layers"]].map((list) => (Array.isArray(list) ? list.length : 0));
  if (Math.max(...entries) > maxEntries) return invalid(`it has more than ${maxEntries} entries`);
  const declared = "mediaType" in json && typeof json.mediaType === "string" ? json.mediaType : undefined;
  const served = contentType?.split(";")[0]?.trim().toLowerCase();
  const known = served !== undefined && [...imageTypes, ...indexMediaTypes].includes(served) ? served : undefined;
  if (declared !== undefined && known !== undefined && declared !== known)
    return invalid(`it says it is ${declared}, and was served as ${known}`);
  const mediaType = declared ?? known ?? ("manifests" in json ? mediaTypes.ociIndex : mediaTypes.ociManifest);
  if (imageTypes.includes(mediaType)) {
    const parsed = imageManifestSchema.safeParse(json);
    if (!parsed.success) return invalid(describeIssues(parsed.error));
    return { kind: "image", mediaType, digest, bytes, manifest: parsed.data };
  }
  if (indexMediaTypes.includes(mediaType)) {
    const parsed = imageIndexSchema.safeParse(json);
    if (!parsed.success) return invalid(describeIssues(parsed.error));
    return { kind: "index", mediaType, digest, bytes, manifest: parsed.data };
  }
  return invalid(`media type ${mediaType} is neither an image nor an index`);
}

/**
 * Bytes of a list of referrers → the list, without the entries that are no descriptors by the same rules as everywhere
 * (`dropped` says how many): such an entry can't be fetched, and the others are looked at one by one before they count.
 * "other" for a manifest of another kind. A list may leave out its version and type, as Go's readers don't ask for
 * them.
 * @throws InfrastructureError `manifest-invalid`
 */
export function parseReferrersIndex(
  bytes: Uint8Array,
  where: string,
): { index: ImageIndex; dropped: number } | "other" {
  const invalid = (why: string, cause?: unknown): never => {
    throw new InfrastructureError(`manifest ${where} is malformed: ${why}`, {
      code: "manifest-invalid",
      cause,
      safeToRetry: false,
    });
  };
  if (bytes.byteLength > maxManifestBytes)
    return invalid(`${bytes.byteLength} bytes are more than the ${maxManifestBytes} allowed`);
  const { text, json } = decodeJson(bytes, invalid);
  if (!isObject(json)) return invalid("it is not a JSON object");
  refuseDuplicates(text, invalid);
  readNulls(json, ["layers", "manifests"]);
  const { manifests, ...rest } = json;
  const { mediaType } = json;
  if (
    manifests === undefined &&
    (typeof mediaType === "string" ? !indexMediaTypes.includes(mediaType) : "config" in json)
  )
    return "other";
  if (!Array.isArray(manifests)) return invalid("it has no list of manifests");
  if (manifests.length > maxEntries) return invalid(`it has more than ${maxEntries} entries`);
  const mayHaveKey = mayHavePrototypeKey(text);
  const good = manifests.flatMap((each): Descriptor[] => {
    if ((mayHaveKey && hasPrototypeKey(each)) || findMisspelledField(each, descriptorFields) !== undefined) return [];
    const { data } = descriptorSchema.safeParse(each);
    return data === undefined ? [] : [data];
  });
  refuseMisspelled(text, rest, manifestFields, invalid);
  // Each entry is read already, and there may be thousands.
  const parsed = imageIndexSchema.safeParse({ schemaVersion: 2, ...rest, manifests: [] });
  if (!parsed.success) return invalid(describeIssues(parsed.error));
  if ("layers" in json || "config" in json) return invalid("it has the fields of an image and of an index");
  if (parsed.data.mediaType !== undefined && !indexMediaTypes.includes(parsed.data.mediaType)) return "other";
  return { index: { ...parsed.data, manifests: good }, dropped: manifests.length - good.length };
}

/** @throws InfrastructureError `config-invalid` */
export function parseImageConfig(bytes: Uint8Array, where: string): ImageConfig {
  const invalid = (why: string, cause?: unknown): never => {
    throw new InfrastructureError(`image config ${where} is malformed: ${why}`, {
      code: "config-invalid",
      cause,
      safeToRetry: false,
    });
  };
  const json = parseOneMeaning(bytes, configFields, invalid);
  if (isObject(json)) {
    if (isObject(json["rootfs"])) readNulls(json["rootfs"], ["diff_ids"]);
    readNulls(json, []);
  }
  const parsed = imageConfigSchema.safeParse(json);
  return parsed.success ? parsed.data : invalid(describeIssues(parsed.error));
}

/**
 * JSON that every reader understands alike: what goldenpath judges has to be what a runtime written in Go runs. So no
 * byte order mark, no key twice, no `__proto__`, and no known field in another case.
 */
function parseOneMeaning(bytes: Uint8Array, fields: KnownFields, invalid: Refuse): unknown {
  const { text, json } = decodeJson(bytes, invalid);
  refuseDuplicates(text, invalid);
  refuseMisspelled(text, json, fields, invalid);
  return json;
}

type Refuse = (why: string, cause?: unknown) => never;

/** A byte order mark stays, and is no JSON. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeJson(bytes: Uint8Array, invalid: Refuse): { text: string; json: unknown } {
  try {
    const text = utf8.decode(bytes);
    return { text, json: parseJson(text) };
  } catch (error) {
    return invalid(error instanceof DeepJson ? error.message : "it is not JSON", error);
  }
}

function refuseDuplicates(text: string, invalid: Refuse): void {
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) invalid(`it has the key ${JSON.stringify(duplicate)} twice in one object`);
}

function refuseMisspelled(text: string, json: unknown, fields: KnownFields, invalid: Refuse): void {
  if (mayHavePrototypeKey(text) && hasPrototypeKey(json))
    invalid('it has the key "__proto__", which not every reader keeps');
  const misspelled = findMisspelledField(json, fields);
  if (misspelled !== undefined) invalid(`${JSON.stringify(misspelled)} is a known field written in another case`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Null is read as Go's decoder has it: as if the field were not there, and for `lists`, which have to be there, as
 * none. A platform without a word in it is none, too: Go writes one where a descriptor has nothing to say.
 */
function readNulls(json: Record<string, unknown>, lists: readonly string[]): void {
  // Not `manifests` of what is an image: both kinds have only one of the two.
  for (const list of lists)
    if (json[list] === null && !lists.some((other) => other !== list && Array.isArray(json[other]))) json[list] = [];
  withoutNulls(json);
  const { manifests } = json;
  for (const each of Array.isArray(manifests) ? manifests : []) {
    if (isObject(each) && isObject(each["platform"]) && !each["platform"]["os"] && !each["platform"]["architecture"])
      delete each["platform"];
  }
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, ...(platform.variant === undefined ? [] : [platform.variant])].join("/");
}

/**
 * BuildKit's provenance rides in an index as a child of platform `unknown/unknown`: not something that runs. That is
 * the index's word alone: whoever passes such a child over holds it to {@link isAttestation}.
 */
export function isRunnable(descriptor: Descriptor): boolean {
  return !(descriptor.platform?.os === "unknown" && descriptor.platform.architecture === "unknown");
}

/**
 * True for what BuildKit attaches to an index: a manifest whose layers are in-toto statements, all of them. A runtime
 * told to run another platform's child runs whatever is in it, so anything else that calls itself `unknown/unknown` is
 * an image that nobody has judged.
 * https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
 */
export function isAttestation(manifest: ImageManifest): boolean {
  return (
    manifest.layers.length > 0 && manifest.layers.every((layer) => layer.mediaType === "application/vnd.in-toto+json")
  );
}
