import type { TrustMaterial } from "@sigstore/verify";
import { type CertifiedStatement, verifyCertified } from "./certified-bundle.ts";
import type { SignedPayload, TrustedSigner } from "./schemes/scheme.ts";
import { readTrust, type SigstoreInstance } from "./sigstore-instance.ts";
import { judgeWorkflow, type WorkflowRule } from "./workflow-identity.ts";

interface Trusted {
  name: string;
  rule: WorkflowRule;
}
export interface TrustedInstance {
  instance: SigstoreInstance;
  material: TrustMaterial;
  signers: Trusted[];
}

export type CertifiedAnswer = Pick<SignedPayload, "signers" | "time" | "identity" | "reason">;

/** Signers by whose certificates count for them. */
export function groupByInstance(signers: readonly TrustedSigner[]): TrustedInstance[] {
  const groups = new Map<SigstoreInstance, TrustedInstance>();
  for (const { name, material } of signers) {
    // Without an instance nobody's certificate is trusted.
    if (material.kind !== "workflow" || material.instance === undefined) continue;
    const { instance, rule } = material;
    const group = groups.get(instance) ?? { instance, material: readTrust(instance), signers: [] };
    group.signers.push({ name, rule });
    groups.set(instance, group);
  }
  return [...groups.values()];
}

/** Who of the policy signed it. Each instance has signers of its own: that one of them vouches makes nobody another one's signer. */
export function findSigners(opened: CertifiedStatement, instances: readonly TrustedInstance[]): CertifiedAnswer {
  const { bundle, identity } = opened;
  if ("problem" in identity) return { signers: [], reason: `its certificate counts for nothing: ${identity.problem}` };
  const reasons: string[] = [];
  const found: { names: string[]; time: Date }[] = [];
  for (const { instance, material, signers } of instances) {
    const verified = verifyCertified(bundle, material, instance);
    if ("reason" in verified) {
      reasons.push(`its certificate or its proof does not hold: ${verified.reason}`);
      continue;
    }
    const judged = signers.map(({ name, rule }) => ({ name, objections: judgeWorkflow(rule, identity) }));
    const names = judged.filter(({ objections }) => objections.length === 0).map(({ name }) => name);
    if (names.length > 0) found.push({ names, time: verified.time });
    const [nearest] = judged.toSorted((a, b) => a.objections.length - b.objections.length);
    if (names.length === 0 && nearest !== undefined)
      reasons.unshift(`it is not by '${nearest.name}': ${nearest.objections.join("; ")}`);
  }
  const [first] = found;
  if (first === undefined) return { signers: [], reason: reasons[0] ?? "the policy trusts nobody's certificates" };
  // Each instance has held the bundle to all of its times, so all of them say the same.
  return { signers: found.flatMap(({ names }) => names), time: first.time, identity };
}
