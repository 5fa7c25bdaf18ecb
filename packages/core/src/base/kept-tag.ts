import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";

/** Digits of a digest that tags have: enough to tell the images of one repository apart. */
const digits = 12;
export const shortHex = (digest: Digest): string => digestHex(digest).slice(0, digits);

/** A tag has no more characters. */
const maxTag = 128;

/** The tag of its own under which an image stays that a tag leaves: no registry lists one without, nor keeps it for long. */
export function keptTag(tag: string, digest: Digest): string {
  return `${tag.slice(0, maxTag - digits - 1)}-${shortHex(digest)}`;
}

/** Whether a tag is one under which an image stays, and no other is to have it. */
export function isKeptTag(tag: string, digest: Digest): boolean {
  return tag.endsWith(`-${shortHex(digest)}`);
}
