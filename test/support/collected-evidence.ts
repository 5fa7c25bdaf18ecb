import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type EvidenceRegistry, startEvidenceRegistry } from "@goldenpath/testing/evidence-registry";
import { makeKey, makeStageKeys, policyWith, type StageKey, type StageName } from "@goldenpath/testing/signers";
import { afterEach, beforeAll } from "vitest";

export let registry: EvidenceRegistry;
export let keys: Record<StageName, StageKey>;
export let stranger: StageKey;
export let policy: LoadedPolicy;

export const now = new Date("2026-05-01T12:00:00.123Z");

export async function start(referrers: boolean): Promise<void> {
  registry = await startEvidenceRegistry(referrers);
  policy = policyWith(keys, registry.server.host);
}

export const collect = (repository: Repository, digest: Digest) =>
  collectEvidence(registry.client, repository, digest, policy.policy.signers, { now: new Date() });

/** Registers the hooks that open and close what the tests share. */
export function useCollected(): void {
  beforeAll(async () => {
    keys = await makeStageKeys();
    stranger = await makeKey();
  });
  afterEach(() => {
    registry.server.faults = [];
  });
}
