import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parsePolicy } from "../policy/parse.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { openPolicy } from "./open.ts";

interface PolicyInputs {
  policy?: string | undefined;
  "policy-signer"?: string | undefined;
}

/**
 * What a scan without a policy is judged by. Nobody signs its result: a policy's digest and serial have to be in it.
 */
const defaults = "{ version: 1, name: defaults, serial: 1, scan: { failOn: high } }";

/** @throws as openPolicy; UserError `input-invalid` for a signer of no policy */
export async function openScanPolicy({ policy, ...given }: PolicyInputs, context: Context): Promise<ScanPolicy> {
  if (policy !== undefined) return openPolicy({ ...given, policy }, context, "scan");
  if (given["policy-signer"] !== undefined) {
    throw new UserError("input 'policy-signer' is given, and input 'policy' does not say which policy", {
      code: "input-invalid",
      wayOut: "Give the policy, or neither of the two to scan by goldenpath's defaults.",
    });
  }
  const parsed = parsePolicy(new TextEncoder().encode(defaults), "goldenpath's defaults");
  const { failOn, databaseMaxAge } = parsed.scan;
  const age = databaseMaxAge === "unlimited" ? "any age" : `the last ${databaseMaxAge / 86_400_000} days`;
  context.ports.log.notice(
    `no policy was given: findings of severity ${failOn} and above are refused, by vulnerability data of ${age}, and the result can't be signed`,
  );
  return { policy: parsed };
}

/** Without a place and a digest where it is {@link defaults}. */
export type ScanPolicy = Pick<LoadedPolicy, "policy"> & Partial<LoadedPolicy>;
