import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";

/** Of an artifact that has a scanner's data, and of the data in it. */
export const dataMediaType = "application/vnd.goldenpath.vulnerability-data.v1";
export const dataFileMediaType = "application/vnd.goldenpath.vulnerability-data.file.v1";

/** Of the statement's bundle, which stands in the manifest: a keyless one has some 10 kB. */
const maxBundleBytes = 256 * 1024;

/** The tag that has a scanner's newest data. */
export const newestTag = (scanner: string): string => scanner;

/** The tag under which data stays when newer data has come: `grype-20261126T213000Z`. */
export function datedTag(scanner: string, mirroredAt: Date): string {
  return `${scanner}-${mirroredAt
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(/[-:]/g, "")}`;
}

/** Of a repository's tags a scanner's dated ones beyond the `keep` newest, the oldest first. */
export function listOutdatedTags(tags: readonly string[], scanner: string, keep: number): string[] {
  const own = tags.filter(
    (tag) => tag.startsWith(`${scanner}-`) && /^\d{8}T\d{6}Z$/.test(tag.slice(scanner.length + 1)),
  );
  return own.toSorted().slice(0, Math.max(0, own.length - keep));
}

/** Where it is told which data an artifact has: the bundle with the signed statement, and the data's blob. */
export interface DataArtifact {
  /** Its bytes are in the manifest, so that it takes no request. */
  bundle: Uint8Array;
  data: Descriptor;
}

/**
 * One manifest: the signed statement in front, in the descriptor's `data`, and the data behind it. Whoever reads the
 * manifest has all that it takes to believe the one digest that is then fetched.
 */
export function encodeDataArtifact(
  bundle: Uint8Array,
  data: Descriptor,
  file: string,
): { manifest: Uint8Array; config: Descriptor; bundleLayer: Descriptor } {
  const config: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const bundleLayer: Descriptor = {
    mediaType: mediaTypes.sigstoreBundle,
    digest: digestOf(bundle),
    size: bundle.byteLength,
    annotations: { "org.opencontainers.image.title": `${file}.sigstore.json` },
  };
  const manifest = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: dataMediaType,
      config,
      layers: [
        { ...bundleLayer, data: Buffer.from(bundle).toString("base64") },
        // By these names, `oras pull` writes both, for whoever checks by hand.
        { ...data, annotations: { "org.opencontainers.image.title": file } },
      ],
    }),
  );
  return { manifest, config, bundleLayer };
}

/** What is in a manifest, or why it is no such artifact. Nothing of it is signed but the bundle. */
export function readDataArtifact(found: Manifest): DataArtifact | { problem: string } {
  if (found.kind !== "image" || found.manifest.artifactType !== dataMediaType)
    return { problem: "it is no artifact of vulnerability data" };
  const [layer, data, ...others] = found.manifest.layers;
  if (layer?.mediaType !== mediaTypes.sigstoreBundle || data?.mediaType !== dataFileMediaType || others.length > 0)
    return { problem: "it has not just a Sigstore bundle and the data" };
  if (layer.data === undefined) return { problem: "its bundle does not stand in the manifest" };
  const bundle = Buffer.from(layer.data, "base64");
  if (bundle.byteLength > maxBundleBytes)
    return { problem: `its bundle has ${bundle.byteLength} bytes, and ${maxBundleBytes} are read at most` };
  if (bundle.byteLength !== layer.size || digestOf(bundle) !== layer.digest)
    return { problem: "its bundle is not what its digest says" };
  return { bundle, data: { mediaType: data.mediaType, digest: data.digest as Digest, size: data.size } };
}
