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

describe("redirects", () => {
  const withLogin = (url: string) => ({ ...get(url), headers: { authorization: "Basic c2VjcmV0" } });

  test("the login goes along on the same host and port, and to no other", async () => {
    const other = await registry();
    const first = await registry({
      faults: [{ path: "^/v2/a/", action: { kind: "redirect", location: `${other.url}/v2/` } }],
    });
    expect((await transport().send(withLogin(`${first.url}/v2/a/x`))).url.host).toBe(new URL(other.url).host);
    expect(first.requests[0]?.headers.authorization).toBe("Basic c2VjcmV0");
    expect(other.requests).toHaveLength(1);
    expect(other.requests[0]?.headers).not.toHaveProperty("authorization");

    first.faults = [{ path: "^/v2/a/", action: { kind: "redirect", location: "/v2/" } }];
    first.requests.length = 0;
    await transport().send(withLogin(`${first.url}/v2/a/x`));
    expect(first.requests.map((request) => request.headers.authorization)).toEqual([
      "Basic c2VjcmV0",
      "Basic c2VjcmV0",
    ]);
  });

  test("the login does not come back on the way home", async () => {
    const first = await registry();
    const other = await registry({ faults: [{ action: { kind: "redirect", location: `${first.url}/v2/` } }] });
    first.faults = [{ path: "^/v2/a/", action: { kind: "redirect", location: `${other.url}/x` } }];
    await transport().send(withLogin(`${first.url}/v2/a/x`));
    expect(first.requests.map((request) => request.headers.authorization)).toEqual(["Basic c2VjcmV0", undefined]);
  });

  test.each(["http://registry.example.com/x", "ftp://localhost/x", "http://"])("to %s is refused", async (location) => {
    const server = await registry({ faults: [{ action: { kind: "redirect", location } }] });
    await expect(transport().send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "redirect-refused" });
  });

  test("in a circle end in an error", async () => {
    const server = await registry({ faults: [{ action: { kind: "redirect", location: "{path}" } }] });
    await expect(transport().send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "redirect-refused" });
    expect(server.requests).toHaveLength(11);
  });

  test("a PUT follows a 307 with its body, and a POST with a body does not go to another host", async () => {
    const bodies: string[] = [];
    const port = await http(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      bodies.push(`${request.method} ${text}`);
      response.writeHead(201).end();
    });
    const server = await registry({
      faults: [{ action: { kind: "redirect", location: `http://127.0.0.1:${port}/x` } }],
    });
    const body = new TextEncoder().encode("content");
    expect((await transport().send({ method: "PUT", url: new URL(`${server.url}/v2/a`), body })).status).toBe(201);
    await expect(transport().send({ method: "POST", url: new URL(`${server.url}/v2/a`), body })).rejects.toMatchObject({
      code: "redirect-refused",
    });
    expect(bodies).toEqual(["PUT content"]);
  });

  test("what only the host itself can do does not follow to another one, and does within it", async () => {
    const other = await registry();
    const elsewhere = { kind: "redirect" as const, location: `${other.url}{path}` };
    const server = await registry({ faults: [{ action: elsewhere }] });
    for (const method of ["POST", "DELETE", "PUT"] as const) {
      const request = { method, url: new URL(`${server.url}/v2/a`), staysOnHost: method === "PUT" };
      await expect(transport().send(request)).rejects.toMatchObject({ code: "redirect-refused" });
      expect(other.requests).toEqual([]);
      server.faults = [{ times: 1, action: { ...elsewhere, location: "{path}" } }];
      expect((await transport().send(request)).url.host).toBe(new URL(server.url).host);
      server.faults = [{ action: elsewhere }];
    }
  });

  test("a 303 is followed by a GET without the content", async () => {
    const seen: string[] = [];
    const port = await http((request, response) => {
      seen.push(
        `${request.method} ${request.headers["content-length"] ?? "nothing"} ${request.headers["content-type"] ?? "nothing"}`,
      );
      if (request.method === "PUT") response.writeHead(303, { location: "/b" });
      request.resume().on("end", () => response.end());
    });
    const headers = { "content-type": "text/plain" };
    const request = {
      method: "PUT" as const,
      url: new URL(`http://127.0.0.1:${port}/a`),
      headers,
      body: new Uint8Array(1),
    };
    expect((await transport().send(request)).status).toBe(200);
    expect(seen).toEqual(["PUT 1 text/plain", "GET nothing nothing"]);
  });

  test.each([301, 302])("a PUT does not follow a %d", async (status) => {
    const server = await registry({ faults: [{ action: { kind: "redirect", location: "/v2/", status } }] });
    const request = { method: "PUT" as const, url: new URL(`${server.url}/v2/a`), body: new Uint8Array(1) };
    await expect(transport().send(request)).rejects.toMatchObject({ code: "redirect-refused" });
    expect(server.requests).toHaveLength(1);
  });
});

describe("proxies", () => {
  test("https goes through HTTPS_PROXY, but not to a host of NO_PROXY; localhost goes through none", async () => {
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(request.url ?? "");
      response.writeHead(500).end();
    });
    proxy.on("connect", (request, socket) => {
      seen.push(request.url ?? "");
      socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    });
    const url = `http://127.0.0.1:${await listen(proxy)}`;
    const server = await registry();
    const made = transport({ attempts: 1, env: { HTTPS_PROXY: url, HTTP_PROXY: url, NO_PROXY: "direct.invalid" } });
    await expect(made.send(get("https://registry.invalid/v2/"))).rejects.toMatchObject({
      code: "registry-unreachable",
    });
    await expect(made.send(get("https://direct.invalid/v2/"))).rejects.toMatchObject({
      message: expect.stringContaining("direct.invalid"),
    });
    expect((await made.send(get(`${server.url}/v2/`))).status).toBe(200);
    expect(seen).toEqual(["registry.invalid:443"]);
  });

  test.each(["127.0.0.1:PORT", "localhost:PORT", "me:pass@127.0.0.1:PORT", " http://127.0.0.1:PORT "])(
    "a proxy may be written as %j",
    async (form) => {
      const seen: string[] = [];
      const proxy = createServer();
      proxy.on("connect", (asked, socket) => {
        seen.push(asked.url ?? "");
        socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      });
      const value = form.replace("PORT", String(await listen(proxy)));
      const made = transport({ attempts: 1, env: { HTTPS_PROXY: value, https_proxy: "", NO_PROXY: "10.0.0.0/8" } });
      await expect(made.send(get("https://registry.invalid/v2/"))).rejects.toMatchObject({
        code: "registry-unreachable",
      });
      expect(seen).toEqual(["registry.invalid:443"]);
    },
  );

  test("a proxy's password is masked, and a proxy that is no URL is an error that does not repeat it", () => {
    const masked: string[] = [];
    const ports = { ...silentPorts(), mask: (secret: string) => void masked.push(secret) };
    transport({ ports, env: { https_proxy: "http://me:se%20cret@proxy.corp:3128" } });
    expect(masked.sort()).toEqual(["se cret", "se%20cret"]);
    expect(() => transport({ env: { HTTPS_PROXY: "me:hunter2@proxy" } })).toThrow(
      /HTTPS_PROXY is not the http or https URL of a proxy/,
    );
    expect(() => transport({ env: { HTTPS_PROXY: "me:hunter2@proxy" } })).not.toThrow(/hunter2/);
    for (const login of ["me:100%", "m%e:secret"]) {
      expect(() => transport({ env: { HTTPS_PROXY: `http://${login}@proxy.corp:3128` } })).toThrow(
        /is not the http or https URL of a proxy/,
      );
    }
  });
});
