import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import {
  type Descriptor,
  formatPlatform,
  isRunnable,
  type Manifest,
  mediaTypes,
  type Platform,
} from "@goldenpath/registry-client/oci/manifest";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { isSamePlatform } from "../../base/identify.ts";

/** What one job built, as that job's output says. */
export interface PlatformBuild {
  /** `linux/arm64`, as it was asked for. */
  platform: string;
  digest: Digest;
}

/**
 * The values of the input `platforms`, one a line or with commas between them, as docker/build-push-action has them.
 * @throws UserError `input-invalid`
 */
export function parsePlatforms(lines: readonly string[]): string[] {
  const platforms = lines
    .flatMap((line) => line.split(","))
    .map((each) => each.trim())
    .filter((each) => each !== "");
  for (const platform of platforms) {
    if (!/^linux\/[a-z0-9]+(?:\/[a-z0-9]+)?$/.test(platform))
      throw bad(`input 'platforms': '${platform}' is not linux/ARCHITECTURE, such as linux/amd64 or linux/arm64`);
  }
  platforms.forEach((platform, index) => {
    const other = platforms.slice(0, index).find((each) => isSamePlatform(readPlatform(each), readPlatform(platform)));
    if (other === undefined) return;
    throw bad(`input 'platforms' has ${other} ${other === platform ? "twice" : `and ${platform}, which are one`}`);
  });
  return platforms;
}

function readPlatform(text: string): Platform {
  const [os = "", architecture = "", variant] = text.split("/");
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/**
 * What is merged: one digest of each platform that was asked for, in that order, and nothing else.
 * @param digests by platform; the empty text is what the output of a job that built nothing comes to
 * @throws UserError `input-invalid`
 */
export function planMerge(platforms: readonly string[], digests: Readonly<Record<string, string>>): PlatformBuild[] {
  if (platforms.length === 0)
    throw bad("input 'digests' is given, and input 'platforms' does not say which are wanted");
  const stray = Object.keys(digests).find((platform) => digests[platform] !== "" && !platforms.includes(platform));
  if (stray !== undefined)
    throw bad(`input 'digests' names ${stray}, and input 'platforms' asks for ${platforms.join(", ")} alone`);
  const builds = platforms.map((platform): PlatformBuild => {
    const digest = digests[platform] ?? "";
    if (digest === "") {
      throw new UserError(`${platform} is asked for, and nobody built it: input 'digests' has none for it`, {
        code: "platform-missing",
        wayOut:
          "Ask for platforms that the workflow has a job for (its table says which), and see why that job failed.",
      });
    }
    if (!isDigest(digest)) throw bad(`input 'digests': '${digest}' of ${platform} is no digest`);
    return { platform, digest };
  });
  const [same] = builds.filter(({ digest }, index) => builds.findIndex((each) => each.digest === digest) !== index);
  if (same !== undefined) throw bad(`input 'digests' has ${same.digest} for ${same.platform} and for another platform`);
  return builds;
}

/**
 * The descriptors of one build for the index, byte for byte what is in the registry: of a single image its own, of an
 * index (BuildKit makes one around an image and its attestation) all that it has, unchanged.
 * @throws InfrastructureError `platform-differs` where what runs of it is not the one image of that platform
 */
export function takeChildren({ platform, digest }: PlatformBuild, root: Manifest, image: ImageFacts): Descriptor[] {
  const [child, ...others] = image.children;
  const where = `${digest}, which is said to be for ${platform},`;
  if (child === undefined || others.length > 0) throw differs(`${where} has ${image.children.length} images that run`);
  const own = platformOf(child.config);
  if (!isSame(platform, own)) throw differs(`${where} is for ${formatPlatform(own)} by its own config`);
  if (root.kind === "image")
    return [{ mediaType: root.mediaType, digest: root.digest, size: root.bytes.byteLength, platform: own }];
  return root.manifest.manifests.map((descriptor) => {
    if (isRunnable(descriptor) && descriptor.platform !== undefined && !isSame(platform, descriptor.platform))
      throw differs(`${where} is for ${formatPlatform(descriptor.platform)} by its index`);
    return isRunnable(descriptor) && descriptor.platform === undefined ? { ...descriptor, platform: own } : descriptor;
  });
}

/** The index of all of them: the same children in the same order give the same bytes. */
export function renderIndex(children: readonly (readonly Descriptor[])[]): Uint8Array {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: children.flat() };
  return new TextEncoder().encode(JSON.stringify(index));
}

function platformOf({ os, architecture, variant }: Platform): Platform {
  return { os, architecture, ...(variant === undefined || variant === "" ? {} : { variant }) };
}

/** `linux/arm64` is any variant of it; one that is named has to be that one, but for v8, which arm64 always is. */
function isSame(wanted: string, { os, architecture, variant }: Platform): boolean {
  const [wantedOs, wantedArchitecture, wantedVariant] = wanted.split("/");
  if (os !== wantedOs || architecture !== wantedArchitecture) return false;
  return wantedVariant === undefined || wantedVariant === (variant ?? (architecture === "arm64" ? "v8" : undefined));
}

const bad = (message: string): UserError => new UserError(message, { code: "input-invalid" });

function differs(why: string): InfrastructureError {
  return new InfrastructureError(`an index of the builds can't be made: ${why}`, {
    code: "platform-differs",
    safeToRetry: false,
    wayOut: "Build each platform on a runner of its own kind, and hand on that job's digest.",
  });
}
