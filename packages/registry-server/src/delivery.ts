import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { RegistryError, refuse, renderError } from "./errors.ts";
import type { FaultAction } from "./faults.ts";
import { bytesReply, type Reply } from "./reply.ts";

/** How an answer goes out. */
export interface Delivery {
  reply: Reply;
  /** A byte of the body to turn over. */
  corruptAt?: number;
  /** Where the body stops, and how: bytes from its start. */
  cut?: { afterBytes: number; how: "reset" | "end" | "stall"; milliseconds?: number };
  /** No answer, or only the beginning of its headers, and a reset. */
  reset?: "before" | "headers";
  /** Added to the Content-Length that is announced. */
  lengthOff?: number;
}

/** An answer given in the registry's place, or undefined where the registry is asked first. */
export function replaceReply(action: FaultAction, target: string): Delivery | undefined {
  switch (action.kind) {
    case "status":
      return action.processed === true ? undefined : { reply: renderStatus(action) };
    case "reset":
      return action.processed === true ? undefined : { reply: { status: 0, headers: {} }, reset: "before" };
    case "redirect":
      return {
        reply: bytesReply(action.status ?? 307, Buffer.alloc(0), "text/plain", {
          Location: action.location.replaceAll("{path}", target),
          ...action.headers,
        }),
      };
    default:
      return undefined;
  }
}

/** The registry's answer → what goes out instead. */
export function alterReply(
  reply: Reply,
  action: FaultAction | undefined,
  request: { method: string; path: string },
): Delivery {
  switch (action?.kind) {
    case "status":
      return { reply: renderStatus(action) };
    case "reset":
    case "reset-request": // The body was shorter, or nobody read it.
      return { reply, reset: "before" };
    case "reset-headers":
      return { reply, reset: "headers" };
    case "reset-body":
      return { reply, cut: { afterBytes: action.afterBytes, how: "reset" } };
    case "truncate":
      return { reply, cut: { afterBytes: action.afterBytes, how: "end" } };
    case "stall": {
      const { afterBytes = 0, milliseconds } = action;
      return { reply, cut: { afterBytes, how: "stall", ...(milliseconds === undefined ? {} : { milliseconds }) } };
    }
    case "corrupt":
      return { reply, corruptAt: action.at ?? 0 };
    case "content-length":
      return { reply, lengthOff: action.by };
    case "headers":
      return { reply: { ...reply, headers: setHeaders(reply.headers, action.set) } };
    case "wrong-digest": {
      const digest = action.digest ?? `sha256:${"0".repeat(64)}`;
      return { reply: { ...reply, headers: setHeaders(reply.headers, { "Docker-Content-Digest": digest }) } };
    }
    case "replace": {
      const body = Buffer.from(action.body.repeat(action.repeat ?? 1));
      const headers = setHeaders(reply.headers, { "Content-Length": String(body.byteLength), ...action.headers });
      return { reply: { status: action.status ?? reply.status, headers, body } };
    }
    case "subject-without-referrers":
      return { reply: forgetReferrers(reply, request) };
    default:
      return { reply };
  }
}

function forgetReferrers(reply: Reply, request: { method: string; path: string }): Reply {
  if (request.method === "PUT" && reply.subject !== undefined) {
    return { ...reply, headers: setHeaders(reply.headers, { "OCI-Subject": reply.subject }) };
  }
  if (request.method !== "GET" || !/\/referrers\/[^/]+$/.test(request.path)) return reply;
  const mediaType = "application/vnd.oci.image.index.v1+json";
  return bytesReply(200, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] })), mediaType);
}

function renderStatus(action: FaultAction & { kind: "status" }): Reply {
  const { status, headers = {}, body } = action;
  if (body !== undefined) return bytesReply(status, Buffer.from(body), "text/plain", headers);
  const code =
    status === 401 ? "UNAUTHORIZED" : status === 403 ? "DENIED" : status === 429 ? "TOOMANYREQUESTS" : "UNKNOWN";
  return renderError(new RegistryError(status, { code, message: "a scripted fault" }, { ...headers }));
}

/** Case-insensitively; null takes a header away. */
function setHeaders(headers: Reply["headers"], set: Readonly<Record<string, string | null>>): Reply["headers"] {
  const names = new Set(Object.keys(set).map((name) => name.toLowerCase()));
  const kept = Object.entries(headers).filter(([name]) => !names.has(name.toLowerCase()));
  return Object.fromEntries([
    ...kept,
    ...Object.entries(set).filter((entry): entry is [string, string] => entry[1] !== null),
  ]);
}

/** Sends an answer. `count` hears of each piece of the body before it goes out. */
export async function deliver(
  delivery: Delivery,
  response: ServerResponse,
  method: string,
  count: (bytes: number) => void,
): Promise<void> {
  try {
    await send(delivery, response, method, count);
  } finally {
    const { body } = delivery.reply;
    if (body !== undefined && !(body instanceof Uint8Array)) body.destroy();
  }
}

async function send(
  delivery: Delivery,
  response: ServerResponse,
  method: string,
  count: (bytes: number) => void,
): Promise<void> {
  const { reply, cut, reset, lengthOff = 0 } = delivery;
  // Not `response.socket`: a client that has read all of the answer before may ask again while that is still being
  // ended, and until then this one has none.
  const { socket } = response.req;
  if (socket.destroyed) return;
  if (reset === "before") return void socket.resetAndDestroy();
  if (reset === "headers") return resetInHeaders(socket, reply.status);
  const headers =
    lengthOff === 0
      ? reply.headers
      : setHeaders(reply.headers, {
          "Content-Length": String(Number(reply.headers["Content-Length"] ?? 0) + lengthOff),
          Connection: "close",
        });
  response.writeHead(reply.status, headers);
  // In one write, where nobody cuts it.
  if (method !== "HEAD" && cut === undefined && lengthOff === 0 && reply.body instanceof Uint8Array) {
    count(reply.body.byteLength);
    response.end(corrupt(reply.body, 0, delivery.corruptAt));
    return;
  }
  if (method !== "HEAD") {
    let offset = 0;
    for await (const chunk of chunksOf(reply.body)) {
      const piece = corrupt(chunk, offset, delivery.corruptAt);
      const room = cut === undefined ? piece.byteLength : Math.max(cut.afterBytes - offset, 0);
      if (cut !== undefined && room < piece.byteLength) {
        count(room);
        await write(response, piece.subarray(0, room));
        if ((await stop(response, socket, cut)) === "stopped") return;
        count(piece.byteLength - room);
        await write(response, piece.subarray(room));
        // The rest goes on from here, once.
        offset = Number.NEGATIVE_INFINITY;
      } else {
        count(piece.byteLength);
        await write(response, piece);
        offset += piece.byteLength;
      }
      if (response.destroyed) return;
    }
    if (cut !== undefined && offset >= 0 && (await stop(response, socket, cut)) === "stopped") return;
  }
  // Node would leave a connection open on which the client waits for the bytes that were announced.
  if (lengthOff > 0) await stop(response, socket, { afterBytes: 0, how: "end" });
  else response.end();
}

async function stop(
  response: ServerResponse,
  socket: Socket,
  cut: NonNullable<Delivery["cut"]>,
): Promise<"stopped" | "resumed"> {
  await write(response, Buffer.alloc(0));
  switch (cut.how) {
    case "reset":
      // Time for the bytes to be read: a reset may overtake them.
      await sleep(20);
      socket.resetAndDestroy();
      return "stopped";
    case "end":
      socket.end();
      return "stopped";
    case "stall": {
      const gone = new AbortController();
      socket.once("close", () => gone.abort());
      if (socket.destroyed) return "stopped";
      const forGood = 2 ** 31 - 1;
      await sleep(cut.milliseconds ?? forGood, undefined, { signal: gone.signal, ref: false }).catch(() => {});
      return socket.destroyed ? "stopped" : "resumed";
    }
  }
}

async function resetInHeaders(socket: Socket, status: number): Promise<void> {
  socket.write(`HTTP/1.1 ${status} \r\nContent-Type: application/octet-stream\r\nContent-Le`);
  await sleep(20);
  socket.resetAndDestroy();
}

function write(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  if (chunk.byteLength === 0) {
    response.flushHeaders();
    return Promise.resolve();
  }
  // Waits for the socket to take it (so a cut comes after it), or to be gone.
  return new Promise((resolve) => {
    const done = () => {
      response.off("close", done);
      resolve();
    };
    response.once("close", done);
    response.write(chunk, done);
  });
}

async function* chunksOf(body: Reply["body"]): AsyncGenerator<Uint8Array> {
  if (body === undefined) return;
  if (body instanceof Uint8Array) {
    if (body.byteLength > 0) yield body;
    return;
  }
  for await (const chunk of body) yield chunk as Uint8Array;
}

function corrupt(chunk: Uint8Array, offset: number, at: number | undefined): Uint8Array {
  if (at === undefined || at < offset || at >= offset + chunk.byteLength) return chunk;
  const copy = Buffer.from(chunk);
  copy[at - offset] = (copy[at - offset] ?? 0) ^ 0xff;
  return copy;
}

/** A request's body, counted; with `most`, `reset` is called and the body breaks off once so many bytes have passed. */
export async function* limitBody(
  body: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
  most: number = Number.POSITIVE_INFINITY,
  reset: () => void = () => {},
): AsyncGenerator<Uint8Array> {
  let room = most;
  const breakOff = (): never => refuse(400, "BLOB_UPLOAD_INVALID", "the request broke off");
  try {
    for await (const chunk of body) {
      const piece = chunk.byteLength > room ? chunk.subarray(0, room) : chunk;
      count(piece.byteLength);
      room -= piece.byteLength;
      if (piece.byteLength > 0) yield piece;
      if (room > 0) continue;
      reset();
      breakOff();
    }
  } catch (error) {
    // The client has gone away: nobody will read this, and it is no failure of the registry.
    if (error instanceof Error && "code" in error && error.code === "ECONNRESET") breakOff();
    throw error;
  }
}
