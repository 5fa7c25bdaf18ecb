/** The predicates by which stages speak: the field's own, and one of ours where there is none. */
export const predicateTypes = {
  provenance: "https://slsa.dev/provenance/v1",
  cyclonedx: "https://cyclonedx.org/bom",
  vulnerabilities: "https://cosign.sigstore.dev/attestation/vuln/v1",
  verificationSummary: "https://slsa.dev/verification_summary/v1",
  import: "https://github.com/goldenpath-ci/goldenpath/predicates/import/v1",
  base: "https://github.com/goldenpath-ci/goldenpath/predicates/base/v1",
  exception: "https://github.com/goldenpath-ci/goldenpath/predicates/exception/v1",
  baseApproval: "https://github.com/goldenpath-ci/goldenpath/predicates/base-approval/v1",
  buildCache: "https://github.com/goldenpath-ci/goldenpath/predicates/build-cache/v1",
  policyInForce: "https://github.com/goldenpath-ci/goldenpath/predicates/policy-in-force/v1",
  vulnerabilityData: "https://github.com/goldenpath-ci/goldenpath/predicates/vulnerability-data/v1",
} as const;

export const statementType = "https://in-toto.io/Statement/v1";
export const intotoPayloadType = "application/vnd.in-toto+json";

/**
 * Why a statement's signature counts for nothing; the gate looks for it among the rejected, to tell "signed by somebody
 * else" from "not there".
 */
export const unknownKeyReason =
  "it is signed with a key that is not in this policy, or was changed after it was signed";

/** The predicate type that a referrer says its statement has; unsigned. Who lists referrers reads what has none. */
export const predicateAnnotation = "dev.sigstore.bundle.predicateType";
/** When a referrer was made, as it says. */
export const createdAnnotation = "org.opencontainers.image.created";
