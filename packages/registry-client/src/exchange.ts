import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { Traffic } from "./client.ts";
import { type Place, runAsSource } from "./host-gate.ts";
import { type StallWatch, watchForStall } from "./stall.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What is sent, of a known length in bytes; `open` starts it from the beginning each time it is called. */
export interface RequestBody {
  length: number;
  open(): AsyncIterable<Uint8Array>;
}

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
  /** Everything under way; what is called ends it with this error. */
  active: Set<(error: Error) => void>;
}

export interface Answer {
  status: number;
  headers(name: string): string[];
  /** The body as it comes. Ending it early cuts the connection. */
  stream(): AsyncGenerator<Uint8Array>;
  /** The whole body, or its first bytes where it is longer than `maxBytes`: `isWhole` tells. */
  read(maxBytes: number): Promise<{ bytes: Uint8Array; isWhole: boolean }>;
  /** A short rest is read, so that the connection can be used again; a long one is cut off. Never fails. */
  discard(): Promise<void>;
}

/** What failed was not the connection but where the content comes from, whose own error this carries. */
export class SourceFailure extends Error {}

/** How much of an answer waits here for its reader before the server has to wait. Bytes. */
const highWater = 512 * 1024;
/** A body up to here is one write; a longer one goes in steps, so that a slow line is not taken for one that stands still. Bytes. */
const oneWrite = 64 * 1024;
/** How many times the stall's limit an answer may take that is read whole, and has a few megabytes at most. */
const wholeAnswer = 5;
/** What is read of an unwanted body rather than to make a new connection. Bytes. */
const worthReading = 64 * 1024;

/**
 * Sends one request by undici's lowest interface: its `request` makes a stream, an AbortController and three promises for each, which is most of what a small
 * request costs.
 * @throws undici's and Node's errors; `SourceFailure`; what `active` was called with
 */
export function exchange(request: Exchange, context: ExchangeContext): Promise<Answer> {
  const { dispatcher, place, traffic, active } = context;
  const { url, method } = request;
  traffic.requests++;
  return new Promise<Answer>((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let state: "sending" | "answered" | "ended" = "sending";
    let failure: Error | undefined;
    let wake: (() => void) | undefined;
    let chunks: Uint8Array[] = [];
    let queued = 0;
    let most = highWater;
    const timer = watchForStall(context.stallTimeout, fail);
    // The same moments matter to both: whether it is the server that everybody waits for.
    const watch: StallWatch = {
      arm: () => {
        timer.arm();
        place.setIdle(false);
      },
      disarm: () => {
        timer.disarm();
        place.setIdle(true);
      },
      moved: timer.moved,
      bound: timer.bound,
      end: timer.end,
    };

    /** For the body's source: once there is an answer, it is no more the sending that is waited for. */
    const whileSending: StallWatch = {
      arm: () => {
        if (state === "sending") watch.arm();
      },
      disarm: () => {
        if (state === "sending") watch.disarm();
      },
      moved: timer.moved,
      bound: () => undefined,
      end: () => undefined,
    };

    function end(): void {
      state = "ended";
      watch.end();
      active.delete(fail);
      place.leave();
      wake?.();
    }

    function fail(error: Error): void {
      if (state === "ended") return;
      const isAnswered = state === "answered";
      failure = error;
      end();
      if (!isAnswered) reject(error);
      controller?.abort(error);
    }

    /** Until something more of the body is there, or its end. */
    async function more(): Promise<void> {
      watch.arm();
      await new Promise<void>((resolveWake) => {
        wake = resolveWake;
      });
      wake = undefined;
    }

    function takeChunks(): Uint8Array[] {
      const taken = chunks;
      chunks = [];
      queued = 0;
      if (state !== "ended") controller?.resume();
      return taken;
    }

    function cut(): void {
      if (state === "ended") return;
      end();
      controller?.abort(new Error("the rest is not wanted"));
    }

    const answer = (status: number, headers: Readonly<Record<string, string | string[] | undefined>>): Answer => ({
      status,
      headers(name) {
        const value = headers[name];
        return value === undefined ? [] : Array.isArray(value) ? value : [value];
      },
      async *stream() {
        try {
          for (;;) {
            if (chunks.length > 0) for (const chunk of takeChunks()) yield chunk;
            else if (failure !== undefined) throw failure;
            else if (state === "ended") return;
            else await more();
          }
        } finally {
          cut();
        }
      },
      async read(maxBytes) {
        // It is all held here anyway, and the reader does nothing else in between.
        most = maxBytes;
        watch.bound(wholeAnswer * context.stallTimeout);
        controller?.resume();
        while (state !== "ended" && queued <= maxBytes) await more();
        if (failure !== undefined) throw failure;
        const isWhole = queued <= maxBytes;
        const bytes = new Uint8Array(queued);
        let at = 0;
        for (const chunk of takeChunks()) {
          bytes.set(chunk, at);
          at += chunk.byteLength;
        }
        cut();
        return { bytes: isWhole ? bytes : bytes.subarray(0, maxBytes), isWhole };
      },
      async discard() {
        for (let dropped = 0; ; await more()) {
          dropped += queued;
          takeChunks();
          if (state === "ended" || dropped > worthReading) break;
        }
        cut();
      },
    });

    active.add(fail);
    watch.arm();
    const { body } = request;
    const small = body instanceof Uint8Array && body.byteLength <= oneWrite ? body : undefined;
    // undici's client takes any iterable, and only its types do not say so.
    const content = body === undefined ? null : (small ?? (countBody(body, url.host, traffic, whileSending) as unknown as Readable));
    const length = body instanceof Uint8Array ? body.byteLength : body?.length;
    try {
      dispatcher.dispatch(
        {
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method,
          // A POST without a body needs its length of 0, which some servers insist on.
          headers:
            length !== undefined
              ? { ...request.headers, "content-length": String(length) }
              : method === "POST"
                ? { ...request.headers, "content-length": "0" }
                : request.headers,
          body: content,
          // undici closes the connection after each HEAD, for servers that answer it with a body: those are told by the next answer that makes no sense.
          ...(method === "HEAD" ? { reset: false } : {}),
        },
        {
          onRequestStart(given) {
            controller = given;
            if (state === "ended") given.abort(failure ?? new Error("ended"));
            else if (small !== undefined) traffic.bytesSent += small.byteLength;
          },
          onResponseStart(_controller, status, headers) {
            if (status < 200 || state !== "sending") return;
            state = "answered";
            watch.disarm();
            watch.moved(Number.POSITIVE_INFINITY);
            const answered = answer(status, headers);
            context.onAnswer(status, (name) => answered.headers(name)[0]);
            resolve(answered);
          },
          onResponseData(given, chunk) {
            traffic.bytesReceived += chunk.byteLength;
            if (state !== "answered") return;
            chunks.push(chunk);
            queued += chunk.byteLength;
            if (queued > most) given.pause();
            watch.disarm();
            watch.moved(chunk.byteLength);
            wake?.();
          },
          onResponseEnd() {
            if (state !== "ended") end();
          },
          onResponseError(_controller, error) {
            fail(error);
          },
        },
      );
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** Counts what is sent, and keeps the watch: while the source thinks, it is not the server that is silent. */
async function* countBody(body: Uint8Array | RequestBody, host: string, traffic: Traffic, watch: StallWatch): AsyncGenerator<Uint8Array> {
  let source: AsyncIterator<Uint8Array> | undefined;
  let isDone = false;
  const failed = (cause: unknown): SourceFailure => new SourceFailure("the content could not be read", { cause });
  try {
    for (;;) {
      watch.disarm();
      let next: IteratorResult<Uint8Array>;
      try {
        next = await runAsSource(host, () => {
          source ??= (body instanceof Uint8Array ? slices(body) : body.open())[Symbol.asyncIterator]();
          return source.next();
        });
      } catch (error) {
        isDone = true;
        throw failed(error);
      }
      if (next.done === true) {
        isDone = true;
        break;
      }
      if (next.value.byteLength === 0) continue;
      traffic.bytesSent += next.value.byteLength;
      watch.arm();
      yield next.value;
      watch.disarm();
      watch.moved(next.value.byteLength);
    }
    watch.arm();
  } finally {
    // Whoever stops early (an answer that came before the end) has the source let go of what it holds.
    if (!isDone) await source?.return?.().catch(() => undefined);
  }
}

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += oneWrite) yield bytes.subarray(at, at + oneWrite);
}
