import type { LoadedPolicy } from "../policy/schema.ts";
import type { Context } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";
import { createRegistryClient } from "../registry/create.ts";

/** A registry client for a verb: the run's ports, environment and signal, and plain HTTP only for the registries for which the policy allows it. */
export function createPolicyClient(
  { ports, env, signal }: Pick<Context, "ports" | "env" | "signal">,
  { policy }: LoadedPolicy,
): RegistryClient {
  return createRegistryClient({ ports, env, signal, plainHttp: policy.registries.plainHttp, hosts: policy.registries.hosts });
}
