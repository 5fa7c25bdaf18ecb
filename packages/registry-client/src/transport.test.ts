import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { createTransport, type Transport, type TransportOptions } from "./transport.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function registry(options: Parameters<typeof startRegistry>[0] = {}): Promise<RegistryServer> {
  const server = await startRegistry(options);
  cleanups.push(() => server.close());
  return server;
}

/** A transport that notes how long it would wait. */
function transport(options: Partial<TransportOptions> = {}): Transport & { waits: number[] } {
  const waits: number[] = [];
  const made = createTransport({
    ports: silentPorts(),
    env: {},
    random: () => 0,
    sleep: async (milliseconds) => void waits.push(milliseconds),
    ...options,
  });
  cleanups.push(() => made.close());
  return Object.assign(made, { waits });
}

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** For answers that no registry gives. */
const http = (listener: RequestListener) => listen(createServer(listener));

const get = (url: string) => ({ method: "GET" as const, url: new URL(url), readUpTo: 1000 });

describe("retries", () => {
  test.each([408, 429, 500, 502, 503, 504])("%d is tried again, and passes when it is over", async (status) => {
    const server = await registry({ faults: [{ times: 2, action: { kind: "status", status } }] });
    const made = transport();
    expect((await made.send(get(`${server.url}/v2/`))).status).toBe(200);
    expect(made.waits).toHaveLength(2);
    expect(server.requests.map((request) => request.status)).toEqual([status, status, 200]);
  });

  test("a status that stays ends in registry-error after all tries", async () => {
    const server = await registry({ faults: [{ action: { kind: "status", status: 503 } }] });
    const made = transport({ attempts: 3 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({
      code: "registry-error",
      attempts: 3,
      safeToRetry: true,
    });
    expect(server.requests).toHaveLength(3);
  });

  test.each([400, 401, 403, 404, 405, 501])("%d is an answer, asked for once", async (status) => {
    const server = await registry({ faults: [{ action: { kind: "status", status } }] });
    expect((await transport().send(get(`${server.url}/v2/`))).status).toBe(status);
    expect(server.requests).toHaveLength(1);
  });

  test("whoever wants any status gets the first one, with its headers, and the host is not parked for it", async () => {
    const server = await registry({
      faults: [{ times: 1, action: { kind: "status", status: 429, headers: { "Retry-After": "30" } } }],
    });
    const made = transport();
    const answer = await made.send({ ...get(`${server.url}/v2/`), anyStatus: true });
    expect({ status: answer.status, retryAfter: answer.header("retry-after") }).toEqual({
      status: 429,
      retryAfter: "30",
    });
    expect((await made.send(get(`${server.url}/v2/`))).status).toBe(200);
    expect({ waits: made.waits, requests: server.requests.length }).toEqual({ waits: [], requests: 2 });
  });

  test("waits as long as Retry-After says, in seconds and as a date, and no longer than a minute", async () => {
    const date = new Date(Date.now() + 30_000).toUTCString();
    const fault = (retryAfter: string) => ({
      times: 1,
      action: { kind: "status" as const, status: 429, headers: { "Retry-After": retryAfter } },
    });
    const waitsFor = async (retryAfter: string) => {
      const server = await registry({ faults: [fault(retryAfter)] });
      const made = transport();
      await made.send(get(`${server.url}/v2/`));
      return made.waits[0] ?? Number.NaN;
    };
    expect(await waitsFor("7")).toBe(7_000);
    expect(await waitsFor("99999")).toBe(60_000);
    const untilDate = await waitsFor(date);
    expect(untilDate).toBeGreaterThan(7_000);
    expect(untilDate).toBeLessThanOrEqual(30_000);
  });

  test("a host that wants to be left alone is left alone by every request", async () => {
    const server = await registry({
      faults: [{ times: 1, action: { kind: "status", status: 429, headers: { "Retry-After": "50" } } }],
    });
    const made = transport({ attempts: 1 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "registry-error" });
    expect(made.waits).toEqual([]);
    await made.send(get(`${server.url}/v2/`));
    expect(made.waits).toHaveLength(1);
    expect(made.waits[0]).toBeGreaterThan(40_000);
  });

  test.each(["reset", "reset-headers"] as const)("a connection that breaks (%s) is tried again", async (kind) => {
    const server = await registry({ faults: [{ times: 2, action: { kind } }] });
    expect((await transport().send(get(`${server.url}/v2/`))).status).toBe(200);
    expect(server.requests).toHaveLength(3);
  });

  test("a body that breaks off is read again", async () => {
    const server = await registry({ faults: [{ times: 1, action: { kind: "replace", body: "x".repeat(500) } }] });
    server.faults = [
      { times: 1, action: { kind: "truncate", afterBytes: 1 } },
      { times: 1, action: { kind: "replace", body: "whole" } },
    ];
    const response = await transport().send(get(`${server.url}/v2/`));
    expect(new TextDecoder().decode(response.bytes)).toBe("whole");
  });

  test("a body is sent anew from its beginning", async () => {
    let requests = 0;
    const bodies: string[] = [];
    const port = await http(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      bodies.push(text);
      response.writeHead(++requests === 1 ? 503 : 201).end();
    });
    async function* open() {
      yield new TextEncoder().encode("one ");
      yield new TextEncoder().encode("two");
    }
    const response = await transport().send({
      method: "PUT",
      url: new URL(`http://127.0.0.1:${port}/x`),
      body: { length: 7, open },
    });
    expect(response.status).toBe(201);
    expect(bodies).toEqual(["one two", "one two"]);
  });

  test("an error of the content's source is thrown as it is, and not tried again", async () => {
    const made = transport();
    const server = await registry();
    const failure = new RangeError("disk on fire");
    let opened = 0;
    // biome-ignore lint/correctness/useYield: it fails before it has anything
    async function* open(): AsyncGenerator<Uint8Array> {
      opened++;
      throw failure;
    }
    await expect(
      made.send({ method: "PUT", url: new URL(`${server.url}/v2/a/x`), body: { length: 7, open } }),
    ).rejects.toBe(failure);
    expect(opened).toBe(1);
  });
});

describe("what cannot be reached", () => {
  test("nobody listens: registry-unreachable, after all tries", async () => {
    const server = await startRegistry();
    await server.close();
    const made = transport({ attempts: 3 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 3,
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(made.waits).toHaveLength(2);
  });

  test("a name that does not resolve is not tried again", async () => {
    const made = transport();
    await expect(made.send(get("https://registry.invalid/v2/"))).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 1,
    });
  });

  test("a server that says nothing is given up", async () => {
    const port = await listen(createTcpServer(() => undefined));
    const made = transport({ attempts: 2, stallTimeout: 100 });
    await expect(made.send(get(`http://127.0.0.1:${port}/v2/`))).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 2,
      message: expect.stringContaining("nothing moved for 100 ms"),
    });
  });

  test("a body on which nothing moves is given up", async () => {
    const server = await registry({ faults: [{ action: { kind: "stall" } }] });
    const made = transport({ attempts: 1, stallTimeout: 100 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "registry-unreachable" });
  });

  test("a server that does not take the body is given up", async () => {
    const port = await listen(createTcpServer((socket) => void socket.pause()));
    const made = transport({ attempts: 1, stallTimeout: 200 });
    const length = 64 * 1024 * 1024;
    async function* open() {
      for (let sent = 0; sent < length; sent += 1024 * 1024) yield new Uint8Array(1024 * 1024);
    }
    await expect(
      made.send({ method: "PUT", url: new URL(`http://127.0.0.1:${port}/x`), body: { length, open } }),
    ).rejects.toMatchObject({
      code: "registry-unreachable",
    });
  });

  test("a server that speaks something else is an error of the registry's side", async () => {
    const port = await listen(createTcpServer((socket) => void socket.end("SSH-2.0-x\r\n")));
    await expect(transport({ attempts: 2 }).send(get(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({
      code: "registry-unreachable",
    });
  });

  test("giving up ends a request under way, and the waiting between two", async () => {
    const silent = await listen(createTcpServer(() => undefined));
    const underWay = new AbortController();
    const first = transport({ signal: underWay.signal }).send(get(`http://127.0.0.1:${silent}/`));
    setTimeout(() => underWay.abort(), 50);
    await expect(first).rejects.toMatchObject({ code: "aborted" });

    const server = await registry({
      faults: [{ action: { kind: "status", status: 503, headers: { "Retry-After": "50" } } }],
    });
    const waiting = new AbortController();
    const made = createTransport({ ports: silentPorts(), env: {}, signal: waiting.signal });
    cleanups.push(() => made.close());
    const second = made.send(get(`${server.url}/v2/`));
    setTimeout(() => waiting.abort(), 100);
    await expect(second).rejects.toMatchObject({ code: "aborted" });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "aborted" });
  });

  test("closing ends what waits for its next try, and so does a signal that was there before", async () => {
    const server = await registry({
      faults: [{ action: { kind: "status", status: 503, headers: { "Retry-After": "50" } } }],
    });
    const options = { ports: silentPorts(), env: {} };
    const closed = createTransport(options);
    const waiting = closed.send(get(`${server.url}/v2/`));
    waiting.catch(() => undefined);
    await expect.poll(() => server.requests.length).toBe(1);
    await closed.close();
    await expect(waiting).rejects.toMatchObject({ code: "aborted" });
    const late = createTransport({ ...options, signal: AbortSignal.abort() });
    await expect(late.send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "aborted" });
    await late.close();
    expect(server.requests).toHaveLength(1);
  });
});

describe("bodies", () => {
  test("a body over the limit is refused, whether its length is told or not", async () => {
    const server = await registry({ faults: [{ action: { kind: "replace", body: "x", repeat: 1001 } }] });
    await expect(transport().send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "too-large" });
    const chunked = await http((_request, response) => void response.write("x".repeat(1001)));
    await expect(transport().send(get(`http://127.0.0.1:${chunked}/`))).rejects.toMatchObject({ code: "too-large" });
  });

  test("of an error's endless body only the start is read", async () => {
    const port = await http((_request, response) => {
      response.writeHead(404);
      const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
      response.on("close", () => clearInterval(timer));
    });
    const response = await transport().send(get(`http://127.0.0.1:${port}/`));
    expect(response.status).toBe(404);
    expect(response.bytes.byteLength).toBeGreaterThan(0);
  });

  test("traffic counts requests and bytes both ways", async () => {
    const port = await http(async (request, response) => {
      for await (const _chunk of request);
      response.end("12345");
    });
    const made = transport();
    await made.send({
      method: "PUT",
      url: new URL(`http://127.0.0.1:${port}/`),
      body: new Uint8Array(7),
      readUpTo: 10,
    });
    expect(made.traffic).toEqual({ requests: 1, bytesReceived: 5, bytesSent: 7 });
  });
});
