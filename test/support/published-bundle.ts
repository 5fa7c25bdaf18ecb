import { parsePolicy } from "@goldenpath/core/policy/parse";
import { withBundles } from "@goldenpath/core/signing/bundles-beside";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { readClaim } from "@goldenpath/core/signing/sigstore";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";

/** The one signer of a policy, as YAML has its values. */
export interface WorkflowSigner {
  workflow: string;
  /** A full commit. */
  at: string;
  ownerId: string;
  /** A pattern. */
  repositories: string;
  /** A pattern; absent: any. */
  refs?: string;
}

/** The policy of one workflow's signer, whose Sigstore is this one in YAML: `trustedRoot: '…'`, `embedded: github`. */
export function renderWorkflowPolicy(sigstore: string, signer: WorkflowSigner): string {
  const { workflow, at, ownerId, repositories, refs } = signer;
  return `version: 1
name: acme
serial: 7
sigstore:
  own: { ${sigstore} }
signers:
  base:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${at}"]
    ownerId: "${ownerId}"
    repositories: ["${repositories}"]
${refs === undefined ? "" : `    refs: ["${refs}"]\n`}`;
}

/**
 * What a bundle that others published counts for. What it is about is no image, so a client that knows nothing else
 * stands in for the registry; nothing else does.
 */
export async function collectPublished(bundle: string, sigstore: string, signer: WorkflowSigner) {
  const bytes = Buffer.from(bundle);
  const { predicateType, subject: subjects } = readClaim(bytes);
  const subject = `sha256:${subjects[0]?.digest["sha256"]}` as Digest;
  const nothing = {
    listReferrers: async () => [],
    fetchManifest: async () => ({ kind: "image", mediaType: "x/y", bytes: new Uint8Array(1), manifest: {} }),
  };
  const source = async (asked: Digest) => (asked === subject ? [{ bytes, predicateType }] : []);
  const client = withBundles(nothing as unknown as RegistryClient, source, new Date());
  const repository = { registry: "registry.test", name: "shop" };
  const { signers } = parsePolicy(Buffer.from(renderWorkflowPolicy(sigstore, signer)), "policy.yaml");
  return { subject, evidence: await collectEvidence(client, repository, subject, signers, { now: new Date() }) };
}
