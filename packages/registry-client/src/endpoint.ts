import { BlockList, isIP } from "node:net";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Repository } from "./oci/reference.ts";

const privateAddresses = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const) {
  privateAddresses.addSubnet(network, prefix, "ipv4");
}
for (const [network, prefix] of [
  ["::", 127], // unspecified and loopback
  ["fc00::", 7],
  ["fe80::", 10],
] as const) {
  privateAddresses.addSubnet(network, prefix, "ipv6");
}

function bareHost(hostname: string): string {
  return hostname
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
}

/** `hostname` as in a URL, without port: localhost, 127.0.0.0/8 or ::1. */
export function isLoopback(hostname: string): boolean {
  const host = bareHost(hostname);
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/**
 * An address literal that is not reachable from the public internet (private, link-local with the clouds' metadata
 * service, loopback), or localhost.
 */
export function isPrivateLiteral(hostname: string): boolean {
  const host = bareHost(hostname);
  const kind = isIP(host);
  // BlockList matches IPv4 addresses mapped into IPv6 (::ffff:10.0.0.1) against the IPv4 subnets.
  return kind === 0
    ? host === "localhost" || host.endsWith(".localhost")
    : privateAddresses.check(host, kind === 4 ? "ipv4" : "ipv6");
}

/** Where a registry's API is: `docker.io` is a name for people, and answers elsewhere. */
export function endpointHost(registry: string): string {
  return registry === "docker.io" ? "registry-1.docker.io" : registry;
}

/**
 * May this host (`host[:port]`) be spoken to without TLS? Loopback, and what `plainHttp` lists. An entry `https://HOST`
 * (by `plainHttpRules`) is a loopback host that has TLS all the same.
 */
export function isPlainHttpHost(host: string, plainHttp: readonly string[]): boolean {
  const url = URL.parse(`http://${host}`);
  if (url === null || plainHttp.includes(`https://${host.toLowerCase()}`)) return false;
  return isLoopback(url.hostname) || plainHttp.some((each) => each.toLowerCase() === host.toLowerCase());
}

/** By a client's own list, which stays as it is: this is asked several times a request. */
const endpoints = new WeakMap<readonly string[], Map<string, Readonly<URL>>>();

/** `registry` → the root of its API, with the scheme it is spoken to by. Shared: to be read, and resolved against. */
export function registryEndpoint(registry: string, plainHttp: readonly string[]): Readonly<URL> {
  const known = endpoints.get(plainHttp) ?? new Map<string, Readonly<URL>>();
  endpoints.set(plainHttp, known);
  const host = endpointHost(registry);
  const endpoint = known.get(host) ?? new URL(`${isPlainHttpHost(host, plainHttp) ? "http" : "https"}://${host}/v2/`);
  known.set(host, endpoint);
  return endpoint;
}

/**
 * `path` below a repository's own part of its registry's API. Put together as one text: resolving it against the
 * endpoint would read that anew each time, and take a name that begins with `//` for another host.
 */
export function apiUrl(
  { plainHttp }: { plainHttp: readonly string[] },
  { registry, name }: Repository,
  path: string,
): URL {
  return new URL(`${registryEndpoint(registry, plainHttp).href}${name}/${path}`);
}

/** Same scheme, host and port: what may see the same credentials. */
export function isSameOrigin(a: Readonly<URL>, b: Readonly<URL>): boolean {
  return a.protocol === b.protocol && a.host === b.host;
}

/**
 * A URL that a server sent (redirect, upload location, next page) → the URL to go to, or an error: only http and https,
 * never from https down to http, plain http only where a registry may be spoken to so, and no credentials inside.
 * @throws InfrastructureError `redirect-refused`
 */
export function resolveServerUrl(target: string, base: URL, plainHttp: readonly string[], what: string): URL {
  const refuse = (why: string): never => {
    throw new InfrastructureError(`${base.host} sends ${what} that is refused: ${why}`, {
      code: "redirect-refused",
      safeToRetry: false,
    });
  };
  const url = URL.parse(target, base.href);
  if (url === null) return refuse("it is not a URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") return refuse(`${url.protocol} is neither https nor http`);
  if (url.protocol === "http:" && base.protocol === "https:")
    return refuse(`it leads from https to plain http at ${url.host}`);
  if (url.protocol === "http:" && !isPlainHttpHost(url.host, plainHttp))
    return refuse(`plain http at ${url.host} is neither localhost nor allowed by the policy`);
  if (url.username !== "" || url.password !== "") return refuse("it has credentials in it");
  return url;
}

/**
 * As {@link resolveServerUrl}, for a link by which a registry's own API goes on (an upload's location, the next page).
 * Behind a proxy that ends TLS, registries often write http for their own host: that is read as the https by which they
 * answered.
 */
export function resolveOwnUrl(target: string, base: URL, plainHttp: readonly string[], what: string): URL {
  const url = URL.parse(target, base.href);
  const isOwn =
    url?.protocol === "http:" && base.protocol === "https:" && url.hostname === base.hostname && url.port === "";
  return isOwn ? new URL(`${url.pathname}${url.search}`, base) : resolveServerUrl(target, base, plainHttp, what);
}

/**
 * The realm of a Bearer challenge is where credentials are sent next, so the registry does not get to choose freely:
 * https; or the registry's own host and port, or localhost, when the registry itself is on plain http. A public
 * registry may not point into the private network.
 * @throws InfrastructureError `realm-refused`
 */
export function checkRealm(realm: string, registry: URL, plainHttp: readonly string[]): URL {
  const refuse = (why: string): never => {
    throw new InfrastructureError(`${registry.host} asks to get a token at '${realm}', which is refused: ${why}`, {
      code: "realm-refused",
      wayOut: "Check the registry's configuration of its token service.",
      safeToRetry: false,
    });
  };
  const url = URL.parse(realm);
  if (url === null) return refuse("it is not an absolute URL");
  if (url.username !== "" || url.password !== "") return refuse("it has credentials in it");
  if (url.protocol !== "https:") {
    if (url.protocol !== "http:" || registry.protocol !== "http:") return refuse("it is not https");
    if (url.host !== registry.host && !isLoopback(url.hostname))
      return refuse("plain http only goes to the registry's own host, or to localhost");
  }
  const isPublic = !isPrivateLiteral(registry.hostname) && !isPlainHttpHost(registry.host, plainHttp);
  if (isPublic && url.host !== registry.host && isPrivateLiteral(url.hostname))
    return refuse("it is an address of the private network");
  return url;
}
