import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { LoadedPolicy } from "../policy/schema.ts";

/** A registry client for a verb: the run's ports, environment and signal, and plain HTTP only for the registries for which the policy allows it. */
export function createPolicyClient(
  { ports, env, signal }: Pick<Context, "ports" | "env" | "signal">,
  { policy }: LoadedPolicy,
): RegistryClient {
  return createRegistryClient({ ports, env, signal, plainHttp: policy.registries.plainHttp, hosts: policy.registries.hosts });
}
