import { InfrastructureError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Digest, digestOf } from "./digest.ts";
import {
  formatPlatform,
  isAttestation,
  isRunnable,
  maxManifestBytes,
  mediaTypes,
  parseImageConfig,
  parseManifest,
  parseReferrersIndex,
} from "./manifest.ts";

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const digest: Digest = `sha256:${"a".repeat(64)}`;
const descriptor = { mediaType: mediaTypes.ociLayerTarGzip, digest, size: 3 };
const image = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: { ...descriptor, mediaType: mediaTypes.ociConfig },
  layers: [descriptor],
};
const index = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [{ ...descriptor, mediaType: mediaTypes.ociManifest }],
};

function refusal(parse: () => unknown): InfrastructureError {
  try {
    parse();
  } catch (error) {
    if (error instanceof InfrastructureError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("parseManifest", () => {
  test.each<[string, unknown, string | undefined]>([
    ["what is not JSON", "<html></html>", mediaTypes.ociManifest],
    ["nothing at all", "", mediaTypes.ociManifest],
    ["half a manifest", JSON.stringify(image).slice(0, -10), mediaTypes.ociManifest],
    ["a byte order mark, which Go refuses", `\uFEFF${JSON.stringify(image)}`, mediaTypes.ociManifest],
    ["a list", [image], mediaTypes.ociManifest],
    ["null", "null", mediaTypes.ociManifest],
    ["the fields of both kinds (CVE-2021-41190)", { ...image, manifests: index.manifests }, mediaTypes.ociManifest],
    ["an index with a config", { ...index, config: image.config }, mediaTypes.ociIndex],
    ["a type other than the one it was served as", image, mediaTypes.ociIndex],
    ["an OCI manifest served as Docker's", image, mediaTypes.dockerManifest],
    ["an index's fields under an image's type", { ...index, mediaType: mediaTypes.ociManifest }, undefined],
    ["an unknown type", { ...image, mediaType: "application/json" }, undefined],
    ["a type that is not text", { ...image, mediaType: 7 }, mediaTypes.ociManifest],
    ["schema version 1", { ...image, schemaVersion: 1 }, mediaTypes.ociManifest],
    ["no config", { ...image, config: undefined }, mediaTypes.ociManifest],
    ["no layers", { ...image, layers: undefined }, mediaTypes.ociManifest],
    ["a layer without digest", { ...image, layers: [{ ...descriptor, digest: undefined }] }, mediaTypes.ociManifest],
    [
      "a layer with a digest of another kind",
      { ...image, layers: [{ ...descriptor, digest: "md5:abc" }] },
      mediaTypes.ociManifest,
    ],
    ["a negative size", { ...image, layers: [{ ...descriptor, size: -1 }] }, mediaTypes.ociManifest],
    ["a fraction of a byte", { ...image, layers: [{ ...descriptor, size: 1.5 }] }, mediaTypes.ociManifest],
    ["a subject that is no descriptor", { ...image, subject: digest }, mediaTypes.ociManifest],
    ["a second list of layers that only Go sees", { ...image, Layers: [] }, mediaTypes.ociManifest],
    ["a subject that only Go sees", { ...image, ſubject: descriptor }, mediaTypes.ociManifest],
    ["a digest that only Go sees", { ...image, layers: [{ ...descriptor, Digest: digest }] }, mediaTypes.ociManifest],
    ["layers twice", `${JSON.stringify(image).slice(0, -1)},"layers":[]}`, mediaTypes.ociManifest],
    [
      "a digest twice, one of them escaped",
      JSON.stringify(image).replace('"size"', `"\\u0064igest":"${digest}","size"`),
      undefined,
    ],
  ])("refuses %s", (_what, content, contentType) => {
    const error = refusal(() => parseManifest(encode(content), contentType, "x"));
    expect(error.code).toBe("manifest-invalid");
    expect(error.message).toContain("manifest x is malformed");
    expect(error.safeToRetry).toBe(false);
  });

  test("refuses more than 4 MiB, and takes exactly as much", () => {
    const text = JSON.stringify(image);
    const padded = (size: number) => encode(text + " ".repeat(size - text.length));
    expect(refusal(() => parseManifest(padded(maxManifestBytes + 1), undefined, "x")).message).toContain(
      "4194304 allowed",
    );
    expect(parseManifest(padded(maxManifestBytes), undefined, "x").kind).toBe("image");
  });

  test("refuses bytes that are not UTF-8", () => {
    const bytes = encode({ ...image, annotations: { a: "b" } });
    bytes[bytes.lastIndexOf("b".charCodeAt(0))] = 0xff;
    expect(refusal(() => parseManifest(bytes, undefined, "x")).code).toBe("manifest-invalid");
  });

  test.each<[string, object, string | undefined, string, string]>([
    ["an OCI image", image, mediaTypes.ociManifest, "image", mediaTypes.ociManifest],
    ["an OCI index", index, mediaTypes.ociIndex, "index", mediaTypes.ociIndex],
    [
      "an image without a type, served as one",
      { ...image, mediaType: undefined },
      mediaTypes.ociManifest,
      "image",
      mediaTypes.ociManifest,
    ],
    [
      "an image served with parameters",
      image,
      `${mediaTypes.ociManifest.toUpperCase()}; charset=utf-8`,
      "image",
      mediaTypes.ociManifest,
    ],
    ["an image served as plain JSON", image, "application/json", "image", mediaTypes.ociManifest],
    [
      "an index without a type, served without one",
      { ...index, mediaType: undefined },
      undefined,
      "index",
      mediaTypes.ociIndex,
    ],
    [
      "Docker's image",
      { ...image, mediaType: mediaTypes.dockerManifest },
      mediaTypes.dockerManifest,
      "image",
      mediaTypes.dockerManifest,
    ],
    [
      "Docker's list",
      { ...index, mediaType: mediaTypes.dockerManifestList },
      undefined,
      "index",
      mediaTypes.dockerManifestList,
    ],
  ])("takes %s", (_what, content, contentType, kind, mediaType) => {
    const bytes = encode(content);
    expect(parseManifest(bytes, contentType, "x")).toMatchObject({ kind, mediaType, digest: digestOf(bytes), bytes });
  });

  test.each<[string, unknown]>([
    [
      "every field that need not be there",
      { ...image, artifactType: null, annotations: null, subject: null, mediaType: null },
    ],
    [
      "the fields of layers",
      { ...image, layers: [{ ...descriptor, urls: null, annotations: null, data: null, platform: null }] },
    ],
    ["a value among annotations", { ...image, annotations: { a: null, b: "b" } }],
    ["the other kind's list", { ...image, manifests: null }],
    [
      "the fields of an index's children",
      {
        ...index,
        annotations: null,
        manifests: [{ ...index.manifests[0], annotations: null, urls: null, artifactType: null, platform: null }],
      },
    ],
    [
      "words of a platform, which is then none",
      { ...index, manifests: [{ ...index.manifests[0], platform: { os: null, architecture: "" } }] },
    ],
  ])("reads null as if it were not there: %s", (_what, content) => {
    const bare = JSON.parse(JSON.stringify(content), (_key, value) =>
      value === null || value === "" ? undefined : value,
    );
    if (bare.manifests?.[0] !== undefined) delete bare.manifests[0].platform;
    expect(parseManifest(encode(content), undefined, "x").manifest).toEqual(bare);
  });

  test("reads null as no layers, and still refuses it where a value is needed, or an entry", () => {
    expect(parseManifest(encode({ ...image, layers: null }), undefined, "x")).toMatchObject({
      kind: "image",
      manifest: { layers: [] },
    });
    for (const broken of [
      { ...image, config: null },
      { ...image, layers: [null] },
      { ...image, layers: [{ ...descriptor, digest: null }] },
      { ...index, manifests: [null] },
      { ...image, layers: null, Layers: [descriptor] },
    ])
      expect(refusal(() => parseManifest(encode(broken), undefined, "x")).code).toBe("manifest-invalid");
  });

  test.each<[string, string]>([
    ["lists in lists", `{"schemaVersion":2,"x":${"[".repeat(200_000)}${"]".repeat(200_000)}}`],
    ["objects in objects", `{"schemaVersion":2,"x":${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}}`],
    ["brackets without an end", "[".repeat(1_000_000)],
    [
      "two million layers that are none",
      JSON.stringify({ ...image, layers: Array.from({ length: 1_900_000 }, () => 1) }),
    ],
  ])("refuses a bomb of %s, and tells it in a line", (_what, text) => {
    const error = refusal(() => parseManifest(encode(text), undefined, "x"));
    expect(error.code).toBe("manifest-invalid");
    expect(error.message.length).toBeLessThan(500);
  });

  test("an index whose list is null has no manifests, and one without a list is none", () => {
    const parsed = parseManifest(encode({ ...index, manifests: null }), mediaTypes.ociIndex, "x");
    expect(parsed.kind === "index" && parsed.manifest.manifests).toEqual([]);
    expect(
      refusal(() => parseManifest(encode({ ...index, manifests: undefined }), mediaTypes.ociIndex, "x")).code,
    ).toBe("manifest-invalid");
  });

  test("keys that differ in case are fine where they are a map's", () => {
    const annotations = { Digest: "1", digest: "2", Layers: "3" };
    expect(parseManifest(encode({ ...image, annotations }), undefined, "x").manifest.annotations).toEqual(annotations);
  });

  test.each(["valueOf", "toString", "constructor", "hasOwnProperty"])(
    "takes a field called %s, which every object has, for a field like others",
    (name) => {
      expect(parseManifest(encode({ ...image, [name]: { "": 0 } }), undefined, "x").kind).toBe("image");
      expect(refusal(() => parseManifest(encode({ [name]: { "": 0 } }), undefined, "x")).code).toBe("manifest-invalid");
    },
  );

  test("any manifest it takes has the digest of its bytes, and no value makes it throw anything but manifest-invalid", () => {
    const anyValue = fc.anything({ maxDepth: 3 });
    const nearly = fc.record(
      {
        schemaVersion: fc.constantFrom(2, 2, 1, "2"),
        mediaType: fc.constantFrom(...Object.values(mediaTypes)),
        config: fc.oneof(fc.constant(descriptor), anyValue),
        layers: fc.oneof(fc.array(fc.constant(descriptor)), anyValue),
        manifests: fc.oneof(fc.array(fc.constant(descriptor)), anyValue),
        subject: fc.oneof(fc.constant(descriptor), anyValue),
      },
      { requiredKeys: ["schemaVersion"] },
    );
    fc.assert(
      fc.property(
        fc.oneof(nearly, fc.jsonValue()),
        fc.constantFrom(undefined, ...Object.values(mediaTypes)),
        (value, contentType) => {
          let bytes: Uint8Array;
          try {
            bytes = encode(JSON.stringify(value));
          } catch {
            return; // not expressible in JSON (a bigint)
          }
          try {
            expect(parseManifest(bytes, contentType, "x").digest).toBe(digestOf(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(InfrastructureError);
            expect((error as InfrastructureError).code).toBe("manifest-invalid");
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("parseImageConfig", () => {
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } };

  test.each<[string, unknown]>([
    ["what is not JSON", "nope"],
    ["an empty artifact's config", "{}"],
    ["no rootfs", { ...config, rootfs: undefined }],
    ["a rootfs of another type", { ...config, rootfs: { type: "overlay", diff_ids: [] } }],
    ["a diffID that is no digest", { ...config, rootfs: { type: "layers", diff_ids: ["abc"] } }],
    ["a second rootfs that only Go sees", { ...config, RootFS: { type: "layers", diff_ids: [] } }],
    ["diffIDs twice", JSON.stringify(config).replace('"diff_ids"', '"diff_ids":[],"diff_ids"')],
    ["diffIDs that only Go sees", { ...config, rootfs: { ...config.rootfs, Diff_IDs: [] } }],
    ["a user that only Go sees", { ...config, config: { User: "1000", user: "root" } }],
    ["labels that are not text", { ...config, config: { Labels: { a: 1 } } }],
  ])("refuses %s", (_what, content) => {
    const error = refusal(() => parseImageConfig(encode(content), "x"));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toContain("image config x is malformed");
  });

  test("reads null as if it were not there", () => {
    const nulls = {
      ...config,
      created: null,
      variant: null,
      config: { User: null, Env: null, Labels: { a: null } },
      history: [{ created_by: null, empty_layer: null, comment: null }],
    };
    expect(parseImageConfig(encode(nulls), "x")).toEqual({ ...config, config: { Labels: {} }, history: [{}] });
    expect(
      parseImageConfig(encode({ ...config, rootfs: { type: "layers", diff_ids: null } }), "x").rootfs.diff_ids,
    ).toEqual([]);
    for (const broken of [
      { ...config, rootfs: null },
      { ...config, os: null },
      { ...config, rootfs: { type: "layers", diff_ids: [null] } },
    ])
      expect(refusal(() => parseImageConfig(encode(broken), "x")).code).toBe("config-invalid");
  });

  test("takes what Docker writes: null in the place of empty maps and lists, and labels in any case", () => {
    const Labels = { Name: "a", name: "b" };
    expect(
      parseImageConfig(encode({ ...config, config: { Env: null, Labels }, history: null }), "x").config?.Labels,
    ).toEqual(Labels);
    expect(parseImageConfig(encode({ ...config, config: { Labels: null } }), "x").rootfs.diff_ids).toEqual([digest]);
  });
});

test("a platform reads as os/architecture/variant", () => {
  expect(formatPlatform({ os: "linux", architecture: "arm", variant: "v7" })).toBe("linux/arm/v7");
  expect(formatPlatform({ os: "linux", architecture: "amd64" })).toBe("linux/amd64");
});

test("only unknown/unknown does not run", () => {
  expect(isRunnable({ ...descriptor, platform: { os: "unknown", architecture: "unknown" } })).toBe(false);
  expect(isRunnable({ ...descriptor, platform: { os: "unknown", architecture: "amd64" } })).toBe(true);
  expect(isRunnable({ ...descriptor, platform: { os: "linux", architecture: "unknown" } })).toBe(true);
  expect(isRunnable(descriptor)).toBe(true);
});

test("an attestation is of in-toto statements, and of nothing else", () => {
  const of = (...types: string[]) =>
    isAttestation({
      schemaVersion: 2,
      config: descriptor,
      layers: types.map((mediaType) => ({ ...descriptor, mediaType })),
    });
  expect(of()).toBe(false);
  expect(of(mediaTypes.ociLayerTarGzip)).toBe(false);
  expect(of("application/vnd.in-toto+json", mediaTypes.ociLayerTarGzip)).toBe(false);
  expect(of("application/vnd.in-toto+json", "application/vnd.in-toto+json")).toBe(true);
});

test.each(['"__proto__"', '"\\u005f_proto__"'])(
  "of a list of referrers, what has the key %s is left out, alone",
  (key) => {
    const whole = (name: string) =>
      encode(
        JSON.stringify(index).replace(
          "}]",
          `}, ${JSON.stringify({ ...descriptor, size: 4 }).replace("{", `{${name}:{"a":"b"},`)}]`,
        ),
      );
    const [kept] = index.manifests;
    expect(parseReferrersIndex(whole(key), "x")).toMatchObject({ index: { manifests: [kept] }, dropped: 1 });
    expect(parseReferrersIndex(whole('"annotations"'), "x")).toMatchObject({
      ...{ index: { manifests: [kept, { size: 4, annotations: { a: "b" } }] }, dropped: 0 },
    });
  },
);
