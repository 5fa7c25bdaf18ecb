import { lookup } from "node:dns/promises";
import { chmod } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { BlockList, connect, isIP, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type { Duplex } from "node:stream";
import type { Ports } from "@goldenpath/foundation/ports";
import { parseNoProxy } from "@goldenpath/registry-client/no-proxy";

/** A service of ours on this machine's loopback, which a build gets to by a name that nothing else has. */
export interface OwnService {
  host: string;
  /** There, and in the room. */
  port: number;
  /** Takes a connection to it as its own, which is not led over the loopback then. */
  accept?(connection: Socket): void;
}

/** The way out of a build's network, which has nothing else: a forward proxy on a unix socket. */
export interface Egress {
  socket: string;
  /** What was refused, each host once. */
  refused: ReadonlySet<string>;
  close(): Promise<void>;
}

/**
 * Addresses that no build gets to: this machine's own (its services trust who comes from there) and those on which
 * clouds tell a machine its credentials. Link-local has nearly all of the latter (169.254.169.254, fd00:ec2::254); the
 * others are Azure's, Alibaba's and Oracle's.
 */
export function createBlockList(own: readonly string[] = ownAddresses()): BlockList {
  const list = new BlockList();
  list.addSubnet("0.0.0.0", 8);
  list.addSubnet("127.0.0.0", 8);
  list.addSubnet("169.254.0.0", 16);
  list.addSubnet("224.0.0.0", 3);
  list.addAddress("::", "ipv6");
  list.addAddress("::1", "ipv6");
  list.addSubnet("fe80::", 10, "ipv6");
  list.addSubnet("ff00::", 8, "ipv6");
  list.addAddress("fd00:ec2::254", "ipv6");
  for (const address of ["168.63.129.16", "100.100.100.200", "192.0.0.192"]) list.addAddress(address);
  for (const address of own) list.addAddress(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return list;
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.split("%")[0] ?? address),
  );
}

/** True for an address of the list, also where it is written as an IPv6 one (`::ffff:127.0.0.1`, `64:ff9b::7f00:1`). */
export function isBlocked(list: BlockList, address: string): boolean {
  const plain = address.split("%")[0] ?? address;
  if (isIP(plain) === 4) return list.check(plain);
  if (list.check(plain, "ipv6")) return true;
  const mapped = /^(?:::ffff:|::|64:ff9b::)(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1] ?? mappedFromHex(plain);
  return mapped !== undefined && list.check(mapped);
}

function mappedFromHex(address: string): string | undefined {
  const [, high, low] = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address) ?? [];
  if (high === undefined || low === undefined) return undefined;
  const number = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/**
 * Where a proxy of the machine's own environment takes over; that is the workplace's choice, and what it lets through
 * is its to say.
 */
export function chooseUpstream(
  env: Readonly<Record<string, string | undefined>>,
  host: string,
  port: number,
  isSecure: boolean,
): URL | undefined {
  const value = isSecure
    ? env["HTTPS_PROXY"] || env["https_proxy"] || env["ALL_PROXY"] || env["all_proxy"]
    : env["HTTP_PROXY"] || env["http_proxy"] || env["ALL_PROXY"] || env["all_proxy"];
  if (value === undefined || value === "") return undefined;
  const target = URL.parse(`${isSecure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`);
  const isExempt = target === null || parseNoProxy(env["NO_PROXY"] || env["no_proxy"] || "")(target);
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  return isExempt || url === null || url.protocol !== "http:" ? undefined : url;
}

/**
 * Starts the proxy. `socket` lies where the build's user may connect to it. Whoever connects gets nothing that the
 * machine does not give to everybody.
 */
export async function openEgress(
  socket: string,
  env: Readonly<Record<string, string | undefined>>,
  ports: Pick<Ports, "log">,
  own?: OwnService,
): Promise<Egress> {
  const blocked = createBlockList();
  const refused = new Set<string>();
  const open = new Set<Duplex>();
  const refuse = (host: string): void => {
    if (!refused.has(host) && refused.size < 100) {
      refused.add(host);
      ports.log.warning(
        `the build asked for ${host.slice(0, 200)}, an address of this machine or of a cloud's metadata, and did not get it`,
      );
    }
  };
  const track = <T extends Duplex>(stream: T): T => {
    // A connection to a proxy is used more than once.
    if (open.has(stream)) return stream;
    open.add(stream);
    stream.on("close", () => open.delete(stream));
    stream.on("error", () => stream.destroy());
    return stream;
  };
  const route: Route = async (host, port, isSecure) => {
    const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
    if (own !== undefined && bare === own.host && port === own.port)
      return { address: "127.0.0.1", accept: own.accept };
    const addresses = isIP(bare) === 0 ? undefined : [{ address: bare }];
    if (addresses === undefined || !isBlocked(blocked, bare)) {
      const upstream = chooseUpstream(env, bare, port, isSecure);
      // A name that only the proxy can resolve: one for this machine it would not lead back here.
      if (upstream !== undefined && bare !== "localhost" && !bare.endsWith(".localhost")) return { upstream };
    }
    // Resolved once, and connected to by what was looked at.
    const found = addresses ?? (await lookup(bare, { all: true }).catch(() => []));
    if (found.some(({ address }) => isBlocked(blocked, address))) {
      refuse(host);
      return undefined;
    }
    const [first] = found;
    return first === undefined ? undefined : { address: first.address };
  };
  const server = createServer((incoming, answer) => void forward(incoming, answer, route, track));
  server.on("connection", (connection: Socket) => track(connection));
  server.on(
    "connect",
    (incoming: IncomingMessage, inside: Duplex, head: Buffer) =>
      void tunnel(incoming, track(inside), head, route, track),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, resolve);
  });
  await chmod(socket, 0o666);
  return {
    socket,
    refused,
    close: () =>
      new Promise((resolve) => {
        for (const stream of open) stream.destroy();
        server.close(() => resolve());
      }),
  };
}

type Way = { address: string; accept?: OwnService["accept"] } | { upstream: URL };
type Route = (host: string, port: number, isSecure: boolean) => Promise<Way | undefined>;
type Track = <T extends Duplex>(stream: T) => T;

function splitAuthority(authority: string): { host: string; port: number } | undefined {
  const [, host = "", port = ""] = /^(\[[0-9a-fA-F:.%]+\]|[^:\s/@]+):(\d{1,5})$/.exec(authority) ?? [];
  return host === "" || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

async function tunnel(
  { url = "", socket }: IncomingMessage,
  inside: Duplex,
  head: Buffer,
  route: Route,
  track: Track,
): Promise<void> {
  const target = splitAuthority(url);
  const way = target === undefined ? undefined : await route(target.host, target.port, true);
  if (target === undefined || way === undefined) {
    inside.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  // Whoever speaks first, as with TLS, waits for the answer: then nothing has come yet.
  if ("address" in way && way.accept !== undefined && head.length === 0) {
    inside.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    way.accept(socket);
    return;
  }
  const fail = (): void => void inside.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  if ("address" in way) {
    const outside = track(connect({ host: way.address, port: target.port }));
    outside.once("error", fail);
    outside.once("connect", () => {
      outside.off("error", fail);
      inside.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      outside.write(head);
      inside.pipe(outside).pipe(inside);
    });
    return;
  }
  const asked = request({
    ...upstreamOptions(way.upstream),
    method: "CONNECT",
    path: url,
    headers: upstreamHeaders(way.upstream, url),
  });
  asked.once("error", fail);
  asked.once("connect", (response, outside) => {
    track(outside);
    inside.write(
      `HTTP/1.1 ${response.statusCode} ${response.statusCode === 200 ? "Connection Established" : "Refused"}\r\n\r\n`,
    );
    outside.write(head);
    inside.pipe(outside).pipe(inside);
  });
  asked.once("response", fail);
  asked.end();
}

async function forward(incoming: IncomingMessage, answer: ServerResponse, route: Route, track: Track): Promise<void> {
  const url = URL.parse(incoming.url ?? "");
  const way =
    url === null || url.protocol !== "http:" ? undefined : await route(url.hostname, Number(url.port || 80), false);
  if (url === null || way === undefined) {
    answer.writeHead(403).end();
    return;
  }
  const {
    "proxy-connection": _proxy,
    "proxy-authorization": _login,
    connection: _connection,
    ...headers
  } = incoming.headers;
  const direct = {
    host: "address" in way ? way.address : "",
    port: url.port || 80,
    path: `${url.pathname}${url.search}`,
  };
  const options = "address" in way ? direct : { ...upstreamOptions(way.upstream), path: url.href };
  const asked = request({
    ...options,
    method: incoming.method,
    headers: { ...headers, host: url.host, ...("upstream" in way ? upstreamHeaders(way.upstream, url.host) : {}) },
  });
  asked.on("socket", (socket) => track(socket));
  asked.once("error", () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
  asked.once("response", (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
  });
  incoming.pipe(asked);
}

function upstreamOptions({ hostname, port }: URL): { host: string; port: string | number } {
  return { host: hostname, port: port || 80 };
}

function upstreamHeaders({ username, password }: URL, host: string): Record<string, string> {
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    host,
    ...(username === "" ? {} : { "proxy-authorization": `Basic ${Buffer.from(login).toString("base64")}` }),
  };
}
