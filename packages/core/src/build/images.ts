import { UserError } from "@goldenpath/foundation/errors";
import { formatPlatform, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";

/** The platform of what this process builds: the launcher and the buildpacks' programs are this machine's. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: "linux", architecture: { x64: "amd64", ia32: "386" }[arch] ?? arch };
}

/**
 * The image of a pinned image or index that is for `platform`. For a single image its config says what it is for.
 * @throws UserError `platform-missing`
 */
export function selectPlatform(image: ImageFacts, platform: Platform, what: string): ChildFacts {
  const child = image.children.find(
    (each) => each.platform.os === platform.os && each.platform.architecture === platform.architecture,
  );
  if (child !== undefined) return child;
  const there = image.children.map((each) => formatPlatform(each.platform)).join(", ");
  throw new UserError(
    `${what} ${formatReference(image.reference)} is not there for ${formatPlatform(platform)}: it is for ${there}`,
    {
      code: "platform-missing",
      wayOut: "Build on a machine of that platform, or have the policy approve an image for this one.",
    },
  );
}
