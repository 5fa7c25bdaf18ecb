import { UserError } from "@goldenpath/foundation/errors";

export type LayerCompression = "none" | "gzip" | "zstd";

export interface LayerType {
  compression: LayerCompression;
  /** Its owner forbids to distribute it: it may be in no registry, and be named by address. */
  isForeign: boolean;
}

const plain: Readonly<Record<string, LayerCompression>> = {
  "application/vnd.oci.image.layer.v1.tar": "none",
  "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
  "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
  "application/vnd.docker.image.rootfs.diff.tar": "none",
  "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
  "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
};
const foreign: Readonly<Record<string, LayerCompression>> = {
  "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
  "application/vnd.docker.image.rootfs.foreign.diff.tar": "none",
  "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
  "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd": "zstd",
};

/**
 * Every media type that a layer of an image may have, by the image specification 1.1 (layer.md) and by Docker's image
 * manifest, schema 2. Docker's zstd spelling is containerd's and BuildKit's; foreign layers are Windows' old bases.
 */
const layerTypes: ReadonlyMap<string, LayerType> = new Map([
  ...Object.entries(plain).map(([type, compression]): [string, LayerType] => [type, { compression, isForeign: false }]),
  ...Object.entries(foreign).map(([type, compression]): [string, LayerType] => [
    type,
    { compression, isForeign: true },
  ]),
]);

/** How a layer of this type is read; undefined for a type that no layer has. */
export function findLayerType(mediaType: string): LayerType | undefined {
  return layerTypes.get(mediaType);
}

/** What a layer of this type is in a manifest of the image specification, whose own types it has; else as it is. */
export function ociLayerType(mediaType: string): string {
  const compression = plain[mediaType];
  if (compression === undefined) return mediaType;
  return `application/vnd.oci.image.layer.v1.tar${compression === "none" ? "" : `+${compression}`}`;
}

export function isForeignLayer(mediaType: string): boolean {
  return layerTypes.get(mediaType)?.isForeign ?? false;
}

/**
 * The one rule for foreign layers, wherever an image is read or copied: their bytes are judged and promoted like any
 * other layer's, so they must be in the registry. Whoever runs the image would otherwise fetch them from an address
 * that nobody has looked at.
 */
export function foreignLayerMissing(where: string, layer: { digest: string; mediaType: string }): UserError {
  return new UserError(
    `${where}: layer ${layer.digest} is a foreign layer (${layer.mediaType}), and the registry does not have it: nobody can judge its bytes`,
    {
      code: "layer-foreign",
      wayOut:
        "Push it with the image (Docker: `allow-nondistributable-artifacts`; skopeo and crane take it from a registry that has it), or build on a base without foreign layers.",
    },
  );
}
