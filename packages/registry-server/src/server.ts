import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type AuthOptions, createAuthorizer } from "./auth.ts";
import { alterReply, deliver, limitBody, replaceReply } from "./delivery.ts";
import { RegistryError, renderError } from "./errors.ts";
import { createFaultSelector, type Fault, type FaultAction } from "./faults.ts";
import type { Exchange, Reply } from "./reply.ts";
import { openRepositories, type Snapshot } from "./repositories.ts";
import { handleExchange, type RouteOptions } from "./routes.ts";
import { createUploads } from "./routes-uploads.ts";
import { createRateLimit, createSettings, type RegistrySettings } from "./settings.ts";
import type { Store } from "./store.ts";
import { createDirectoryStore } from "./store-directory.ts";
import { createMemoryStore } from "./store-memory.ts";

export type { AuthOptions } from "./auth.ts";
export type { Fault, FaultAction } from "./faults.ts";
export type { Snapshot } from "./repositories.ts";
export type { ImmutableTags, Quota, RegistrySettings } from "./settings.ts";

export interface RegistryOptions extends Partial<RegistrySettings> {
  /** 0 or absent: any free one. */
  port?: number;
  /** Default 127.0.0.1. */
  hostname?: string;
  /** Where the contents live, which then survive a restart; one server at a time. Absent: in memory. */
  directory?: string;
  /** Contents of another kind, instead of these two. */
  store?: Store;
  /** PEM; absent: plain HTTP. */
  tls?: { cert: string; key: string };
  auth?: AuthOptions;
  faults?: Fault[];
  /** Sent as `OCI-Chunk-Min-Length`. Bytes. */
  chunkMinLength?: number;
  /** One line for each request, without its headers. */
  log?: (line: string) => void;
  /** False: `requests` stays empty, for a server that runs for long. */
  record?: boolean;
}

export interface RecordedRequest {
  method: string;
  /** Decoded, without the query. */
  path: string;
  /** As it came, without the question mark. */
  query: string;
  /** 0 until there is an answer, and when there was none. */
  status: number;
  headers: IncomingHttpHeaders;
  /** Body bytes that came in. */
  bytesIn: number;
  /** Body bytes that went out. */
  bytesOut: number;
  /** The scripted fault that it met. */
  fault?: FaultAction["kind"];
}

export interface RegistryServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `localhost:PORT`: what goes into image references. */
  readonly host: string;
  /** Every request since the start, in the order in which they came; clear it with `length = 0`. */
  readonly requests: RecordedRequest[];
  faults: Fault[];
  /** To be changed at will. */
  readonly settings: RegistrySettings;
  /** What every repository holds. */
  snapshot(): Promise<Snapshot>;
  /** Takes a connection that came in another way, as if it had come to the port. */
  accept(connection: Socket): void;
  /** Ends open connections, too. */
  close(): Promise<void>;
}

/** A registry, as each of its requests finds it. */
interface Registry {
  options: RegistryOptions;
  settings: RegistrySettings;
  routes: RouteOptions;
  selector: ReturnType<typeof createFaultSelector>;
  requests: RecordedRequest[];
  isOneTooMany: ReturnType<typeof createRateLimit>;
}

/**
 * Starts a registry by the OCI distribution specification 1.1 in this process.
 * @throws Error when the port is taken, or when the folder can't be used or was not written by this registry
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<RegistryServer> {
  const store =
    options.store ??
    (options.directory === undefined ? createMemoryStore() : await createDirectoryStore(options.directory));
  const repositories = await openRepositories(store);
  const settings = createSettings(options);
  const routes: RouteOptions = {
    repositories,
    uploads: createUploads(store, repositories, settings, options.chunkMinLength),
    authorizer: createAuthorizer(options.auth),
    settings,
  };
  const isOneTooMany = createRateLimit(settings);
  const selector = createFaultSelector(options.faults);
  const requests: RecordedRequest[] = [];
  const registry: Registry = { options, settings, routes, selector, requests, isOneTooMany };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    answerRequest(registry, request, response).catch((error: unknown) => {
      options.log?.(`the answer broke off: ${String(error)}`);
      response.destroy();
    });
  };
  const times = { requestTimeout: 0, keepAliveTimeout: 60_000 };
  const server =
    options.tls === undefined ? createServer(times, answer) : createSecureServer({ ...times, ...options.tls }, answer);
  return {
    ...(await listen(server, options)),
    requests,
    settings,
    get faults() {
      return selector.faults;
    },
    set faults(faults) {
      selector.faults = faults;
    },
    snapshot: async () => repositories.snapshot(),
    accept: (connection) => void server.emit("connection", connection),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

/** Where it is then found. */
async function listen(
  server: Server,
  { hostname = "127.0.0.1", port: wanted = 0, tls }: RegistryOptions,
): Promise<{ url: string; host: string }> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(wanted, hostname, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  const listensLocally = ["127.0.0.1", "localhost", "0.0.0.0", "::"].includes(hostname);
  const authority = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${tls === undefined ? "http" : "https"}://${listensLocally ? "127.0.0.1" : authority}:${port}`,
    host: `${listensLocally ? "localhost" : authority}:${port}`,
  };
}

async function answerRequest(registry: Registry, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { options, settings, routes, selector } = registry;
  const method = request.method ?? "GET";
  const target = request.url ?? "/";
  const { path, query } = splitTarget(target);
  const recorded: RecordedRequest = {
    method,
    path,
    query,
    status: 0,
    headers: request.headers,
    bytesIn: 0,
    bytesOut: 0,
  };
  if (options.record !== false) registry.requests.push(recorded);
  response.once("close", () => options.log?.(describeRequest(recorded)));
  const action = selector.select({ method, path, query })?.action;
  if (action !== undefined) recorded.fault = action.kind;
  const body = countedBody(request, recorded, action);
  const exchange: Exchange = { method, path, query: new URLSearchParams(query), headers: request.headers, body };
  const isLimited = registry.isOneTooMany(Date.now());
  const wait = settings.latency + (action?.kind === "delay" ? action.milliseconds : 0);
  if (wait > 0) await sleep(wait, undefined, { ref: false });
  let delivery = action === undefined ? undefined : replaceReply(action, target);
  if (delivery === undefined) {
    const reply = isLimited ? renderError(tooManyRequests) : await handle(routes, exchange, options.log);
    delivery = alterReply(reply, action, { method, path });
  }
  if (delivery.reset === undefined && !request.socket.destroyed) recorded.status = delivery.reply.status;
  response.setHeader("Docker-Distribution-API-Version", "registry/2.0");
  await deliver(delivery, response, method, (bytes) => {
    recorded.bytesOut += bytes;
  });
  request.resume();
}

function countedBody(
  request: IncomingMessage,
  recorded: RecordedRequest,
  action: FaultAction | undefined,
): Exchange["body"] {
  const countIn = (bytes: number) => {
    recorded.bytesIn += bytes;
  };
  // Not destroyed with its reader: after a refusal the rest of the body is read away, so that the client gets to see
  // the answer.
  const body = request.iterator({ destroyOnReturn: false });
  return action?.kind === "reset-request"
    ? limitBody(body, countIn, action.afterBytes, () => request.socket.resetAndDestroy())
    : limitBody(body, countIn);
}

const tooManyRequests = new RegistryError(
  429,
  { code: "TOOMANYREQUESTS", message: "too many requests in one second" },
  { "Retry-After": "1" },
);

async function handle(
  routes: RouteOptions,
  exchange: Exchange,
  log: ((line: string) => void) | undefined,
): Promise<Reply> {
  try {
    return await handleExchange(routes, exchange);
  } catch (error) {
    if (error instanceof RegistryError) return renderError(error);
    log?.(
      `${exchange.method} ${exchange.path} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return renderError(new RegistryError(500, { code: "UNKNOWN", message: "the registry failed" }));
  }
}

/**
 * The request's target → its decoded path and raw query. Decoded once and never normalised: the grammar of names
 * refuses what is not one.
 */
function splitTarget(target: string): { path: string; query: string } {
  const question = target.indexOf("?");
  const raw = question === -1 ? target : target.slice(0, question);
  return { path: decode(raw), query: question === -1 ? "" : target.slice(question + 1) };
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

function describeRequest({ method, path, query, status, bytesIn, bytesOut, fault }: RecordedRequest): string {
  const target = query === "" ? path : `${path}?${query}`;
  return `${method} ${target} ${status === 0 ? "no answer" : status} in=${bytesIn} out=${bytesOut}${fault === undefined ? "" : ` fault=${fault}`}`;
}
