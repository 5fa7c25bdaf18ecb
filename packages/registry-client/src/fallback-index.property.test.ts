import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeIndex, hasAll, mergeIntoIndex } from "./fallback-index.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import { type Descriptor, type ImageIndex, mediaTypes, parseManifest } from "./oci/manifest.ts";

// Keys as any other in JSON, and none to a careless copy. `__proto__` itself is in no manifest that is read.
const key = fc
  .oneof(
    fc.constantFrom("constructor", "hasOwnProperty", "toString", "", "org.opencontainers.image.created"),
    fc.string(),
  )
  .filter((each) => each !== "__proto__");
const annotations = fc.array(fc.tuple(key, fc.string())).map((entries): Record<string, string> => {
  const made: Record<string, string> = {};
  for (const [name, value] of entries)
    Object.defineProperty(made, name, { value, enumerable: true, configurable: true, writable: true });
  return made;
});
const descriptor = fc.record({ id: fc.nat({ max: 15 }), annotations, artifactType: fc.constantFrom("a/b", "c/d") }).map(
  ({ id, ...more }): Descriptor => ({
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(String(id)),
    size: id,
    ...more,
  }),
);
const descriptors = fc.array(descriptor, { maxLength: 10 });
const digests = (index: ImageIndex): Digest[] => index.manifests.map(({ digest }) => digest);
const merge = (...lists: Descriptor[][]): ImageIndex =>
  lists.reduce<ImageIndex | undefined>((index, list) => mergeIntoIndex(index, list), undefined) ??
  mergeIntoIndex(undefined, []);

test("whatever order any number of writers comes in, and however often, the list has the same digests, each once", () => {
  fc.assert(
    fc.property(fc.array(descriptors, { minLength: 1, maxLength: 4 }), (lists) => {
      const merged = merge(...lists);
      expect(digests(merge(...lists.toReversed())).toSorted()).toEqual(digests(merged).toSorted());
      expect(merge(...lists, ...lists)).toEqual(merged);
      expect(new Set(digests(merged)).size).toBe(merged.manifests.length);
      expect(
        hasAll(
          merged,
          lists.flat().map(({ digest }) => digest),
        ),
      ).toBe(true);
      expect(lists.flat().map(({ digest }) => digest)).toEqual(expect.arrayContaining(digests(merged)));
    }),
  );
});

test("who comes first stays first, as it was", () => {
  fc.assert(
    fc.property(descriptors, descriptors, (before, additions) => {
      const index = merge(before);
      const frozen = JSON.stringify(index);
      const merged = mergeIntoIndex(index, additions);
      expect(merged.manifests.slice(0, index.manifests.length)).toEqual(index.manifests);
      expect(JSON.stringify(index)).toBe(frozen);
    }),
  );
});

test("annotations that are made to be lost or to do harm are kept, and read back", () => {
  fc.assert(
    fc.property(descriptors, (list) => {
      const merged = merge(list);
      const bytes = encodeIndex(merged, "x");
      const read = parseManifest(bytes, mediaTypes.ociIndex, "x").manifest as ImageIndex;
      expect(digests(read)).toEqual(digests(merged));
      // Written again, which every later writer does, it has the same in it.
      expect(JSON.parse(Buffer.from(encodeIndex(mergeIntoIndex(read, []), "x")).toString())).toEqual(
        JSON.parse(Buffer.from(bytes).toString()),
      );
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    }),
  );
});
