import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { isKnownError } from "@goldenpath/foundation/errors";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";

const contentErrors: readonly ErrorCode[] = [
  "image-not-found",
  "blob-not-found",
  "manifest-invalid",
  "digest-mismatch",
  "too-large",
];

/**
 * Errors that say what the referrer is, and would say it again at every try: it is listed and gone, malformed, or not
 * what its digest or size says. Whoever may write to quarantine can leave one, and must not thereby keep an image from
 * vetted for good. The others say that nothing is known.
 */
export function isAboutContent(error: unknown): boolean {
  return isKnownError(error) && contentErrors.includes(error.code);
}

/**
 * A blob that one of several may hold; undefined where what says so is broken. Whoever may write to quarantine can name
 * an honest blob in a false size, and must not thereby make what another names right disappear.
 * @throws what `read` throws of what is not known
 */
export async function readIntact(
  read: (blob: Descriptor) => Promise<Uint8Array>,
  blob: Descriptor,
): Promise<Uint8Array | undefined> {
  try {
    return await read(blob);
  } catch (error) {
    if (isAboutContent(error)) return undefined;
    throw error;
  }
}
