import { digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";

/** As the result files are named: `scan-0123456789ab`. */
export function fileStem(image: ImageFacts): string {
  return `scan-${digestHex(image.reference.digest).slice(0, 12)}`;
}

/** An index may have several children for one platform (Windows' versions): the digest keeps their files apart. */
export function platformSlug(child: ChildFacts): string {
  return `${formatPlatform(child.platform).replaceAll(/[^A-Za-z0-9.]+/g, "-")}-${digestHex(child.digest).slice(0, 12)}`;
}
