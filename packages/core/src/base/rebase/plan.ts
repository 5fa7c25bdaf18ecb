import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { findLayerType, ociLayerType } from "@goldenpath/registry-client/oci/layer-types";
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  mediaTypes,
} from "@goldenpath/registry-client/oci/manifest";
import { planBuildpacksLabels, type RunImage } from "./buildpacks.ts";

/** An image of one platform, as far as a rebase puts it together. */
export interface RebasePart {
  manifest: ImageManifest;
  config: ImageConfig;
}

export interface RebaseParts {
  image: RebasePart;
  oldBase: RebasePart;
  newBase: RebasePart;
  /** `HOST/NAME@sha256:…` of the new base's own image. */
  newName: string;
  newDigest: Digest;
}

export interface RebasePlan {
  config: ImageConfig;
  /** All but the config's descriptor, which is known once that has been written. */
  manifest: Omit<ImageManifest, "config"> & { layers: Descriptor[] };
}

/** The annotations of the image specification (annotations.md) that name a base. */
const baseName = "org.opencontainers.image.base.name";
const baseDigest = "org.opencontainers.image.base.digest";

/** The annotations that are about the base. */
export const baseKeys: readonly string[] = [baseName, baseDigest];

/** What annotations, and labels of the same names, say of a base. */
export function nameBase(name: string, digest: Digest): Record<string, string> {
  return { [baseName]: name, [baseDigest]: digest };
}

/** With the base in the place of the old one, where something is said of one. */
export function replaceNamed(
  said: Readonly<Record<string, string>>,
  base: Readonly<Record<string, string>>,
): Record<string, string> {
  return { ...said, ...Object.fromEntries(Object.entries(base).filter(([key]) => Object.hasOwn(said, key))) };
}

function planLabels(
  labels: Readonly<Record<string, string>>,
  base: Readonly<Record<string, string>>,
  next: RunImage,
): Record<string, string> {
  return replaceNamed(planBuildpacksLabels(labels, next), base);
}

/**
 * The image with the new base's layers in the place of the old one's. As `crane rebase` does it: what a container starts
 * with (environment, user, entry point, labels) stays the application's, operating system and architecture are the
 * new base's, and so are the first part of layers and history. Unlike it, nothing else of the config is lost, times
 * stay as they are, and so the same again is the same digest.
 *
 * Whether that may be is for `judgeRebase` to say, first.
 */
export function planRebase({ image, oldBase, newBase, newName, newDigest }: RebaseParts): RebasePlan {
  const count = oldBase.config.rootfs.diff_ids.length;
  const { variant: _variant, "os.version": _version, "os.features": _features, ...kept } = image.config;
  const system = Object.fromEntries(
    ["variant", "os.version", "os.features"].flatMap((key) =>
      newBase.config[key] === undefined ? [] : [[key, newBase.config[key]]],
    ),
  );
  const base = nameBase(newName, newDigest);
  const labels = planLabels(image.config.config?.Labels ?? {}, base, {
    name: newName,
    topLayer: newBase.config.rootfs.diff_ids.at(-1),
    labels: newBase.config.config?.Labels ?? {},
  });
  const config: ImageConfig = {
    ...kept,
    ...system,
    os: newBase.config.os,
    architecture: newBase.config.architecture,
    ...(image.config.config?.Labels == null ? {} : { config: { ...image.config.config, Labels: labels } }),
    rootfs: {
      ...image.config.rootfs,
      diff_ids: [...newBase.config.rootfs.diff_ids, ...image.config.rootfs.diff_ids.slice(count)],
    },
    history: joinHistory(image, oldBase, newBase),
  };
  const isDocker = image.manifest.mediaType === mediaTypes.dockerManifest;
  // What the old image was about (a referrer's subject), the new one is not.
  const { config: _config, subject: _subject, annotations = {}, ...manifest } = image.manifest;
  const layers = [
    ...newBase.manifest.layers.map((layer) => ({ ...layer, mediaType: translateType(layer, isDocker) })),
    ...image.manifest.layers.slice(count),
  ];
  // Docker's own manifest has no annotations.
  return {
    config,
    manifest: { ...manifest, layers, ...(isDocker ? {} : { annotations: { ...annotations, ...base } }) },
  };
}

/**
 * What the two families of media types call the same bytes: a manifest has layers of its own family only, as some
 * runtimes ask for.
 */
function translateType({ mediaType }: Descriptor, isDocker: boolean): string {
  if (!isDocker) return ociLayerType(mediaType);
  const found = findLayerType(mediaType);
  if (found === undefined || found.isForeign) return mediaType;
  return `application/vnd.docker.image.rootfs.diff.tar${found.compression === "none" ? "" : `.${found.compression}`}`;
}

/**
 * Entries tell of layers by their order alone, so that one too few would make all others tell of the wrong layer: where
 * one of the three does not have as many as layers, none is kept.
 */
function joinHistory(image: RebasePart, oldBase: RebasePart, newBase: RebasePart): ImageConfig["history"] {
  const tell = ({ config }: RebasePart) => config.history ?? [];
  const isWhole = [image, oldBase, newBase].every(
    (part) => tell(part).filter((entry) => entry.empty_layer !== true).length === part.config.rootfs.diff_ids.length,
  );
  return isWhole ? [...tell(newBase), ...tell(image).slice(tell(oldBase).length)] : [];
}
