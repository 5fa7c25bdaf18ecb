import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { describeTlsError } from "./certificates.ts";
import type { RegistryClientOptions, Traffic } from "./client.ts";
import { createDispatchers } from "./dispatchers.ts";
import { decodeContent } from "./encoding.ts";
import { isSameOrigin, resolveServerUrl } from "./endpoint.ts";
import { type Answer, type Exchange, exchange, type Method, type RequestBody, SourceFailure } from "./exchange.ts";
import { createHostGate, type HostGate } from "./host-gate.ts";
import { plainHttpRules, readHostRules } from "./host-settings.ts";
import { parseContentLength } from "./ranges.ts";
import { isRetryError, isRetryStatus, parseRetryAfter, retryDelay } from "./retry.ts";

export interface TransportRequest {
  method: Method;
  url: URL;
  /** Names in lower case. An `authorization` goes to this URL's scheme, host and port only, whatever redirects say. */
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array | RequestBody;
  /** How often this request is tried in all; the transport's own number unless told. */
  attempts?: number;
  /** Whatever the status is, it is the answer: none is worth another try, and no Retry-After parks the host. For who wants to know what a registry does. */
  anyStatus?: boolean;
  /** What is asked for has to be done by the host that is asked: no redirect to another one is followed. It is so for every POST and DELETE. */
  staysOnHost?: boolean;
  /** The answer's body is read whole, up to so many bytes, and a body that breaks off counts as a failed try. */
  readUpTo?: number;
}

export interface TransportResponse {
  status: number;
  /** Where the answer came from, after redirects. */
  url: URL;
  /** How often the request was sent to get it. */
  attempts: number;
  header(name: string): string | undefined;
  headers(name: string): string[];
  /** The body, where `readUpTo` asked for it; its start, where the status is 400 or more; empty otherwise. */
  bytes: Uint8Array;
  /** The body as it comes, counted, given up when nothing comes for too long. Where `bytes` does not have it: to be read to the end, or discarded. */
  stream(): AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

export interface Transport {
  /**
   * Sends a request until it has an answer that is not worth another try, following redirects. An answer with a status of 400 or more is an answer.
   * @throws InfrastructureError `registry-unreachable`, `registry-error` (still 408, 429 or 5xx after all tries), `redirect-refused`, `too-large`, `aborted`,
   *   `certificate-untrusted`, `client-certificate-refused`; UserError `certificates-invalid`;
   *   what the body's source throws
   */
  send(request: TransportRequest): Promise<TransportResponse>;
  readonly traffic: Traffic;
  readonly attempts: number;
  /** Waits, unless the caller gives up or closes first. @throws InfrastructureError `aborted` */
  wait(milliseconds: number): Promise<void>;
  /** Everything under way or waiting ends with `aborted`. */
  close(): Promise<void>;
}

/** An answer whose body can still be read whole. */
type ReadableResponse = TransportResponse & Pick<Answer, "read">;

export type TransportOptions = Pick<
  RegistryClientOptions,
  "ports" | "env" | "signal" | "plainHttp" | "hosts" | "attempts" | "stallTimeout"
> & {
  /** Stands in for the clock, so that tests see how long would be waited instead of waiting. */
  sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
};

/** Requests on their way to one host at the same time, unless its settings say otherwise. */
const defaultConnections = 8;
const nothing = new Uint8Array();
const maxRedirects = 10;
/** As much of an error's body as can be of use in a message. */
const maxErrorBytes = 16 * 1024;
const userAgent = "goldenpath";

export function createTransport(options: TransportOptions): Transport {
  const { ports, signal } = options;
  const attempts = Math.max(1, options.attempts ?? 5);
  const stallTimeout = options.stallTimeout ?? 60_000;
  const random = options.random ?? Math.random;
  const sleep = options.sleep ?? sleepFor;
  const rules = readHostRules(options);
  const plainHttp = plainHttpRules(options);
  const dispatchers = createDispatchers(options, rules, Math.min(stallTimeout, 15_000));
  const gates = new Map<string, HostGate>();
  const active = new Set<(error: Error) => void>();
  /** Aborted, with the error to throw, by the caller's signal or by {@link Transport.close}. */
  const stop = new AbortController();
  const traffic: Traffic = { requests: 0, bytesReceived: 0, bytesSent: 0 };
  // Until when a host does not want to be asked, by its own Retry-After: it holds for every request, not only for the one that was told.
  const parkedUntil = new Map<string, number>();

  async function wait(milliseconds: number): Promise<void> {
    stop.signal.throwIfAborted();
    await sleep(milliseconds, stop.signal);
    stop.signal.throwIfAborted();
  }

  async function send(request: TransportRequest): Promise<TransportResponse> {
    const most = request.attempts ?? attempts;
    for (let attempt = 1; ; attempt++) {
      stop.signal.throwIfAborted();
      let retryAfter: number | undefined;
      let why: string;
      try {
        const response = await followRedirects(request, attempt);
        if (request.anyStatus === true || !isRetryStatus(response.status)) {
          if (request.readUpTo !== undefined || response.status >= 400) response.bytes = await readBody(response, request.readUpTo ?? 0);
          return response;
        }
        retryAfter = parseRetryAfter(response.header("retry-after"), new Date());
        why = `it answers ${response.status}${response.status === 429 ? " (too many requests)" : ""}`;
        await response.discard();
        if (attempt >= most) throw exhausted(request, response, attempt);
      } catch (error) {
        stop.signal.throwIfAborted();
        if (error instanceof SourceFailure) throw error.cause;
        if (isKnownError(error)) throw error;
        if (attempt >= most || !isRetryError(error)) throw unreachable(request, error, attempt);
        why = describeCause(error);
      }
      const delay = retryDelay(attempt, retryAfter, random());
      ports.log.debug(`${request.url.host}: ${why}; trying again in ${delay} ms (try ${attempt} of ${most})`);
      await wait(delay);
    }
  }

  async function followRedirects(request: TransportRequest, attempt: number): Promise<ReadableResponse> {
    let { url, method, body } = request;
    const headers: Record<string, string> = { "user-agent": userAgent, ...request.headers };
    for (let hop = 0; ; hop++) {
      const response = await exchangeOnce(
        { method, url, headers: { ...headers }, ...(body === undefined ? {} : { body }) },
        attempt,
        request.anyStatus === true,
      );
      const location = response.header("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response;
      await response.discard();
      if (hop === maxRedirects) {
        throw new InfrastructureError(`${request.url.host} redirects more than ${maxRedirects} times`, {
          code: "redirect-refused",
          attempts: attempt,
        });
      }
      const next = resolveServerUrl(location, url, plainHttp, "a redirect");
      if (!isSameOrigin(next, request.url)) {
        delete headers.authorization;
        // What another host says to have done (a mount, an upload's start, a tag set) is not done here, and a POST's body can be a secret (an identity token).
        // Content that is uploaded is something else: the registry may want to have it there.
        if (method === "POST" || method === "DELETE" || request.staysOnHost === true) {
          throw new InfrastructureError(`${url.host} redirects a ${method} to ${next.host}`, {
            code: "redirect-refused",
            safeToRetry: false,
          });
        }
      }
      // 303 asks for a GET. 301 and 302 do not keep the method reliably, so only what has no effect follows them.
      if (response.status === 303 && method !== "HEAD") {
        method = "GET";
        body = undefined;
        delete headers["content-type"];
      } else if (response.status < 303 && method !== "GET" && method !== "HEAD") {
        throw new InfrastructureError(`${url.host} redirects a ${method} with status ${response.status}`, { code: "redirect-refused" });
      }
      url = next;
    }
  }

  /** `isProbe`: whoever asks wants to see what the host does, and takes no hint from it. */
  async function exchangeOnce(request: Exchange, attempt: number, isProbe: boolean): Promise<ReadableResponse> {
    const { url } = request;
    const gate = gateOf(url.host);
    const place = await gate.enter();
    try {
      await sitOutPark(url.host);
      // undici takes a connection back a turn of the event loop after its answer has ended, and until then would rather make a new one.
      if (gate.isJustLeft()) await nextTurn();
      const selected = dispatchers.select(url);
      const dispatcher = selected instanceof Promise ? await selected : selected;
      stop.signal.throwIfAborted();
      const answer = await exchange(request, {
        dispatcher,
        place,
        stallTimeout,
        traffic,
        active,
        onAnswer(status, header) {
          if (isProbe) return;
          if (status === 429) gate.slowDown();
          else gate.speedUp();
          const retryAfter = isRetryStatus(status) ? parseRetryAfter(header("retry-after"), new Date()) : undefined;
          if (retryAfter !== undefined) parkedUntil.set(url.host, Date.now() + retryAfter);
        },
      });
      return {
        status: answer.status,
        url,
        attempts: attempt,
        headers: answer.headers,
        header: (name) => answer.headers(name)[0],
        bytes: nothing,
        stream: answer.stream,
        discard: answer.discard,
        read: answer.read,
      };
    } catch (error) {
      place.leave();
      throw describeTlsError(url.host, error) ?? error;
    }
  }

  /** Also for those that were already queued when the host said so; whoever waits here keeps its turn. */
  async function sitOutPark(host: string): Promise<void> {
    for (let known = 0; ; ) {
      const until = parkedUntil.get(host) ?? 0;
      const rest = until - Date.now();
      if (rest <= 0 || until === known) return;
      known = until;
      await wait(rest);
    }
  }

  function gateOf(host: string): HostGate {
    let gate = gates.get(host);
    if (gate === undefined) {
      gate = createHostGate(host, rules.get(host)?.connections ?? defaultConnections);
      gates.set(host, gate);
    }
    return gate;
  }

  function giveUp(error: InfrastructureError): void {
    stop.abort(error);
    for (const gate of gates.values()) gate.close(error);
    for (const fail of [...active]) fail(error);
  }
  const onAbort = (): void => giveUp(new InfrastructureError("the work was given up", { code: "aborted", cause: signal?.reason }));
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });

  return {
    send,
    traffic,
    attempts,
    wait,
    async close() {
      signal?.removeEventListener("abort", onAbort);
      giveUp(new InfrastructureError("the registry client was closed", { code: "aborted" }));
      await dispatchers.close();
    },
  };
}

async function readBody(response: ReadableResponse, maxBytes: number): Promise<Uint8Array> {
  const isError = response.status >= 400;
  const most = isError ? maxErrorBytes : maxBytes;
  const tooLarge = (size: string): never => {
    throw new InfrastructureError(
      `the answer of ${response.url.host} for ${response.url.pathname} is too large: ${size}, at most ${most} are read`,
      {
        code: "too-large",
        safeToRetry: false,
      },
    );
  };
  const declared = parseContentLength(response.header("content-length"));
  if (!isError && declared !== undefined && declared > most) {
    await response.discard();
    return tooLarge(`${declared} bytes`);
  }
  const { bytes, isWhole } = await response.read(most);
  if (!isWhole && !isError) return tooLarge(`more than ${most} bytes`);
  try {
    return decodeContent(bytes, response.header("content-encoding"), most, `of ${response.url.host} for ${response.url.pathname}`);
  } catch (error) {
    // An error's body only serves a message.
    if (isError) return nothing;
    throw error;
  }
}

function exhausted(request: TransportRequest, response: TransportResponse, attempts: number): InfrastructureError {
  const throttled = response.status === 429;
  return new InfrastructureError(
    `registry ${request.url.host} answers ${response.status} to ${request.method} ${request.url.pathname} (tried ${times(attempts)})`,
    {
      code: "registry-error",
      attempts,
      wayOut: throttled
        ? "The registry limits how often it is asked: log in for a higher limit, or run again later."
        : "Look at the registry's own status, and run again when it is well.",
    },
  );
}

function unreachable(request: TransportRequest, error: unknown, attempts: number): InfrastructureError {
  return new InfrastructureError(`registry ${request.url.host} cannot be reached: ${describeCause(error)} (tried ${times(attempts)})`, {
    code: "registry-unreachable",
    attempts,
    cause: error,
    wayOut:
      "Check its name, that it runs, and that this machine may reach it (HTTPS_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS); then run again.",
  });
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

/** The innermost cause says most: undici wraps the system's error, and Node.js bundles one per address. */
export function describeCause(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0 && error.message === "") return describeCause(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? describeCause(error.cause) : error.message || error.name;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function sleepFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}
