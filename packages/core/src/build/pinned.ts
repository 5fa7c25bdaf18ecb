import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { parseReference, type Reference } from "@goldenpath/registry-client/oci/reference";

export type PinnedReference = Reference & { digest: Digest };

/**
 * An image that a policy names → what to ask a registry for: a tag beside the digest is for people.
 * @throws UserError `policy-invalid`
 */
export function parsePinned(text: string, what: string): PinnedReference {
  const { registry, name, digest } = parseReference(text, what);
  if (digest === undefined)
    throw new UserError(`${what} '${text}' is not pinned by a digest`, { code: "policy-invalid" });
  return { registry, name, digest };
}
