import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import type { Signer } from "@goldenpath/core/signing/types";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import { attachEvidence, pushImage } from "@goldenpath/testing/chain";
import type { TestKeys } from "@goldenpath/testing/chain-keys";
import { type EvidenceRegistry, startEvidenceRegistry } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll } from "vitest";
import { type ConstructedSigstore, constructSigstore, type SignatureFalsehood } from "./constructed-sigstore.ts";
import { askGate, loadText } from "./gate-answers.ts";

export const commit = "c".repeat(40);
export const workflow = "https://github.com/acme/platform/.github/workflows/stage-base.yml";
export const honest: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: `${workflow}@refs/tags/v1.2.0`,
  buildSignerDigest: commit,
  runnerEnvironment: "github-hosted",
  sourceRepository: "https://github.com/acme/shop",
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "0123456789abcdef0123456789abcdef01234567",
  buildConfigUri: "https://github.com/acme/shop/.github/workflows/golden-path.yml@refs/heads/main",
  buildTrigger: "push",
  environment: "production",
};

let registry: EvidenceRegistry;
let sigstore: ConstructedSigstore;
export let policy: LoadedPolicy;
let counter = 0;
/** A registry, a Sigstore, and a policy whose base stage signs as a workflow: for one test file. */
export function useKeylessWorld(): void {
  beforeAll(async () => {
    registry = await startEvidenceRegistry(true);
    sigstore = await constructSigstore();
    policy = readPolicy();
  });
  afterAll(() => registry.close());
}

const renderPolicy = (change: (text: string) => string = (text) => text): string =>
  change(`version: 1
name: acme
serial: 7
sigstore:
  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }
signers:
  base:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${commit}", refs/tags/v9.0.0]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
    refs: [refs/heads/main, "refs/tags/*"]
    environment: production
environments:
  production:
    from: ["${registry.server.host}/quarantine"]
    to: ["${registry.server.host}/vetted"]
    promoter: base
    requires: [{ stage: base, signers: [base], maxAge: 1h }]
`);

export function readPolicy(change?: (text: string) => string): LoadedPolicy {
  return loadText(renderPolicy(change));
}

/** Who signs as a run of a workflow. */
export const signAs = (identity: WorkflowIdentity): Signer => sigstore.signer(identity);

/** What the gate says of an image whose base stage was signed so; `age`: how long ago it says that it judged. */
export async function judge(falsehood: SignatureFalsehood, under = policy, identity = honest, age = 60_000) {
  const signer = sigstore.signer(identity, falsehood);
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/quarantine/shop`, `image ${++counter}`);
  const keys = { base: { signer } } as unknown as TestKeys;
  const falsehoods = { baseVerdict: { age } };
  await attachEvidence({ client, image, policy: under, keys, pieces: ["base", "baseVerdict"], falsehoods });
  return askGate(client, image.reference, under);
}
