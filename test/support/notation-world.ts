import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachEvidence, pushImage } from "@goldenpath/testing/chain";
import type { TestKeys } from "@goldenpath/testing/chain-keys";
import { type EvidenceRegistry, startEvidenceRegistry } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll } from "vitest";
import {
  type ConstructedNotary,
  constructNotary,
  honestSubject,
  type SignatureFalsehood,
} from "./constructed-notary.ts";
import { askGate, loadText } from "./gate-answers.ts";

export let registry: EvidenceRegistry;
let notary: ConstructedNotary;
export let policy: LoadedPolicy;
/** The same, without timestamps. */
export let untimed: LoadedPolicy;
let counter = 0;

/** A registry, authorities, and a policy whose base stage signs by the Notary Project: for one test file. */
export function useNotationWorld(): void {
  beforeAll(async () => {
    registry = await startEvidenceRegistry(true);
    notary = await constructNotary();
    policy = readPolicy();
    untimed = readPolicy((text) => text.replace(/ {4}timestamp:\n[\s\S]*?(?=signers:)/, ""));
  });
  afterAll(() => registry?.close());
}

const indent = (pem: string, width: number): string => pem.trim().replaceAll(/^/gm, " ".repeat(width));

const renderPolicy = (change: (text: string) => string = (text) => text): string =>
  change(`version: 1
name: acme
serial: 7
trustStores:
  acme:
    certificates: |
${indent(notary.root, 6)}
    timestamp:
      certificates: |
${indent(notary.timestampRoots, 8)}
signers:
  base:
    kind: notation
    trustStore: acme
    identity: "x509.subject: ${honestSubject}"
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

export const signerOf = (falsehood: SignatureFalsehood) => notary.signer(falsehood);

/**
 * What the gate says, `after` so many milliseconds, of an image whose base stage was signed so; `failed`: how a failure
 * was signed after that.
 */
export async function judge(falsehood: SignatureFalsehood, under = policy, after = 0, failed?: SignatureFalsehood) {
  const signer = signerOf(falsehood);
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/quarantine/shop`, `image ${++counter}`);
  const keys = { base: { signer } } as unknown as TestKeys;
  const given = { client, image, policy: under };
  await attachEvidence({ ...given, keys, pieces: ["base", "baseVerdict"] });
  if (failed !== undefined) {
    const later = { base: { signer: signerOf(failed) } } as unknown as TestKeys;
    await attachEvidence({
      ...given,
      keys: later,
      pieces: ["baseVerdict"],
      falsehoods: { baseVerdict: { failed: true } },
    });
  }
  const now = new Date(Date.now() + after);
  return askGate(client, image.reference, under, now);
}
