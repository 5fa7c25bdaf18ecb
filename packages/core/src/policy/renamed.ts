import { UserError } from "@goldenpath/foundation/errors";
import { isSameMaterial, type SignerMaterial } from "../signing/material.ts";
import { materialOf } from "../signing/schemes/find.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import type { LoadedPolicy, Policy } from "./schema.ts";
import { listWithdrawn } from "./withdrawals.ts";

/**
 * A signer is withdrawn by its name in the policy. What it signs with must not count again in the next policy because it
 * goes by another name there.
 * @throws UserError `policy-renames-withdrawn`
 */
export function refuseRenamed(pointer: PolicyPointer, current: Policy, { policy, uri }: LoadedPolicy): void {
  for (const { thing } of listWithdrawn(pointer)) {
    if (thing.kind !== "signer" || !Object.hasOwn(current.signers, thing.name)) continue;
    const withdrawn = readMaterial(current, thing.name);
    for (const [name, signer] of Object.entries(policy.signers)) {
      if (name === thing.name || !isAlike(readMaterial(policy, name), withdrawn)) continue;
      // Two workflows may be alike and two signers all the same, where they were so when the one was withdrawn.
      if (Object.hasOwn(current.signers, name) && isAlike(readMaterial(current, name), withdrawn)) continue;
      if (signer.until !== undefined && signer.until <= thing.from) continue;
      const from = thing.from.toISOString();
      throw new UserError(
        `signer '${name}' of policy ${uri} is the one that was withdrawn as '${thing.name}' from ${from} on`,
        {
          code: "policy-renames-withdrawn",
          wayOut: `Keep the name, or give '${name}' \`until: "${from}"\`. If its word is to count again, lift that first: goldenpath withdraw --undo.`,
        },
      );
    }
  }
}

function readMaterial({ signers }: Policy, name: string): SignerMaterial {
  const signer = signers[name];
  if (signer === undefined) throw new TypeError(`no signer '${name}'`);
  return materialOf(signer, `the public key of signer '${name}' in the policy`);
}

/** Whoever could sign as the one could sign as the other, by the narrowest of what a policy says of them. */
function isAlike(a: SignerMaterial, b: SignerMaterial): boolean {
  if (a.kind === "workflow" && b.kind === "workflow") {
    const [one, other] = [a.rule.environment, b.rule.environment];
    const mayBeOne = one === undefined || other === undefined || one === other;
    return a.rule.issuer === b.rule.issuer && a.rule.workflow === b.rule.workflow && mayBeOne;
  }
  // A trust store is by its name in the policy as well, which says nothing.
  if (a.kind === "certificate" && b.kind === "certificate") return a.identity === b.identity;
  return isSameMaterial(a, b);
}
