import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { readAnswerBody } from "./answer-body.ts";
import { describeTlsError } from "./certificates.ts";
import type { RegistryClientOptions, Traffic } from "./client.ts";
import { createDispatchers, type Dispatchers } from "./dispatchers.ts";
import { type Exchange, exchange, type Method } from "./exchange.ts";
import type { Answer } from "./flow.ts";
import { createHostPace, type HostPace } from "./host-pace.ts";
import { plainHttpRules, readHostRules } from "./host-settings.ts";
import { isRedirect, planRedirect } from "./redirects.ts";
import { type RequestBody, SourceFailure } from "./request-body.ts";
import { isRetryError, isRetryStatus, parseRetryAfter, retryDelay } from "./retry.ts";
import { createStop, type Stop, sleepFor } from "./stop.ts";
import { describeCause, exhausted, unreachable } from "./unanswered.ts";

export interface TransportRequest {
  method: Method;
  url: URL;
  /** Names in lower case. An `authorization` goes to this URL's scheme, host and port only, whatever redirects say. */
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array | RequestBody;
  /** How often this request is tried in all; the transport's own number unless told. */
  attempts?: number;
  /**
   * Whatever the status is, it is the answer: none is worth another try, and no Retry-After parks the host. For who
   * wants to know what a registry does.
   */
  anyStatus?: boolean;
  /**
   * What is asked for has to be done by the host that is asked: no redirect to another one is followed. It is so for
   * every POST and DELETE.
   */
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
  /**
   * The body as it comes, counted, given up when nothing comes for too long. Where `bytes` does not have it: to be read
   * to the end, or discarded.
   */
  stream(): AsyncIterable<Uint8Array>;
  /** The same at once, up to so many bytes. @throws what the connection throws */
  read(maxBytes: number): Promise<{ bytes: Uint8Array; isWhole: boolean }>;
  discard(): Promise<void>;
}

export interface Transport {
  /**
   * Sends a request until it has an answer that is not worth another try, following redirects. An answer with a status
   * of 400 or more is an answer.
   * @throws InfrastructureError `registry-unreachable`, `registry-error` (still 408, 429 or 5xx after all tries),
   *   `redirect-refused`, `too-large`, `aborted`, `certificate-untrusted`, `client-certificate-refused`; UserError
   *   `certificates-invalid`; what the body's source throws
   */
  send(request: TransportRequest): Promise<TransportResponse>;
  readonly traffic: Traffic;
  readonly attempts: number;
  /** Waits, unless the caller gives up or closes first. @throws InfrastructureError `aborted` */
  wait(milliseconds: number): Promise<void>;
  /** Everything under way or waiting ends with `aborted`. */
  close(): Promise<void>;
}

export type TransportOptions = Pick<
  RegistryClientOptions,
  "ports" | "env" | "signal" | "plainHttp" | "hosts" | "attempts" | "stallTimeout"
> & {
  /** Stands in for the clock, so that tests see how long would be waited instead of waiting. */
  sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
};

const nothing = new Uint8Array();
const maxRedirects = 10;
const userAgent = "goldenpath";

export function createTransport(options: TransportOptions): Transport {
  const { ports } = options;
  const attempts = Math.max(1, options.attempts ?? 5);
  const stallTimeout = options.stallTimeout ?? 60_000;
  const rules = readHostRules(options);
  const plainHttp = plainHttpRules(options);
  const dispatchers = createDispatchers(options, rules, Math.min(stallTimeout, 15_000));
  const stop = createStop(options.signal, options.sleep ?? sleepFor);
  const traffic: Traffic = { requests: 0, bytesReceived: 0, bytesSent: 0 };
  const pace = createHostPace(rules, stop.wait);
  stop.onEnd((reason) => pace.close(reason));
  const sendOnce = createSender({ dispatchers, stop, pace, traffic, stallTimeout });
  const follow = (request: TransportRequest, attempt: number) => followRedirects(sendOnce, request, attempt, plainHttp);

  async function send(request: TransportRequest): Promise<TransportResponse> {
    const most = request.attempts ?? attempts;
    for (let attempt = 1; ; attempt++) {
      stop.signal.throwIfAborted();
      const { response, why, retryAfter } = await tryOnce(request, attempt, most);
      if (response !== undefined) return response;
      const delay = retryDelay(attempt, retryAfter, (options.random ?? Math.random)());
      ports.log.debug(`${request.url.host}: ${why}; trying again in ${delay} ms (try ${attempt} of ${most})`);
      await stop.wait(delay);
    }
  }

  /** An answer that is worth no other try, or why there should be one. */
  async function tryOnce(request: TransportRequest, attempt: number, most: number): Promise<Tried> {
    try {
      const response = await follow(request, attempt);
      const { status } = response;
      if (request.anyStatus === true || !isRetryStatus(status)) {
        if (request.readUpTo !== undefined || status >= 400)
          response.bytes = await readAnswerBody(response, request.readUpTo ?? 0);
        return { response };
      }
      const retryAfter = parseRetryAfter(response.header("retry-after"), new Date());
      await response.discard();
      if (attempt >= most) throw exhausted(request, status, attempt);
      return { why: `it answers ${status}${status === 429 ? " (too many requests)" : ""}`, retryAfter };
    } catch (error) {
      stop.signal.throwIfAborted();
      if (error instanceof SourceFailure) throw error.cause;
      if (isKnownError(error)) throw error;
      if (attempt >= most || !isRetryError(error)) throw unreachable(request, error, attempt);
      return { why: describeCause(error) };
    }
  }

  return {
    send,
    traffic,
    attempts,
    wait: stop.wait,
    async close() {
      stop.close();
      await dispatchers.close();
    },
  };
}

type Tried =
  | { response: TransportResponse; why?: undefined; retryAfter?: undefined }
  | { response?: undefined; why: string; retryAfter?: number | undefined };

/** Sends one request, once; `isProbe`: whoever asks wants to see what the host does, and takes no hint from it. */
type SendOnce = (request: Exchange, attempt: number, isProbe: boolean) => Promise<TransportResponse>;

interface SenderParts {
  dispatchers: Dispatchers;
  stop: Stop;
  pace: HostPace;
  traffic: Traffic;
  stallTimeout: number;
}

function createSender({ dispatchers, stop, pace, traffic, stallTimeout }: SenderParts): SendOnce {
  return async (request, attempt, isProbe) => {
    const { url } = request;
    const { host } = url;
    const gate = pace.gateOf(host);
    // What need not be waited for is not awaited: each wait is a turn of the queue of promises, and a small request has
    // many.
    const entered = gate.enter();
    const place = entered instanceof Promise ? await entered : entered;
    try {
      const parked = pace.sitOutPark(host);
      if (parked !== undefined) await parked;
      // undici takes a connection back a turn of the event loop after its answer has ended, and until then would rather
      // make a new one.
      if (gate.isJustLeft()) await nextTurn();
      const selected = dispatchers.select(url);
      const dispatcher = selected instanceof Promise ? await selected : selected;
      stop.signal.throwIfAborted();
      const answer = await exchange(request, {
        dispatcher,
        place,
        stallTimeout,
        traffic,
        active: stop.active,
        onAnswer(status, header) {
          if (!isProbe) pace.takeHint(host, status, header("retry-after"));
        },
      });
      return toResponse(answer, url, attempt);
    } catch (error) {
      place.leave();
      throw describeTlsError(host, error) ?? error;
    }
  };
}

function toResponse(answer: Answer, url: URL, attempts: number): TransportResponse {
  return {
    status: answer.status,
    url,
    attempts,
    headers: answer.headers,
    header: (name) => answer.headers(name)[0],
    bytes: nothing,
    stream: answer.stream,
    discard: answer.discard,
    read: answer.read,
  };
}

async function followRedirects(
  sendOnce: SendOnce,
  request: TransportRequest,
  attempt: number,
  plainHttp: readonly string[],
): Promise<TransportResponse> {
  const rules = { first: request.url, staysOnHost: request.staysOnHost === true, plainHttp };
  let next: Exchange = {
    method: request.method,
    url: request.url,
    headers: { "user-agent": userAgent, ...request.headers },
    ...(request.body === undefined ? {} : { body: request.body }),
  };
  for (let hop = 0; ; hop++) {
    const response = await sendOnce(next, attempt, request.anyStatus === true);
    const location = response.header("location");
    if (!isRedirect(response.status) || location === undefined) return response;
    await response.discard();
    if (hop === maxRedirects) {
      throw new InfrastructureError(`${request.url.host} redirects more than ${maxRedirects} times`, {
        code: "redirect-refused",
        attempts: attempt,
      });
    }
    next = planRedirect(next, response.status, location, rules);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
