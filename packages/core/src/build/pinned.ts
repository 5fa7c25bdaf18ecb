import { UserError } from "@goldenpath/foundation/errors";
import { type PinnedReference, parseReference } from "@goldenpath/registry-client/oci/reference";

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
