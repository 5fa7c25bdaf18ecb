import type { Dispatcher } from "undici";
import type { Active } from "./active.ts";
import type { Place } from "./host-gate.ts";
import { type StallWatch, watchForStall } from "./stall.ts";

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

/**
 * One request under way and the body of its answer: undici's handlers move it, and whoever reads the answer takes from
 * it.
 */
export interface Flow {
  state: "sending" | "answered" | "ended";
  failure: Error | undefined;
  controller: Dispatcher.DispatchController | undefined;
  /** What came of the body and nobody has taken yet, and how many bytes that is. */
  chunks: Uint8Array[];
  queued: number;
  /** From so many bytes on the server has to wait. */
  most: number;
  /** Goes on with whoever waits for more of the body, or for its end. */
  wake: (() => void) | undefined;
  readonly watch: StallWatch;
  /** Milliseconds. */
  readonly stallTimeout: number;
  readonly place: Place;
  /** Takes it out of what is under way. */
  readonly leave: () => void;
  /** Ends it with an error. */
  readonly fail: (error: Error) => void;
}

/** How much of an answer waits here for its reader before the server has to wait. Bytes. */
const highWater = 512 * 1024;
/** How many times the stall's limit an answer may take that is read whole, and has a few megabytes at most. */
const wholeAnswer = 5;
/** What is read of an unwanted body rather than to make a new connection. Bytes. */
const worthReading = 64 * 1024;

/** `reject` is called with what ended it before there was an answer. */
export function startFlow(
  { stallTimeout, place, active }: Pick<Flow, "stallTimeout" | "place"> & { active: Active },
  reject: (error: Error) => void,
): Flow {
  const fail = (error: Error): void => {
    if (flow.state === "ended") return;
    const isAnswered = flow.state === "answered";
    flow.failure = error;
    endFlow(flow);
    if (!isAnswered) reject(error);
    flow.controller?.abort(error);
  };
  const flow: Flow = {
    state: "sending",
    failure: undefined,
    controller: undefined,
    chunks: [],
    queued: 0,
    most: highWater,
    wake: undefined,
    watch: watchPlace(watchForStall(stallTimeout, fail), place),
    stallTimeout,
    place,
    leave: active.add(fail),
    fail,
  };
  flow.watch.arm();
  return flow;
}

/** The same moments matter to both: whether it is the server that everybody waits for. */
function watchPlace(timer: StallWatch, place: Place): StallWatch {
  return {
    arm() {
      timer.arm();
      place.setIdle(false);
    },
    disarm() {
      timer.disarm();
      place.setIdle(true);
    },
    moved: timer.moved,
    bound: timer.bound,
    end: timer.end,
  };
}

/** For the body's source: once there is an answer, it is no more the sending that is waited for. */
export function watchWhileSending(flow: Flow): StallWatch {
  const { watch } = flow;
  return {
    arm() {
      if (flow.state === "sending") watch.arm();
    },
    disarm() {
      if (flow.state === "sending") watch.disarm();
    },
    moved: watch.moved,
    bound: () => undefined,
    end: () => undefined,
  };
}

export function endFlow(flow: Flow): void {
  flow.state = "ended";
  flow.watch.end();
  flow.leave();
  flow.place.leave();
  flow.wake?.();
}

/** Something of the answer's body has come. */
export function addChunk(flow: Flow, chunk: Uint8Array, controller: Dispatcher.DispatchController): void {
  flow.chunks.push(chunk);
  flow.queued += chunk.byteLength;
  if (flow.queued > flow.most) controller.pause();
  flow.watch.disarm();
  flow.watch.moved(chunk.byteLength);
  flow.wake?.();
}

/** Until something more of the body is there, or its end. */
async function waitForMore(flow: Flow): Promise<void> {
  flow.watch.arm();
  await new Promise<void>((resolve) => {
    flow.wake = resolve;
  });
  flow.wake = undefined;
}

function takeChunks(flow: Flow): Uint8Array[] {
  const taken = flow.chunks;
  flow.chunks = [];
  flow.queued = 0;
  if (flow.state !== "ended") flow.controller?.resume();
  return taken;
}

function cut(flow: Flow): void {
  if (flow.state === "ended") return;
  endFlow(flow);
  flow.controller?.abort(new Error("the rest is not wanted"));
}

export function answerOf(
  flow: Flow,
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Answer {
  return {
    status,
    headers(name) {
      const value = headers[name];
      return value === undefined ? [] : Array.isArray(value) ? value : [value];
    },
    stream: () => streamBody(flow),
    read: (maxBytes) => readBody(flow, maxBytes),
    discard: () => discardBody(flow),
  };
}

async function* streamBody(flow: Flow): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      if (flow.chunks.length > 0) for (const chunk of takeChunks(flow)) yield chunk;
      else if (flow.failure !== undefined) throw flow.failure;
      else if (flow.state === "ended") return;
      else await waitForMore(flow);
    }
  } finally {
    cut(flow);
  }
}

async function readBody(flow: Flow, maxBytes: number): Promise<{ bytes: Uint8Array; isWhole: boolean }> {
  // It is all held here anyway, and the reader does nothing else in between.
  flow.most = maxBytes;
  flow.watch.bound(wholeAnswer * flow.stallTimeout);
  flow.controller?.resume();
  while (flow.state !== "ended" && flow.queued <= maxBytes) await waitForMore(flow);
  if (flow.failure !== undefined) throw flow.failure;
  const isWhole = flow.queued <= maxBytes;
  const bytes = emptyBytes(flow.queued);
  let at = 0;
  for (const chunk of takeChunks(flow)) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  cut(flow);
  return { bytes: isWhole ? bytes : bytes.subarray(0, maxBytes), isWhole };
}

/**
 * To be written over as a whole. Small ones are parts of a larger piece (Buffer.poolSize), which costs a tenth of a piece
 * of their own; who keeps one keeps that piece.
 */
function emptyBytes(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(length);
  return new Uint8Array(buffer, byteOffset, length);
}

async function discardBody(flow: Flow): Promise<void> {
  for (let dropped = 0; ; await waitForMore(flow)) {
    dropped += flow.queued;
    takeChunks(flow);
    if (flow.state === "ended" || dropped > worthReading) break;
  }
  cut(flow);
}
