// A publisher's checksums, and the Sigstore bundle that says whose they are.
import type { ToolPublisher } from "@goldenpath/core/tools/lock";
import { UserError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { type Bundle, bundleFromJSON, isBundleWithMessageSignature } from "@sigstore/bundle";
import { type TrustMaterial, toSignedEntity, Verifier } from "@sigstore/verify";

const wayOut =
  "Look at the publisher's release and at how it is signed now; the row's 'publisher' says what was expected.";

/**
 * Lines of `SHA-256  FILE` → SHA-256 by file.
 * @throws UserError `checksums-invalid`
 */
export function parseChecksums(text: string, where: string): Map<string, string> {
  const invalid = (why: string): UserError => new UserError(`${where}: ${why}`, { code: "checksums-invalid", wayOut });
  const byFile = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const { sha256, file } = /^(?<sha256>[0-9a-f]{64}) [ *](?<file>\S+)$/.exec(line)?.groups ?? {};
    if (sha256 === undefined || file === undefined)
      throw invalid(`this is no line of checksums: ${JSON.stringify(line.slice(0, 200))}`);
    if (byFile.has(file) && byFile.get(file) !== sha256) throw invalid(`it has two checksums of ${file}`);
    byFile.set(file, sha256);
  }
  if (byFile.size === 0) throw invalid("it is empty");
  return byFile;
}

/**
 * That `bytes` are signed by exactly this subject, by this issuer's word: the certificate chains to the trust root and
 * is in a certificate log, the signature is in a transparency log whose time is within the certificate's, and it holds
 * over these bytes.
 * @throws UserError `signature-invalid`, `signer-unexpected`
 */
export function verifySigned(
  bytes: Uint8Array,
  bundleText: string,
  { subject, issuer }: ToolPublisher["signer"],
  trust: TrustMaterial,
  where: string,
): void {
  const bundle = readBundle(bundleText, where);
  let identity: ReturnType<Verifier["verify"]>["identity"];
  try {
    identity = new Verifier(trust).verify(toSignedEntity(bundle, Buffer.from(bytes))).identity;
  } catch (error) {
    throw invalid(where, error instanceof Error ? error.message : String(error), error);
  }
  // Compared whole: the library takes a policy's subject for a pattern that is found anywhere.
  const signedBy = { subject: identity?.subjectAlternativeName, issuer: identity?.extensions?.issuer };
  if (signedBy.subject === subject && signedBy.issuer === issuer) return;
  const told = `${signedBy.subject ?? "nobody"} by the word of ${signedBy.issuer ?? "nobody"}`;
  throw new UserError(`${where} is signed by ${told}, expected ${subject} by the word of ${issuer}`, {
    code: "signer-unexpected",
    wayOut,
  });
}

function readBundle(text: string, where: string): Bundle {
  let bundle: Bundle;
  try {
    bundle = bundleFromJSON(parseJson(text));
  } catch (error) {
    throw invalid(where, "it is not a Sigstore bundle", error);
  }
  if (!isBundleWithMessageSignature(bundle))
    throw invalid(where, "it is not a signature over the checksums, but of a statement");
  return bundle;
}

function invalid(where: string, why: string, cause?: unknown): UserError {
  return new UserError(`the signature of ${where} does not hold: ${why}`, { code: "signature-invalid", wayOut, cause });
}
