import { type Agent, EnvHttpProxyAgent } from "undici";
import { UserError } from "../errors.ts";
import type { RegistryClientOptions } from "./client.ts";

/**
 * Connections through HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by `env` alone. The settings are given, all of them, since undici would otherwise take them from its
 * own process's environment. An empty text means none. `agentOptions.connect` is for the host behind the proxy as well; the proxy's own TLS is as Node has it.
 * @throws UserError `proxy-invalid`
 */
export function createProxyAgent(
  { env, ports }: Pick<RegistryClientOptions, "env" | "ports">,
  agentOptions: Agent.Options,
): EnvHttpProxyAgent {
  const pick = (name: string): string => {
    const value = env[name] ?? env[name.toUpperCase()] ?? "";
    if (value === "") return value;
    const url = URL.parse(value);
    const password = url === null ? undefined : decodeLogin(url)?.password;
    if (url === null || password === undefined || !["http:", "https:"].includes(url.protocol)) {
      // The value is not repeated: it may well have a password in it.
      throw new UserError(`the environment variable ${name.toUpperCase()} is not the http or https URL of a proxy`, {
        code: "proxy-invalid",
        wayOut: "Write it as http://HOST:PORT (a % in a name or password as %25), or unset it.",
      });
    }
    if (password !== "") for (const secret of new Set([url.password, password])) ports.mask(secret);
    return value;
  };
  return new EnvHttpProxyAgent({
    ...agentOptions,
    ...(typeof agentOptions.connect === "object"
      ? { requestTls: { allowH2: false, ...agentOptions.connect } as typeof agentOptions.connect }
      : {}),
    httpProxy: pick("http_proxy"),
    httpsProxy: pick("https_proxy"),
    noProxy: env.no_proxy ?? env.NO_PROXY ?? "",
  });
}

/** Undefined for a stray `%`, which undici would fail on with an error of no name when it makes its agent. */
function decodeLogin({ username, password }: URL): { username: string; password: string } | undefined {
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    return undefined;
  }
}
