import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";

const prefix = "oci-layout:";

/** Where an OCI layout lies, and which image has to be in it. */
export interface LayoutSubject {
  path: string;
  digest?: Digest;
}

/**
 * `oci-layout:PATH` or `oci-layout:PATH@DIGEST`; undefined for what names an image in a registry.
 * @throws UserError `reference-invalid`
 */
export function parseLayoutSubject(text: string, what: string): LayoutSubject | undefined {
  if (!text.startsWith(prefix)) return undefined;
  const [, path = "", digest] = /^(.*?)(?:@(sha(?:256|512):.*))?$/s.exec(text.slice(prefix.length)) ?? [];
  if (path === "" || (digest !== undefined && !isDigest(digest))) {
    throw new UserError(`${what} is '${text}': expected oci-layout:PATH, or oci-layout:PATH@sha256:DIGEST`, {
      code: "reference-invalid",
      wayOut: "Name the folder or tar archive of an OCI layout, such as the output 'layout' of the build.",
    });
  }
  return digest === undefined ? { path } : { path, digest };
}
