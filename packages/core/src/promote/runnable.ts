import { parseJson } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";

/** What cosign's payloads have at most, far from it. Bytes. */
export const maxPayloadBytes = 4 * 1024 * 1024;
/** BuildKit's attestations hold whole SBOMs, of which one of ten thousand packages has some 10 MB. Bytes. */
export const maxStatementBytes = 16 * 1024 * 1024;

/**
 * Configs that a runtime takes for an image's. containerd and CRI-O unpack the first two alone; dockerd also takes the
 * next three, which registries once made of the second (https://github.com/moby/moby/issues/22378); the others are what
 * plugin and WebAssembly runtimes take.
 */
const imageConfigs: readonly string[] = [
  mediaTypes.ociConfig,
  mediaTypes.dockerConfig,
  "application/octet-stream",
  "application/json",
  "text/html",
];
const otherConfigs = /^application\/vnd\.(?:docker\.plugin\.|wasm\.)/;
const imageLayers =
  /^application\/vnd\.(?:oci\.image\.layer\.|docker\.image\.rootfs\.|docker\.plugin\.|sylabs\.sif\.)|[/+.]wasm\b/;

/**
 * Why a manifest is something that a runtime could be told to run, or undefined where none would. An index is, and so
 * is what has an image's config or an image's layer by its type. One exception: cosign wraps its signatures and
 * attestations (`sha256-<hex>.sig`, `.att`) in an image's config around payloads of types of their own. dockerd looks
 * at no layer's type, and unpacks whatever is an archive: so that is none only where each payload was read (`payloads`,
 * by digest), and is JSON that no reader of archives takes for one.
 */
export function isRunnableContent(
  manifest: Manifest,
  payloads: ReadonlyMap<Digest, Uint8Array> = new Map(),
): string | undefined {
  if (manifest.kind === "index") return "it is an index, which stands for images";
  const { config, layers } = manifest.manifest;
  const layer = layers.find((each) => imageLayers.test(each.mediaType));
  if (layer !== undefined) return `it has a layer of an image (${layer.mediaType})`;
  if (otherConfigs.test(config.mediaType)) return `it has the config of something that runs (${config.mediaType})`;
  if (!imageConfigs.includes(config.mediaType)) return undefined;
  if (layers.length > 0 && layers.every(({ digest }) => isPayload(payloads.get(digest)))) return undefined;
  return `it has the config of an image (${config.mediaType})`;
}

/**
 * The layers that have to be read to tell whether a manifest with an image's config is cosign's or BuildKit's: none
 * where that is plain without.
 */
export function payloadsOf(manifest: Manifest, maxBytes: number = maxPayloadBytes): readonly Descriptor[] {
  if (manifest.kind === "index" || !imageConfigs.includes(manifest.manifest.config.mediaType)) return [];
  const { layers } = manifest.manifest;
  const isReadable = layers.every(({ mediaType, size }) => /[/+]json$/.test(mediaType) && size <= maxBytes);
  return isReadable && layers.length <= maxPayloads ? layers : [];
}

/** Signatures on one image by different keys. */
const maxPayloads = 32;

function isPayload(bytes: Uint8Array | undefined): boolean {
  if (bytes === undefined || isTar(bytes)) return false;
  try {
    const value: unknown = parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

/**
 * Whether the first 512 bytes are a header of a tar archive of any age: the checksum in it is right. Text can be both
 * that and JSON; what is compressed can't.
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar interchange format)
 */
function isTar(bytes: Uint8Array): boolean {
  const header = bytes.subarray(0, 512);
  if (header.length < 512) return false;
  const stated = Number.parseInt(
    new TextDecoder("latin1").decode(header.subarray(148, 156)).replace(/\0.*$/s, "").trim(),
    8,
  );
  const sum = (sign: (byte: number) => number): number =>
    header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : sign(byte)), 0);
  return stated === sum((byte) => byte) || stated === sum((byte) => (byte > 127 ? byte - 256 : byte));
}
