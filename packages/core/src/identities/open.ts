import type { RegistryIdentities } from "@goldenpath/foundation/ports";
import type { ExchangeContext, Login } from "./exchange.ts";
import type { Identity } from "./identity.ts";
import { exchangeIdentity, type ServiceHosts } from "./providers.ts";

/** A login that is about to end is as good as none. Milliseconds. */
const margin = 60_000;

/**
 * Logins that are made when a registry first asks who is there, one at a time for each, and made anew before they end.
 * @param isSealed until it is opened, nobody is asked for a token, and there is no login
 */
export function openIdentities(
  identities: readonly Identity[],
  context: ExchangeContext,
  { isSealed, hosts }: { isSealed: boolean; hosts?: ServiceHosts },
): RegistryIdentities {
  let sealed = isSealed;
  const logins = new Map<string, Promise<Login>>();

  async function login(identity: Identity): Promise<Login> {
    const known = logins.get(identity.registry);
    if (known !== undefined && (await known).until - margin > context.now().getTime()) return known;
    // Whoever waited as well may have asked for a new one by now.
    const latest = logins.get(identity.registry);
    if (latest !== undefined && latest !== known) return latest;
    const asked = exchangeIdentity(identity, context, hosts);
    logins.set(identity.registry, asked);
    // One that failed is for whoever waits for it now, and for nobody after them: the service may be back.
    asked.catch(() => {
      if (logins.get(identity.registry) === asked) logins.delete(identity.registry);
    });
    const { password } = await asked;
    context.ports.mask(password);
    context.ports.log.info(`logged in to ${identity.registry} as this job (${identity.type})`);
    return asked;
  }

  return {
    open: () => {
      sealed = false;
    },
    async find(registry) {
      const identity = identities.find((each) => isSameRegistry(each.registry, registry));
      if (identity === undefined || sealed) return undefined;
      const { username, password } = await login(identity);
      return { username, password };
    },
  };
}

const hubNames = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const isSameRegistry = (own: string, registry: string): boolean =>
  own === registry || (hubNames.includes(own) && hubNames.includes(registry));
