import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type Digest, parseDigest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { TagFacts } from "./facts.ts";

/**
 * The image that tags are to leave, `sha256:DIGEST` or `HOST/NAME@sha256:DIGEST`. Of the latter the digest alone counts:
 * the tags are those of the destination, wherever the image was read.
 * @throws UserError `digest-invalid`, `reference-invalid`
 */
export function parseReplaced(text: string): Digest {
  const digest = text.includes("@") ? parseReference(text, "input 'replaces':").digest : undefined;
  return digest ?? parseDigest(text, "input 'replaces':");
}

/**
 * What was made of one image takes the place of that one alone. A promotion may have waited for its reviewers for days: a
 * tag that somebody has meanwhile put on another image, to go back in an incident, is not to be taken from that, however
 * much later this image was built. A tag that is at the promoted image already was set by a run before.
 * @throws InfrastructureError `tag-moved`: it says nothing about the image
 */
export function assertReplaced(tags: readonly TagFacts[], digest: Digest, replaces: Digest, to: Repository): void {
  const elsewhere = tags.filter(({ current }) => current !== replaces && current !== digest);
  if (elsewhere.length === 0) return;
  const places = elsewhere.map(
    ({ tag, current }) => `${formatReference({ ...to, tag })} is at ${current ?? "nothing"}`,
  );
  throw new InfrastructureError(
    `${places.join(", and ")}, and this image was to replace ${replaces}: nothing was written`,
    {
      code: "tag-moved",
      wayOut:
        "Leave the tag where somebody has put it, and plan anew: what is there now is looked at. To move it all the same, promote this image by hand, without 'replaces'.",
    },
  );
}
