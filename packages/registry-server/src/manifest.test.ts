import { describe, expect, it } from "vitest";
import { RegistryError } from "./errors.ts";
import { parseManifest } from "./manifest.ts";
import { configType, describeContent, imageType, indexType, layerType } from "./testing.ts";

const config = describeContent("{}", configType);
const layer = describeContent("layer", layerType);
const image = { schemaVersion: 2, mediaType: imageType, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: indexType, manifests: [describeContent("child", imageType)] };
const parse = (json: unknown, contentType?: string) =>
  parseManifest(Buffer.from(typeof json === "string" ? json : JSON.stringify(json)), contentType);

describe("parseManifest", () => {
  it.each<[string, unknown, string?]>([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["another schema version", { ...image, schemaVersion: 1 }],
    ["no media type at all", { ...image, mediaType: undefined }],
    ["another media type than the request says", image, indexType],
    ["a media type of something else", { ...image, mediaType: "application/json" }],
    ["an image that has manifests too", { ...image, manifests: [] }],
    ["an index that has layers too", { ...index, layers: [] }],
    ["an index that has a config too", { ...index, config }],
    ["an image without config", { ...image, config: undefined }],
    ["an image without layers", { ...image, layers: undefined }],
    ["an index without manifests", { ...index, manifests: undefined }],
    ["a layer without digest", { ...image, layers: [{ ...layer, digest: undefined }] }],
    ["a layer of an unknown algorithm", { ...image, layers: [{ ...layer, digest: "md5:00" }] }],
    ["a layer of a negative size", { ...image, layers: [{ ...layer, size: -1 }] }],
    ["a layer without media type", { ...image, layers: [{ ...layer, mediaType: "" }] }],
    ["a malformed subject", { ...image, subject: "sha256:00" }],
    ["annotations that are no strings", { ...image, annotations: { a: 1 } }],
    ["an artifact type that is no string", { ...image, artifactType: 1 }],
  ])("refuses %s", (_what, json, contentType) => {
    expect(() => parse(json, contentType)).toThrow(
      expect.objectContaining({ status: 400, entries: [expect.objectContaining({ code: "MANIFEST_INVALID" })] }),
    );
    expect(() => parse(json, contentType)).toThrow(RegistryError);
  });

  it("refuses what is not UTF-8", () => {
    const bytes = Buffer.from(JSON.stringify({ ...image, annotations: { a: "?" } }));
    bytes[bytes.indexOf("?")] = 0xff;
    expect(() => parseManifest(bytes, undefined)).toThrow(RegistryError);
  });

  it("takes the media type from the request where the content has none, without its parameters", () => {
    expect(parse({ ...image, mediaType: undefined }, `${imageType}; charset=utf-8`).record.mediaType).toBe(imageType);
  });

  it("wants an image's config and layers, but for those that others serve", () => {
    const foreign = describeContent("foreign", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    const docker = describeContent("docker", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    expect(parse({ ...image, layers: [layer, foreign, docker] })).toMatchObject({
      blobs: [config.digest, layer.digest],
      children: [],
    });
  });

  it("wants an index's children", () => {
    expect(parse(index)).toMatchObject({ blobs: [], children: index.manifests.map((child) => child.digest) });
  });

  it.each([
    ["its own", { ...image, artifactType: "application/x" }, "application/x"],
    ["the config's for an image without one", image, configType],
    ["the config's for an image with an empty one", { ...image, artifactType: "" }, configType],
    ["none for an index without one", index, undefined],
  ])("has as artifact type %s", (_which, json, expected) => expect(parse(json).record.artifactType).toBe(expected));

  it("keeps subject and annotations", () => {
    const subject = describeContent("subject", imageType);
    expect(parse({ ...image, subject, annotations: { a: "b" } }).record).toMatchObject({
      subject: subject.digest,
      annotations: { a: "b" },
    });
  });
});
