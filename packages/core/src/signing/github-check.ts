import { X509Certificate } from "node:crypto";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { CertifiedStatement, openCertified } from "./certified-bundle.ts";
import type { EvidencePiece, HandCheck } from "./schemes/scheme.ts";
import { readTrust, type SigstoreInstance } from "./sigstore-instance.ts";

/** The server that `gh attestation verify` needs nobody for: of Enterprise Server it refuses all, of tenants it asks. */
const server = "https://github.com/";

/**
 * How GitHub's own tool checks a bundle of a run on github.com, beside cosign: the same file, by the repository that it
 * ran for and the workflow's commit as well, without a network and without a login. None where gh would ask for more
 * than the bundle has, or knows no authority of the trusted root: https://github.com/cli/cli, `pkg/cmd/attestation`.
 */
export function githubCheck(
  instance: SigstoreInstance,
  { signer, file, image, subject, predicateType }: EvidencePiece,
  { identity, bundle, certificate }: ReturnType<typeof openCertified>,
): Pick<HandCheck, "argv" | "files"> | undefined {
  if ("problem" in identity || !identity.sourceRepository.startsWith(server)) return undefined;
  if (!isProven(instance, bundle, organizationOf(certificate))) return undefined;
  const [algorithm = ""] = subject.split(":");
  // gh reads a root a line.
  const root = `trust/${signer}.trusted-root.jsonl`;
  const argv: HandCheck["argv"] = [
    ...(["gh", "attestation", "verify", image, "--digest-alg", algorithm, "--bundle", file] as const),
    ...["--custom-trusted-root", root, "--predicate-type", predicateType],
    ...["--repo", identity.sourceRepository.slice(server.length), "--cert-oidc-issuer", identity.issuer],
    ...["--cert-identity", identity.buildSignerUri, "--signer-digest", identity.buildSignerDigest],
    ...["--source-ref", identity.sourceRef, "--source-digest", identity.sourceDigest],
    ...(identity.runnerEnvironment === "github-hosted" ? ["--deny-self-hosted-runners"] : []),
  ];
  return { argv, files: { [root]: JSON.stringify(parseJson(instance.trustedRoot)) } };
}

/** By the name of who gave the certificate gh decides what else there has to be. */
function isProven(
  instance: SigstoreInstance,
  { verificationMaterial: { tlogEntries, timestampVerificationData } }: CertifiedStatement["bundle"],
  organization: string | undefined,
): boolean {
  const { certificateAuthorities, tlogs } = readTrust(instance);
  const isKnown = certificateAuthorities.some(({ certChain: [lowest] }) => {
    const der = lowest?.root.toDER();
    return der !== undefined && organizationOf(der) === organization;
  });
  if (organization === undefined || !isKnown) return false;
  if (organization === "GitHub, Inc.") return (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > 0;
  return tlogEntries.length > 0 || (tlogs.length === 0 && organization !== "sigstore.dev");
}

/** The one that a certificate's issuer is called by: gh tells by it which root is meant. */
function organizationOf(der: Uint8Array): string | undefined {
  const named = new X509Certificate(der).issuer.split("\n").filter((line) => line.startsWith("O="));
  return named.length === 1 ? named[0]?.slice(2) : undefined;
}
