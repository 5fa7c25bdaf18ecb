import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeIndex, fallbackTag, hasAll, mergeIntoIndex, referrerDescriptor } from "./fallback-index.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import { type Descriptor, maxManifestBytes, mediaTypes, parseManifest } from "./oci/manifest.ts";

const subject = digestOf("subject");
const config: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: digestOf("{}"), size: 2 };
const parse = (value: unknown) => parseManifest(new TextEncoder().encode(JSON.stringify(value)), undefined, "x");

test("the tag is the algorithm and 64 digits, for sha512 as well", () => {
  expect(fallbackTag(subject)).toBe(subject.replace(":", "-"));
  expect(fallbackTag(`sha512:${"ab".repeat(64)}`)).toBe(`sha512-${"ab".repeat(32)}`);
});

describe("referrerDescriptor", () => {
  const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] };
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };

  test("copies the artifact type and all annotations", () => {
    const manifest = parse({ ...image, artifactType: "application/x", annotations: { a: "1", b: "2" } });
    expect(referrerDescriptor(manifest)).toEqual({
      mediaType: mediaTypes.ociManifest,
      digest: manifest.digest,
      size: manifest.bytes.byteLength,
      artifactType: "application/x",
      annotations: { a: "1", b: "2" },
    });
  });

  test("takes the config's type for an image without one, and none for an index", () => {
    expect(referrerDescriptor(parse(image)).artifactType).toBe(mediaTypes.ociEmpty);
    expect(referrerDescriptor(parse({ ...image, artifactType: "" })).artifactType).toBe(mediaTypes.ociEmpty);
    expect(referrerDescriptor(parse(index))).not.toHaveProperty("artifactType");
    expect(referrerDescriptor(parse({ ...index, artifactType: "application/x" })).artifactType).toBe("application/x");
  });
});

describe("mergeIntoIndex", () => {
  const descriptor = fc
    .record({ name: fc.integer({ min: 0, max: 20 }), artifactType: fc.constantFrom("a/b", "c/d") })
    .map(
      ({ name, artifactType }): Descriptor => ({
        mediaType: mediaTypes.ociManifest,
        digest: digestOf(`${name}`),
        size: 1,
        artifactType,
      }),
    );
  const descriptors = fc.array(descriptor, { maxLength: 8 });

  test("loses nothing, keeps what was there as it was and in its order, and adds nothing twice", () => {
    fc.assert(
      fc.property(
        descriptors,
        descriptors,
        fc.dictionary(fc.string(), fc.string()),
        (before, additions, annotations) => {
          const index = { schemaVersion: 2 as const, mediaType: mediaTypes.ociIndex, manifests: before, annotations };
          const merged = mergeIntoIndex(index, additions);
          expect(merged.manifests.slice(0, before.length)).toEqual(before);
          expect(merged.annotations).toEqual(annotations);
          expect(
            hasAll(
              merged,
              additions.map((each) => each.digest),
            ),
          ).toBe(true);
          const added = merged.manifests.slice(before.length).map((each) => each.digest);
          expect(new Set(added).size).toBe(added.length);
          expect(before.some((each) => added.includes(each.digest))).toBe(false);
          expect(mergeIntoIndex(merged, additions)).toEqual(merged);
        },
      ),
    );
  });

  test("the order of two writers does not matter for what is in it", () => {
    fc.assert(
      fc.property(descriptors, descriptors, (a, b) => {
        const digests = (first: Descriptor[], second: Descriptor[]): Set<Digest> =>
          new Set(mergeIntoIndex(mergeIntoIndex(undefined, first), second).manifests.map((each) => each.digest));
        expect(digests(a, b)).toEqual(digests(b, a));
      }),
    );
  });

  test("makes an index that reads back", () => {
    const merged = mergeIntoIndex(undefined, [{ ...config, artifactType: "a/b" }]);
    expect(parseManifest(encodeIndex(merged, "x"), mediaTypes.ociIndex, "x").manifest).toEqual(merged);
  });
});

test("hasAll is false where anything is missing", () => {
  expect(hasAll(undefined, [])).toBe(true);
  expect(hasAll(undefined, [subject])).toBe(false);
  expect(hasAll(mergeIntoIndex(undefined, [config]), [config.digest, subject])).toBe(false);
});

test("a list larger than a manifest may be is refused", () => {
  const big = { ...config, annotations: { a: "x".repeat(maxManifestBytes) } };
  expect(() => encodeIndex(mergeIntoIndex(undefined, [big]), "x")).toThrow(/would grow over/);
});
