import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { startRegistry } from "@goldenpath/registry-server/server";
import { cleanups, listen, patientTransport, registry, useCleanups } from "@goldenpath/testing/servers";
import { describe, expect, test } from "vitest";
import { createTransport } from "./transport.ts";

useCleanups();

const http = (listener: RequestListener): Promise<number> => listen(createServer(listener));
const get = (url: string) => ({ method: "GET" as const, url: new URL(url), readUpTo: 1000 });

describe("retries", () => {
  test.each([408, 429, 500, 502, 503, 504])("%d is tried again, and passes when it is over", async (status) => {
    const server = await registry({ faults: [{ times: 2, action: { kind: "status", status } }] });
    const made = patientTransport();
    expect((await made.send(get(`${server.url}/v2/`))).status).toBe(200);
    expect(made.waits).toHaveLength(2);
    expect(server.requests.map((request) => request.status)).toEqual([status, status, 200]);
  });

  test("a status that stays ends in registry-error after all tries", async () => {
    const server = await registry({ faults: [{ action: { kind: "status", status: 503 } }] });
    const made = patientTransport({ attempts: 3 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({
      code: "registry-error",
      attempts: 3,
      safeToRetry: true,
    });
    expect(server.requests).toHaveLength(3);
  });

  test.each([400, 401, 403, 404, 405, 501])("%d is an answer, asked for once", async (status) => {
    const server = await registry({ faults: [{ action: { kind: "status", status } }] });
    expect((await patientTransport().send(get(`${server.url}/v2/`))).status).toBe(status);
    expect(server.requests).toHaveLength(1);
  });

  test("whoever wants any status gets the first one, with its headers, and the host is not parked for it", async () => {
    const server = await registry({
      faults: [{ times: 1, action: { kind: "status", status: 429, headers: { "Retry-After": "30" } } }],
    });
    const made = patientTransport();
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
      const made = patientTransport();
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
    const made = patientTransport({ attempts: 1 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "registry-error" });
    expect(made.waits).toEqual([]);
    await made.send(get(`${server.url}/v2/`));
    expect(made.waits).toHaveLength(1);
    expect(made.waits[0]).toBeGreaterThan(40_000);
  });

  test.each(["reset", "reset-headers"] as const)("a connection that breaks (%s) is tried again", async (kind) => {
    const server = await registry({ faults: [{ times: 2, action: { kind } }] });
    expect((await patientTransport().send(get(`${server.url}/v2/`))).status).toBe(200);
    expect(server.requests).toHaveLength(3);
  });

  test("a body that breaks off is read again", async () => {
    const server = await registry({ faults: [{ times: 1, action: { kind: "replace", body: "x".repeat(500) } }] });
    server.faults = [
      { times: 1, action: { kind: "truncate", afterBytes: 1 } },
      { times: 1, action: { kind: "replace", body: "whole" } },
    ];
    const response = await patientTransport().send(get(`${server.url}/v2/`));
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
    const response = await patientTransport().send({
      method: "PUT",
      url: new URL(`http://127.0.0.1:${port}/x`),
      body: { length: 7, open },
    });
    expect(response.status).toBe(201);
    expect(bodies).toEqual(["one two", "one two"]);
  });

  test("an error of the content's source is thrown as it is, and not tried again", async () => {
    const made = patientTransport();
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
    const made = patientTransport({ attempts: 3 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 3,
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(made.waits).toHaveLength(2);
  });

  test("a name that does not resolve is not tried again", async () => {
    const made = patientTransport();
    await expect(made.send(get("https://registry.invalid/v2/"))).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 1,
    });
  });

  test("a server that says nothing is given up", async () => {
    const port = await listen(createTcpServer(() => undefined));
    const made = patientTransport({ attempts: 2, stallTimeout: 100 });
    await expect(made.send(get(`http://127.0.0.1:${port}/v2/`))).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 2,
      message: expect.stringContaining("nothing moved for 100 ms"),
    });
  });

  test("a body on which nothing moves is given up", async () => {
    const server = await registry({ faults: [{ action: { kind: "stall" } }] });
    const made = patientTransport({ attempts: 1, stallTimeout: 100 });
    await expect(made.send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "registry-unreachable" });
  });

  test("a server that does not take the body is given up", async () => {
    const port = await listen(createTcpServer((socket) => void socket.pause()));
    const made = patientTransport({ attempts: 1, stallTimeout: 200 });
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
    await expect(patientTransport({ attempts: 2 }).send(get(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({
      code: "registry-unreachable",
    });
  });

  test("giving up ends a request under way, and the waiting between two", async () => {
    const silent = await listen(createTcpServer(() => undefined));
    const underWay = new AbortController();
    const first = patientTransport({ signal: underWay.signal }).send(get(`http://127.0.0.1:${silent}/`));
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
    await expect(patientTransport().send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "too-large" });
    const chunked = await http((_request, response) => void response.write("x".repeat(1001)));
    await expect(patientTransport().send(get(`http://127.0.0.1:${chunked}/`))).rejects.toMatchObject({
      code: "too-large",
    });
  });

  test("of an error's endless body only the start is read", async () => {
    const port = await http((_request, response) => {
      response.writeHead(404);
      const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
      response.on("close", () => clearInterval(timer));
    });
    const response = await patientTransport().send(get(`http://127.0.0.1:${port}/`));
    expect(response.status).toBe(404);
    expect(response.bytes.byteLength).toBeGreaterThan(0);
  });

  test("traffic counts requests and bytes both ways", async () => {
    const port = await http(async (request, response) => {
      for await (const _chunk of request);
      response.end("12345");
    });
    const made = patientTransport();
    await made.send({
      method: "PUT",
      url: new URL(`http://127.0.0.1:${port}/`),
      body: new Uint8Array(7),
      readUpTo: 10,
    });
    expect(made.traffic).toEqual({ requests: 1, bytesReceived: 5, bytesSent: 7 });
  });
});
