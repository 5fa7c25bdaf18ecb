import { UserError } from "@goldenpath/foundation/errors";
import type { HostSettings, RegistryClientOptions } from "./client.ts";
import { endpointHost } from "./endpoint.ts";

/** The settings by `host[:port]` as a URL has it: lower case, https' own port left out, Docker Hub where its API is. */
export type HostRules = ReadonlyMap<string, HostSettings>;

/**
 * Reads the settings of the policy's `registries.hosts`, each for its host and port alone.
 * @throws UserError `host-settings-invalid`: not a host, a host twice, or TLS settings for a host that is spoken to
 *   over plain http
 */
export function readHostRules({
  hosts = {},
  plainHttp = [],
}: Pick<RegistryClientOptions, "hosts" | "plainHttp">): HostRules {
  const rules = new Map<string, HostSettings>();
  const invalid = (name: string, why: string): UserError =>
    new UserError(`registries.hosts.${name}: ${why}`, {
      code: "host-settings-invalid",
      wayOut:
        "Write each registry once, as HOST or HOST:PORT, and name it either there with its certificates or in registries.plainHttp.",
    });
  for (const [name, settings] of Object.entries(hosts)) {
    const host = /^[^/@?#\s]+$/.test(name) ? URL.parse(`https://${endpointHost(name.toLowerCase())}`)?.host : undefined;
    if (host === undefined) throw invalid(name, "it is not a host");
    if (rules.has(host)) throw invalid(name, `settings for ${host} are there twice`);
    if (wantsTls(settings) && plainHttp.some((each) => each.toLowerCase() === name.toLowerCase())) {
      throw invalid(name, "it has settings for certificates, and registries.plainHttp says that it has none");
    }
    rules.set(host, settings);
  }
  return rules;
}

function wantsTls(settings: HostSettings): boolean {
  return settings.ca !== undefined || settings.skipVerify === true;
}

/**
 * `plainHttp` for {@link isPlainHttpHost}, with the loopback hosts left out of it whose settings are about
 * certificates: whoever gives those expects TLS, and must not silently get plain http.
 */
export function plainHttpRules(options: Pick<RegistryClientOptions, "hosts" | "plainHttp">): string[] {
  const tls = [...readHostRules(options)]
    .filter(([, settings]) => wantsTls(settings))
    .map(([host]) => `https://${host}`);
  return [...new Set([...(options.plainHttp ?? []), ...tls])];
}
