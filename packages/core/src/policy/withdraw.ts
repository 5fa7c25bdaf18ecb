import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { KeySigner } from "../signing/schemes/key/sign.ts";
import { fetchPolicyArtifact } from "./artifact.ts";
import { parsePolicy } from "./parse.ts";
import { fetchPointer } from "./pointer-artifact.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import { planWithdrawal, type WithdrawalRequest } from "./withdrawals.ts";
import { writePointer } from "./write-pointer.ts";

/**
 * Withdraws something, or lifts that, in the pointer to the policy in force: the platform's signer signs it, and no
 * promotion can do without reading it.
 * @returns the pointer as it is now, or would be, and whether that is new
 * @throws UserError `withdrawal-unknown`, `withdrawals-full`, `arguments-invalid`; PolicyViolation
 *   `policy.pointer-missing`, `policy.pointer-invalid`; InfrastructureError `tag-moved`; the client's others
 */
export async function withdraw(
  client: RegistryClient,
  repository: Repository,
  request: WithdrawalRequest & { signer: KeySigner; isDryRun?: boolean },
): Promise<{ pointer: PolicyPointer; isNew: boolean }> {
  const { thing, signer } = request;
  const { pointer, manifest } = await fetchPointer(client, repository, [signer.material.key]);
  if (thing.kind === "signer" && !request.isUndo) {
    const pinned = { ...repository, digest: pointer.artifact };
    const { signers } = parsePolicy(await fetchPolicyArtifact(client, pinned), `oci://${formatReference(pinned)}`);
    if (!Object.hasOwn(signers, thing.name)) {
      throw new UserError(
        `'${thing.name}' is no signer of the policy in force (there is: ${Object.keys(signers).join(", ")})`,
        { code: "withdrawal-unknown", wayOut: "Name a signer as the policy does." },
      );
    }
  }
  const withdrawals = planWithdrawal(pointer.withdrawals ?? [], request);
  if (withdrawals === undefined) return { pointer, isNew: false };
  const next: PolicyPointer = { ...pointer, withdrawals };
  if (request.isDryRun !== true) await writePointer(client, repository, next, signer, manifest);
  return { pointer: next, isNew: true };
}
