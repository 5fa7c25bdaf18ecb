import { gzipSync } from "node:zlib";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, type Manifest, mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import { encodeText } from "@goldenpath/registry-client/testing";
import { describe, expect, test } from "vitest";
import { isRunnableContent, maxPayloadBytes, payloadsOf } from "./runnable.ts";

const blob = (mediaType: string, bytes: Uint8Array = encodeText(mediaType)) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.byteLength,
});
const empty = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
const parse = (manifest: object, mediaType: string = mediaTypes.ociManifest): Manifest =>
  parseManifest(encodeText(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest })), mediaType, "here");
const artifact = (config: string, ...layers: ReturnType<typeof blob>[]): Manifest =>
  parse({ config: config === mediaTypes.ociEmpty ? empty : blob(config), layers });

const simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json";
const payload = encodeText(JSON.stringify({ critical: { identity: {} }, optional: null }));

/**
 * A header of a tar archive from before ustar whose bytes are JSON as well: everything that a name may hold comes
 * first.
 */
function jsonTar(): Uint8Array {
  const header = Buffer.alloc(512, 0x20);
  header.write('{"a":"', 0, "latin1");
  header.write('"}', 510, "latin1");
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  header.write(sum.toString(8).padStart(6, "0"), 148, "latin1");
  return header;
}

describe("could be run", () => {
  test.each<[string, Manifest]>([
    ["an index", parse({ manifests: [] }, mediaTypes.ociIndex)],
    ["a manifest list", parse({ manifests: [] }, mediaTypes.dockerManifestList)],
    ["an image", artifact(mediaTypes.ociConfig, blob(mediaTypes.ociLayerTarGzip))],
    [
      "an image of Docker's",
      artifact(mediaTypes.dockerConfig, blob("application/vnd.docker.image.rootfs.diff.tar.gzip")),
    ],
    ["an image without layers", artifact(mediaTypes.ociConfig)],
    [
      "an image whose layers have a type that no runtime knows",
      artifact(mediaTypes.ociConfig, blob("application/x.harmless")),
    ],
    [
      "an artifact with a layer of an image",
      artifact(mediaTypes.ociEmpty, blob("text/plain"), blob(mediaTypes.ociLayerTar)),
    ],
    [
      "a foreign layer",
      artifact(mediaTypes.ociEmpty, blob("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
    ],
    [
      "a non-distributable layer",
      artifact(mediaTypes.ociEmpty, blob("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")),
    ],
    ...["application/octet-stream", "application/json", "text/html"].map((config): [string, Manifest] => [
      `a config of ${config}, which dockerd takes for an image's`,
      artifact(config, blob("application/x.data")),
    ]),
    ["a plugin of Docker's", artifact("application/vnd.docker.plugin.v1+json", blob("application/x.data"))],
    ["WebAssembly by its config", artifact("application/vnd.wasm.config.v0+json", blob("application/x.data"))],
    ["WebAssembly by its layer", artifact(mediaTypes.ociEmpty, blob("application/wasm"))],
    [
      "a WebAssembly component",
      artifact(mediaTypes.ociEmpty, blob("application/vnd.bytecodealliance.wasm.component.layer.v0+wasm")),
    ],
  ])("%s", (_what, manifest) => expect(isRunnableContent(manifest)).toMatch(/^it (?:is|has) /));

  test.each<[string, Uint8Array | undefined]>([
    ["was not read", undefined],
    ["is an archive", gzipSync(payload)],
    ["is text, and no JSON", encodeText("critical: {}")],
    ["is JSON that holds nothing", encodeText("1")],
    ["is JSON and an archive", jsonTar()],
    ["begins with a byte order mark", encodeText(`\uFEFF{"a":1}`)],
  ])("what cosign wraps its signatures in, where the payload %s", (_what, bytes) => {
    const layer = blob(simpleSigning, bytes ?? payload);
    expect(
      isRunnableContent(
        artifact(mediaTypes.ociConfig, layer),
        new Map(bytes === undefined ? [] : [[layer.digest, bytes]]),
      ),
    ).toBeDefined();
  });

  test("the same, with one payload that was read and one that was not", () => {
    const read = blob(simpleSigning, payload);
    const manifest = artifact(mediaTypes.ociConfig, read, blob(simpleSigning));
    expect(isRunnableContent(manifest, new Map([[read.digest, payload]]))).toBeDefined();
  });
});

describe("could not", () => {
  test.each<[string, Manifest]>([
    ["a Sigstore bundle", artifact(mediaTypes.ociEmpty, blob(mediaTypes.sigstoreBundle))],
    ["a signature of Notary's", artifact("application/vnd.cncf.notary.signature", blob("application/jose+json"))],
    ["an SBOM", artifact(mediaTypes.ociEmpty, blob("application/vnd.cyclonedx+json"))],
    [
      "a chart",
      artifact("application/vnd.cncf.helm.config.v1+json", blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip")),
    ],
    ["nothing but a type", artifact(mediaTypes.ociEmpty, empty)],
  ])("%s", (_what, manifest) => {
    expect(isRunnableContent(manifest)).toBeUndefined();
    expect(payloadsOf(manifest)).toEqual([]);
  });

  test("cosign's signatures of before, their payloads read", () => {
    expect(() => JSON.parse(Buffer.from(jsonTar()).toString("latin1"))).not.toThrow();
    const layer = blob(simpleSigning, payload);
    const manifest = artifact(mediaTypes.ociConfig, layer);
    expect(payloadsOf(manifest)).toEqual([layer]);
    expect(isRunnableContent(manifest, new Map([[layer.digest, payload]]))).toBeUndefined();
  });
});

describe("what is read to tell", () => {
  const large = { ...blob(simpleSigning), size: maxPayloadBytes + 1 };

  test("as much as is asked for", () => {
    const manifest = artifact(mediaTypes.ociConfig, large);
    expect(payloadsOf(manifest, large.size)).toEqual([large]);
    expect(payloadsOf(manifest, large.size - 1)).toEqual([]);
  });

  test.each<[string, Manifest]>([
    ["no layer of an image", artifact(mediaTypes.ociConfig, blob(mediaTypes.ociLayerTar))],
    ["nothing where one payload is too large", artifact(mediaTypes.ociConfig, blob(simpleSigning), large)],
    [
      "not many",
      artifact(
        mediaTypes.ociConfig,
        ...Array.from({ length: 33 }, (_each, at) => blob(simpleSigning, encodeText(`{"at":${at}}`))),
      ),
    ],
    ["nothing of an index", parse({ manifests: [] }, mediaTypes.ociIndex)],
  ])("%s", (_what, manifest) => expect(payloadsOf(manifest)).toEqual([]));
});
