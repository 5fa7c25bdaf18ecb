import { UserError } from "@goldenpath/foundation/errors";
import type { Agent as AgentType, Dispatcher as DispatcherType } from "undici";
import { Agent, Dispatcher, EnvHttpProxyAgent } from "./agents.ts";
import type { RegistryClientOptions } from "./client.ts";
import { parseNoProxy } from "./no-proxy.ts";

/**
 * Connections through HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by `env` alone. The settings are given, all of them, since
 * undici would otherwise take them from its own process's environment. An empty text means none. `agentOptions.connect`
 * is for the host behind the proxy as well; the proxy's own TLS is as Node has it.
 * @throws UserError `proxy-invalid`
 */
export function createProxyAgent(
  { env, ports }: Pick<RegistryClientOptions, "env" | "ports">,
  agentOptions: AgentType.Options,
): DispatcherType {
  const pick = (name: string): string => {
    const value = readProxy(env[name] || env[name.toUpperCase()] || "");
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
  const proxied = new EnvHttpProxyAgent({
    ...agentOptions,
    ...(typeof agentOptions.connect === "object"
      ? { requestTls: { allowH2: false, ...agentOptions.connect } as typeof agentOptions.connect }
      : {}),
    httpProxy: pick("http_proxy"),
    httpsProxy: pick("https_proxy"),
    noProxy: "",
  });
  const noProxy = env["no_proxy"] || env["NO_PROXY"] || "";
  return noProxy === "" ? proxied : new PartlyProxied(proxied, new Agent(agentOptions), parseNoProxy(noProxy));
}

/** undici reads no ranges in NO_PROXY; so each request goes here to the one or the other. */
class PartlyProxied extends Dispatcher {
  readonly #proxied: DispatcherType;
  readonly #direct: DispatcherType;
  readonly #isDirect: (url: URL) => boolean;

  constructor(proxied: DispatcherType, direct: DispatcherType, isDirect: (url: URL) => boolean) {
    super();
    this.#proxied = proxied;
    this.#direct = direct;
    this.#isDirect = isDirect;
  }

  override dispatch(options: DispatcherType.DispatchOptions, handler: DispatcherType.DispatchHandler): boolean {
    const isDirect = options.origin !== undefined && this.#isDirect(new URL(options.origin));
    return (isDirect ? this.#direct : this.#proxied).dispatch(options, handler);
  }

  // As a promise alone: nobody here calls it with a callback, which is the other way that undici knows.
  override async close(): Promise<void> {
    await Promise.all([this.#proxied.close(), this.#direct.close()]);
  }

  override async destroy(): Promise<void> {
    await Promise.all([this.#proxied.destroy(), this.#direct.destroy()]);
  }
}

/**
 * As Go's tools and curl take it, `proxy:3128` is `http://proxy:3128`. With a login there has to be a port, or it could
 * be a URL of a kind that is not known.
 */
function readProxy(value: string): string {
  const text = value.trim();
  const isBare =
    !text.includes("://") &&
    (/^[^@/]+@[^@/]+:\d+$/.test(text) || /^[A-Za-z0-9._-]+(?::\d+)?$|^\[[0-9a-fA-F:.]+\](?::\d+)?$/.test(text));
  return isBare ? `http://${text}` : text;
}

/** Undefined for a stray `%`, which undici would fail on with an error of no name when it makes its agent. */
function decodeLogin({ username, password }: URL): { username: string; password: string } | undefined {
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    return undefined;
  }
}
