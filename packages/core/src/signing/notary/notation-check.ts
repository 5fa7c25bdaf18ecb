import { stringifyJson } from "@goldenpath/foundation/text/json";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { EvidencePiece, HandCheck } from "../schemes/scheme.ts";
import { metadata } from "./metadata.ts";
import { parseIdentity } from "./names.ts";
import { renderTrust } from "./render-trust.ts";
import type { TrustStore } from "./trust-store.ts";

/**
 * notation's check of one signature in an OCI layout of the image's manifest and the signature's, with a trust policy
 * for this one signer; and before it that the statement's file is the one that is signed, which notation doesn't see.
 * notation verifies layouts as an experiment, which its environment has to allow.
 */
export function notationCheck(
  { identity, trustStore, store }: { identity: string; trustStore: string; store?: TrustStore },
  { signer, file, bytes, subject, parts = [] }: EvidencePiece,
): HandCheck {
  const parsed = parseIdentity(identity);
  if (store === undefined || "problem" in parsed) throw new TypeError("evidence that nobody has verified");
  const base = file.replace(/\.json$/, "");
  const home = `trust/${signer}.notation`;
  const layout = `${base}.layout`;
  const digest = digestOf(bytes);
  const trust = renderTrust({
    ...{ name: signer, scopes: ["*"], store: trustStore, trusted: store },
    identities: [parsed.name],
  });
  const manifests = parts
    .slice(0, 2)
    .map((part) => ({ mediaType: part.mediaType, digest: digestOf(part.bytes), size: part.bytes.byteLength }));
  return {
    first: ["sha256sum", "--check", "--quiet", `${base}.sha256`],
    argv: [
      ...(["env", `HOME=${home}`, "NOTATION_EXPERIMENTAL=1", "notation", "verify"] as const),
      ...["--oci-layout", "--scope", "local/evidence"],
      ...["--user-metadata", `${metadata.statement}=${digest}`, `${layout}@${subject}`],
    ],
    files: {
      [`${base}.sha256`]: `${digestHex(digest)}  ${file}`,
      [`${layout}/oci-layout`]: stringifyJson({ imageLayoutVersion: "1.0.0" }),
      [`${layout}/index.json`]: stringifyJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
      ...Object.fromEntries(
        parts.map((part) => [`${layout}/blobs/sha256/${digestHex(digestOf(part.bytes))}`, part.bytes]),
      ),
      ...Object.fromEntries([...trust].map(([name, content]) => [`${home}/.config/notation/${name}`, content])),
    },
  };
}
