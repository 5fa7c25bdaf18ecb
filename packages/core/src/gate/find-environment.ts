import { UserError } from "@goldenpath/foundation/errors";
import type { LoadedPolicy, PolicyEnvironment } from "../policy/schema.ts";

/** @throws UserError `environment-unknown` */
export function findEnvironment(policy: LoadedPolicy, name: string): PolicyEnvironment {
  const { environments } = policy.policy;
  const environment = Object.hasOwn(environments, name) ? environments[name] : undefined;
  if (environment !== undefined) return environment;
  throw new UserError(
    `input 'environment' is '${name}'; policy '${policy.policy.name}' has ${Object.keys(environments).join(", ") || "none"}`,
    {
      code: "environment-unknown",
      wayOut: "Name an environment of the policy, or have its owners add this one.",
    },
  );
}

/**
 * The name of a policy's environment, where it has no other.
 * @throws UserError `environment-unknown`
 */
export function findOnlyEnvironment({ policy }: LoadedPolicy): string {
  const [only, ...others] = Object.keys(policy.environments);
  if (only !== undefined && others.length === 0) return only;
  throw new UserError(
    `no environment is named, and policy '${policy.name}' has ${Object.keys(policy.environments).join(", ") || "none"}`,
    { code: "environment-unknown", wayOut: "Name the one that is meant." },
  );
}
