import type { KeyObject } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { assertInForce, findPointerRepository } from "../policy/pointer.ts";
import { fetchPointer, parsePolicySigners } from "../policy/pointer-artifact.ts";
import type { PolicyPointer } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { refuseStageKey } from "../policy/stage-key.ts";
import { putInForce } from "../policy/withdrawals.ts";
import { materialOf } from "../signing/schemes/find.ts";

/** Says, for a destination, which policy is in force there; asked once for each place, however many images go there. */
export type PointerReader = (to: Repository) => Promise<PolicyPointer>;

/**
 * What reads the pointers of a run. `signers`: public keys of the platform's signer in PEM, as the wrapper gives them;
 * without, the policy's own `activators`. That the caller could give others helps nobody: the pointer is read from the
 * destination, and nobody but the platform's signer has written that.
 * @throws UserError `policy-signer-missing`, `policy-signer-speaks`, `key-invalid`
 */
export function createPointerReader(
  client: Pick<RegistryClient, "fetchManifest" | "fetchBlob">,
  policy: LoadedPolicy,
  signers: string | undefined,
): PointerReader {
  if (signers === undefined && policy.policy.activators.length === 0) {
    throw new UserError(
      "nobody is named on whose word a policy is in force: neither in input 'policy-signer', nor in the policy's activators",
      {
        code: "policy-signer-missing",
        wayOut: "Give the public key of the platform's signer in policy-signer: PEM, or a file.",
      },
    );
  }
  const keys = signers === undefined ? listActivatorKeys(policy) : parsePolicySigners(signers);
  for (const key of keys) refuseStageKey(policy, key);
  const asked = new Map<string, Promise<PolicyPointer>>();
  return (to) => {
    const repository = findPointerRepository(to);
    const where = formatRepository(repository);
    const known = asked.get(where) ?? fetchPointer(client, repository, keys).then(({ pointer }) => pointer);
    asked.set(where, known);
    return known;
  };
}

/**
 * The policy as it is in force at a destination: itself, with what came before it.
 * @throws PolicyViolation `policy.not-in-force`, `policy.pointer-missing`, `policy.pointer-invalid`
 */
export async function confirmInForce(policy: LoadedPolicy, to: Repository, read: PointerReader): Promise<LoadedPolicy> {
  const pointer = await read(to);
  assertInForce(policy, pointer);
  return putInForce(policy, pointer);
}

function listActivatorKeys({ policy }: LoadedPolicy): KeyObject[] {
  return policy.activators.map((name) => {
    const signer = policy.signers[name];
    const material = signer === undefined ? undefined : materialOf(signer, "input 'policy-signer'");
    // The policy was read: its activators are signers of it, each with a key.
    if (material?.kind !== "key") throw new TypeError(`activator '${name}' has no key`);
    return material.key;
  });
}
