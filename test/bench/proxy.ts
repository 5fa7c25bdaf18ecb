import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface Counts {
  requests: number;
  /** By method and kind of path: `GET manifests`. */
  byKind: Record<string, number>;
  /** Bodies of requests: what was sent to the registry. */
  bytesSent: number;
  /** Bodies of answers: what was received from it. */
  bytesReceived: number;
}

export interface CountingProxy {
  /** `localhost:PORT` */
  host: string;
  /** What passed since the last call. */
  take(): Counts;
  close(): Promise<void>;
}

/**
 * Stands in front of a registry and counts, for everybody in the same way. It keeps the Host header as it comes, from
 * which registries make the addresses that they send on to; so these lead through it as well. Requests alone count: a
 * connection that was tried with TLS and given up is none.
 * @param roundTrip milliseconds to a registry that is not in the next room: a request waits for one, the first of a
 *   connection for two, since there is a handshake before it (TLS would be more of them)
 */
export async function startCountingProxy(target: string, roundTrip = 0): Promise<CountingProxy> {
  const [hostname = "", port = ""] = target.split(":");
  const agent = new Agent({ keepAlive: true });
  const met = new WeakSet<Socket>();
  let counts = emptyCounts();

  async function forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "GET", url = "/", headers } = incoming;
    counts.requests++;
    const kind = `${method} ${kindOf(url)}`;
    counts.byKind[kind] = (counts.byKind[kind] ?? 0) + 1;
    if (roundTrip > 0) {
      const trips = met.has(incoming.socket) ? 1 : 2;
      met.add(incoming.socket);
      await sleep(trips * roundTrip);
    }
    const onward = request({ hostname, port, method, path: url, headers, agent });
    incoming.on("data", (chunk: Buffer) => {
      counts.bytesSent += chunk.byteLength;
    });
    const answered = once(onward, "response") as Promise<[IncomingMessage]>;
    await Promise.all([pipeline(incoming, onward), answered]);
    const [answer] = await answered;
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on("data", (chunk: Buffer) => {
      counts.bytesReceived += chunk.byteLength;
    });
    await pipeline(answer, outgoing);
  }

  const server = createServer((incoming, outgoing) => {
    forward(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.requestTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `localhost:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = counts;
      counts = emptyCounts();
      return taken;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, "close");
    },
  };
}

export function addCounts(one: Counts, other: Counts): Counts {
  const byKind = { ...one.byKind };
  for (const [kind, count] of Object.entries(other.byKind)) byKind[kind] = (byKind[kind] ?? 0) + count;
  return {
    requests: one.requests + other.requests,
    byKind,
    bytesSent: one.bytesSent + other.bytesSent,
    bytesReceived: one.bytesReceived + other.bytesReceived,
  };
}

const emptyCounts = (): Counts => ({ requests: 0, byKind: {}, bytesSent: 0, bytesReceived: 0 });

/** Of a path and what is asked for there, or of a whole URL's. */
export function kindOf(url: string): string {
  if (/^\/v2\/?(?:\?|$)/.test(url)) return "ping";
  const kind = /\/(manifests|blobs\/uploads|blobs|referrers|tags)\//.exec(url.replace(/\?.*/, ""))?.[1] ?? "other";
  return kind === "blobs/uploads" && url.includes("mount=") ? "mounts" : kind;
}
