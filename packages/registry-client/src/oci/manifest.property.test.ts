import { InfrastructureError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Digest, digestOf } from "./digest.ts";
import { mediaTypes, parseManifest } from "./manifest.ts";
import { findDuplicateKey } from "./strict-json.ts";

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const digest = fc.uint8Array({ maxLength: 4 }).map((bytes): Digest => digestOf(bytes));
/** Any key but the one that is refused (below), which comes up once in some hundred thousand. */
const annotationKey = fc.string({ minLength: 1 }).filter((key) => key !== "__proto__");
const annotations = fc.dictionary(annotationKey, fc.string(), { maxKeys: 3, noNullPrototype: true });
const descriptor = (types: readonly string[]) =>
  fc.record(
    { mediaType: fc.constantFrom(...types), digest, size: fc.nat(), annotations },
    { requiredKeys: ["mediaType", "digest", "size"], noNullPrototype: true },
  );
const platform = fc.record(
  { os: fc.constantFrom("linux", "windows"), architecture: fc.constantFrom("amd64", "arm64") },
  { noNullPrototype: true },
);

const image = fc
  .record(
    {
      config: descriptor([mediaTypes.ociConfig, mediaTypes.dockerConfig, mediaTypes.ociEmpty]),
      layers: fc.array(
        descriptor([mediaTypes.ociLayerTar, mediaTypes.ociLayerTarGzip, "application/vnd.in-toto+json"]),
        { maxLength: 4 },
      ),
      subject: descriptor([mediaTypes.ociManifest, mediaTypes.ociIndex]),
      artifactType: fc.constantFrom("application/x", "application/vnd.dev.sigstore.bundle.v0.3+json"),
      annotations,
    },
    { requiredKeys: ["config", "layers"], noNullPrototype: true },
  )
  .chain((fields) =>
    fc
      .constantFrom(mediaTypes.ociManifest, mediaTypes.dockerManifest)
      .map((mediaType) => ({ schemaVersion: 2, mediaType, ...fields })),
  );
const index = fc
  .record(
    {
      manifests: fc.array(
        fc
          .tuple(descriptor([mediaTypes.ociManifest, mediaTypes.dockerManifest]), platform)
          .map(([each, its]) => ({ ...each, platform: its })),
        { maxLength: 4 },
      ),
      annotations,
    },
    { requiredKeys: ["manifests"], noNullPrototype: true },
  )
  .chain((fields) =>
    fc
      .constantFrom(mediaTypes.ociIndex, mediaTypes.dockerManifestList)
      .map((mediaType) => ({ schemaVersion: 2, mediaType, ...fields })),
  );
const manifest = fc.oneof(image, index);

const refused = (bytes: Uint8Array, contentType?: string): void =>
  expect(() => parseManifest(bytes, contentType, "x")).toThrow(expect.objectContaining({ code: "manifest-invalid" }));

describe("manifests", () => {
  test("of OCI and of Docker come out as they went in, whatever they are served as", () => {
    fc.assert(
      fc.property(manifest, fc.boolean(), (each, served) => {
        const bytes = encode(each);
        const parsed = parseManifest(bytes, served ? each.mediaType : "application/json", "x");
        expect(parsed.manifest).toEqual(each);
        expect(parsed).toMatchObject({
          mediaType: each.mediaType,
          digest: digestOf(bytes),
          kind: "manifests" in each ? "index" : "image",
        });
      }),
    );
  });

  test("served as another kind, or with the fields of another kind, are refused", () => {
    fc.assert(
      fc.property(
        manifest,
        fc.constantFrom(
          mediaTypes.ociManifest,
          mediaTypes.ociIndex,
          mediaTypes.dockerManifest,
          mediaTypes.dockerManifestList,
        ),
        (each, type) => {
          if (type !== each.mediaType) refused(encode(each), type);
          refused(encode({ ...each, ...("manifests" in each ? { layers: [] } : { manifests: [] }) }));
        },
      ),
    );
  });

  test("from which something needed is taken, or in which it is something else, are refused", () => {
    const else_ = fc.constantFrom<unknown>(undefined, null, "x", 1.5, -1, true, [1], [{}], {});
    fc.assert(
      fc.property(manifest, fc.nat(), else_, (each, place, value) => {
        const needed = "manifests" in each ? ["schemaVersion", "manifests"] : ["schemaVersion", "config", "layers"];
        const field = needed[place % needed.length] ?? "";
        // Written in Go, an empty list may be null.
        if ((field === "manifests" || field === "layers") && value === null) return;
        refused(encode({ ...each, [field]: value }));
      }),
    );
  });

  test("with a key twice or in another case are refused, wherever it is", () => {
    const field = fc.constantFrom(
      "schemaVersion",
      "mediaType",
      "digest",
      "size",
      "config",
      "layers",
      "manifests",
      "annotations",
      "platform",
      "os",
    );
    fc.assert(
      fc.property(manifest, field, (each, name) => {
        const text = JSON.stringify(each);
        const key = `"${name}":`;
        const at = text.indexOf(key);
        if (at === -1) return;
        refused(encode(`${text.slice(0, at)}${key}0,${text.slice(at)}`));
        refused(
          encode(`${text.slice(0, at)}"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}":0,${text.slice(at)}`),
        );
        refused(encode(`${text.slice(0, at)}${key.toUpperCase()}0,${text.slice(at)}`));
      }),
    );
  });

  test("that are cut off anywhere, or have another byte anywhere, are refused or have another digest", () => {
    fc.assert(
      fc.property(manifest, fc.nat(), fc.integer({ min: 1, max: 255 }), (each, place, flip) => {
        const bytes = encode(each);
        const at = place % bytes.byteLength;
        refused(bytes.subarray(0, at));
        const other = Uint8Array.from(bytes);
        other[at] = (other[at] ?? 0) ^ flip;
        try {
          expect(parseManifest(other, undefined, "x").digest).not.toBe(digestOf(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(InfrastructureError);
          expect(error).toMatchObject({ code: "manifest-invalid" });
        }
      }),
    );
  });
});

test("however deep they are, manifests are read or refused by name", () => {
  const wrap = fc.constantFrom<[string, string]>(
    ["[", "]"],
    ['{"layers":[', "]}"],
    ['{"x":', "}"],
    ['{"config":', "}"],
  );
  const whole = fc.constantFrom<[string, string]>(
    ["", ""],
    ['{"schemaVersion":2,"manifests":', "}"],
    ['{"schemaVersion":2,"manifests":[],"annotations":', "}"],
  );
  fc.assert(
    fc.property(wrap, whole, fc.constantFrom(10, 1000, 150_000), ([open, close], [before, after], depth) => {
      refused(encode(`${before}${open.repeat(depth)}1${close.repeat(depth)}${after}`));
    }),
    { numRuns: 40 },
  );
});

test("a key that JavaScript loses is refused, wherever it is and however it is written", () => {
  const written = fc.constantFrom('"__proto__"', '"\\u005f_proto__"', '"__pro\\u0074o__"');
  fc.assert(
    fc.property(manifest, written, fc.nat(), (each, key, place) => {
      const text = JSON.stringify(each);
      const objects = [...text.matchAll(/\{(?=")/g)].map(({ index: at }) => at + 1);
      const at = objects[place % objects.length] ?? 1;
      if (!isKey(text, at)) return;
      refused(encode(`${text.slice(0, at)}${key}:{"x":1},${text.slice(at)}`));
    }),
  );
});

/** Not inside of a string: before it stands an even number of quotes that are not escaped. */
function isKey(text: string, at: number): boolean {
  return (text.slice(0, at).replace(/\\./g, "").match(/"/g)?.length ?? 0) % 2 === 0;
}

describe("findDuplicateKey", () => {
  test("finds none in what JSON.stringify writes, with white space or without, whatever the strings hold", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom("", " ", "\t\n"), (value, space) => {
        expect(findDuplicateKey(JSON.stringify(value, undefined, space))).toBeUndefined();
      }),
    );
  });

  test("finds the one that is there, however deep, and however it is written", () => {
    const nest = fc.array(fc.constantFrom("list", "object"), { maxLength: 6 });
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), fc.jsonValue(), nest, fc.boolean(), (key, one, two, outer, escaped) => {
        const again = escaped
          ? `"${[...Array(key.length).keys()].map((at) => `\\u${key.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")}"`
          : JSON.stringify(key);
        const inner = `{${JSON.stringify(key)}:${JSON.stringify(one)},${again} : ${JSON.stringify(two)}}`;
        const text = outer.reduce(
          (each, kind) => (kind === "list" ? `[1, ${each}]` : `{"a\\"{": "}", "b":${each}}`),
          inner,
        );
        expect(findDuplicateKey(text)).toBe(key);
      }),
    );
  });
});
