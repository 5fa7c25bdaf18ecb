import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { Active } from "./active.ts";
import type { Traffic } from "./client.ts";
import { type Answer, addChunk, answerOf, endFlow, type Flow, startFlow, watchWhileSending } from "./flow.ts";
import type { Place } from "./host-gate.ts";
import { countBody, oneWrite, type RequestBody } from "./request-body.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One request on the wire, and its one answer: no redirect, no retry. */
export interface Exchange {
  method: Method;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: Uint8Array | RequestBody;
}

export interface ExchangeContext {
  dispatcher: Dispatcher;
  /** Left when the answer has been read or ended, or there was none. */
  place: Place;
  /** Milliseconds. */
  stallTimeout: number;
  traffic: Traffic;
  /** Called before the place is left, so that what a host says (429) holds for whoever is next. */
  onAnswer(status: number, header: (name: string) => string | undefined): void;
  /** Everything under way. */
  active: Active;
}

/**
 * Sends one request by undici's lowest interface: its `request` makes a stream, an AbortController and three promises
 * for each, which is most of what a small request costs.
 * @throws undici's and Node's errors; `SourceFailure`; what `active` was called with
 */
export function exchange(request: Exchange, context: ExchangeContext): Promise<Answer> {
  const { traffic } = context;
  const { body } = request;
  traffic.requests++;
  return new Promise<Answer>((resolve, reject) => {
    const flow = startFlow(context, reject);
    const small = body instanceof Uint8Array && body.byteLength <= oneWrite ? body : undefined;
    // undici's client takes any iterable, and only its types do not say so.
    const content =
      body === undefined
        ? null
        : (small ?? (countBody(body, request.url.host, traffic, watchWhileSending(flow)) as unknown as Readable));
    try {
      context.dispatcher.dispatch(
        dispatchOptions(request, content),
        handle(flow, context, small?.byteLength ?? 0, resolve),
      );
    } catch (error) {
      flow.fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

function dispatchOptions(
  { method, url, headers, body }: Exchange,
  content: Readable | Uint8Array | null,
): Dispatcher.DispatchOptions {
  const length = body instanceof Uint8Array ? body.byteLength : body?.length;
  return {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    // A POST without a body needs its length of 0, which some servers insist on.
    headers:
      length !== undefined
        ? { ...headers, "content-length": String(length) }
        : method === "POST"
          ? { ...headers, "content-length": "0" }
          : headers,
    body: content,
    // undici closes the connection after each HEAD, for servers that answer it with a body: those are told by the next
    // answer that makes no sense.
    ...(method === "HEAD" ? { reset: false } : {}),
  };
}

/** `sentAtOnce`: bytes of the body that go with the request itself. */
function handle(
  flow: Flow,
  { traffic, onAnswer }: ExchangeContext,
  sentAtOnce: number,
  resolve: (answer: Answer) => void,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      flow.controller = controller;
      if (flow.state === "ended") controller.abort(flow.failure ?? new Error("ended"));
      else traffic.bytesSent += sentAtOnce;
    },
    onResponseStart(_controller, status, headers) {
      if (status < 200 || flow.state !== "sending") return;
      flow.state = "answered";
      flow.watch.disarm();
      flow.watch.moved(Number.POSITIVE_INFINITY);
      const answer = answerOf(flow, status, headers);
      onAnswer(status, (name) => answer.headers(name)[0]);
      resolve(answer);
    },
    onResponseData(controller, chunk) {
      traffic.bytesReceived += chunk.byteLength;
      if (flow.state === "answered") addChunk(flow, chunk, controller);
    },
    onResponseEnd() {
      if (flow.state !== "ended") endFlow(flow);
    },
    onResponseError(_controller, error) {
      flow.fail(error);
    },
  };
}
