import type { Agent as AgentType, Dispatcher } from "undici";
import { Agent } from "./agents.ts";
import { certificateDirectories, createHostContext, readHostTls } from "./certificates.ts";
import type { RegistryClientOptions } from "./client.ts";
import { isLoopback } from "./endpoint.ts";
import type { HostRules } from "./host-settings.ts";
import { createProxyAgent } from "./proxy.ts";

/** The connections of a client: through a proxy or not, and by TLS as each host wants it. */
export interface Dispatchers {
  /** Where to send what goes to this origin. @throws UserError `certificates-invalid` */
  select(url: URL): Dispatcher | Promise<Dispatcher>;
  close(): Promise<void>;
}

/** @throws UserError `proxy-invalid` */
export function createDispatchers(
  options: Pick<RegistryClientOptions, "ports" | "env">,
  rules: HostRules,
  connectTimeout: number,
): Dispatchers {
  // Whether a certificate is checked is the policy's to say, host by host, and not NODE_TLS_REJECT_UNAUTHORIZED's for
  // all at once.
  const connect = { timeout: connectTimeout, rejectUnauthorized: true };
  const agentOptions: AgentType.Options = {
    // Own timers watch for standstill, since undici's do not tell a slow reader from a silent server.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect,
    allowH2: false,
  };
  const direct = new Agent(agentOptions);
  const proxied = createProxyAgent(options, agentOptions);
  const all: Dispatcher[] = [direct, proxied];
  const ready = new Map<string, Dispatcher>();
  const loading = new Map<string, Promise<Dispatcher>>();

  async function load(url: URL): Promise<Dispatcher> {
    // Loopback never goes through a proxy, as in Go's and curl's reading of the variables.
    const isLocal = isLoopback(url.hostname);
    const tls = url.protocol === "https:" ? await readHostTls(url.host, rules.get(url.host), options) : undefined;
    if (tls === undefined) return isLocal ? direct : proxied;
    if (tls.skipVerify)
      options.ports.log.warning(
        `the certificate of ${url.host} is not checked: registries.hosts.${url.host}.skipVerify`,
      );
    if (tls.ca.length > 0 || tls.client.length > 0) {
      options.ports.log.debug(
        `${url.host}: ${tls.ca.length} certificates of its own are trusted, ${tls.client.length} shown (the policy and ${certificateDirectories(url.host, options.env).length} folders were looked at)`,
      );
    }
    const own: AgentType.Options = {
      ...agentOptions,
      connect: { ...connect, rejectUnauthorized: !tls.skipVerify, secureContext: createHostContext(url.host, tls) },
    };
    const dispatcher = isLocal ? new Agent(own) : createProxyAgent(options, own);
    all.push(dispatcher);
    return dispatcher;
  }

  return {
    select(url) {
      const known = ready.get(url.origin);
      if (known !== undefined) return known;
      const loaded = loading.get(url.origin) ?? load(url);
      loading.set(url.origin, loaded);
      return loaded.then((dispatcher) => {
        ready.set(url.origin, dispatcher);
        return dispatcher;
      });
    },
    async close() {
      await Promise.all(all.map((each) => each.destroy()));
    },
  };
}
