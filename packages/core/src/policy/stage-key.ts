import type { KeyObject } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import { isSameMaterial } from "../signing/material.ts";
import { materialOf } from "../signing/schemes/find.ts";
import type { LoadedPolicy } from "./schema.ts";

/**
 * Whoever could sign for a stage could otherwise choose the policy that it is judged by.
 * @throws UserError `policy-signer-speaks`
 */
export function refuseStageKey({ policy, uri }: LoadedPolicy, key: KeyObject): void {
  const speakers = new Set(
    Object.values(policy.environments).flatMap(({ promoter, requires }) => [
      promoter,
      ...requires.flatMap(({ signers }) => signers),
    ]),
  );
  for (const name of speakers) {
    const signer = policy.signers[name];
    if (
      signer === undefined ||
      !isSameMaterial(materialOf(signer, `the key of signer '${name}'`), { kind: "key", key })
    )
      continue;
    throw new UserError(
      `the key that says which policy is in force is that of '${name}', who speaks for a stage in policy ${uri}`,
      {
        code: "policy-signer-speaks",
        wayOut: "Give the platform's signer a key of its own: goldenpath keys new DIR policy.",
      },
    );
  }
}
