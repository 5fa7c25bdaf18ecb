import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../policy/schema.ts";
import type { FleetFailure } from "./facts.ts";

/** What a run sets out to look at. */
export interface FleetScope {
  /** `environments.*.to`, of the environment that is asked for or of all. */
  prefixes: readonly string[];
  /** The repositories that somebody named; none: all that the catalogues list below the prefixes. */
  named: readonly string[];
  /** Everything of the policy: no repository and no environment was named. */
  isWhole: boolean;
}

export function planScope(
  { environments }: Pick<Policy, "environments">,
  named: readonly string[],
  environment?: string,
): FleetScope {
  const own = Object.entries(environments).filter(([name]) => environment === undefined || name === environment);
  return {
    prefixes: [...new Set(own.flatMap(([, { to }]) => to))],
    named: named.map((each) => formatRepository(parseRepository(each, "HOST/NAME"))),
    isWhole: named.length === 0 && environment === undefined,
  };
}

/** Whether a run looked at all images of a repository, those that are gone included. */
export function isLookedAt(repository: string, scope: FleetScope, failures: readonly FleetFailure[]): boolean {
  const isMeant =
    scope.named.length > 0
      ? scope.named.includes(repository)
      : scope.prefixes.some((prefix) => repository === prefix || repository.startsWith(`${prefix}/`));
  return isMeant && !failures.some(({ what }) => isOf(what, repository));
}

/** Whether a run looked at everything that there is by its policy. */
export function isAllLookedAt(scope: FleetScope, failures: readonly FleetFailure[]): boolean {
  return scope.isWhole && failures.length === 0;
}

/** @param what HOST/NAME, HOST/NAME:TAG or HOST/NAME@DIGEST */
const isOf = (what: string, repository: string): boolean =>
  what === repository || what.startsWith(`${repository}:`) || what.startsWith(`${repository}@`);

/** HOST/NAME of a text that is one; undefined of any other. */
export function repositoryOf(text: string): string | undefined {
  try {
    return formatRepository(parseRepository(text));
  } catch {
    return undefined;
  }
}
