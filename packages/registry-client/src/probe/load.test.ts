import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryOptions, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { createRegistryClient } from "../create.ts";
import { buildImage, pushBuilt } from "../testing.ts";
import { probeRegistry } from "./probe.ts";
import { verdictOf } from "./probe-report.ts";
import { bounds, check, optionsFor, probe } from "./testing.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function registry(options: RegistryOptions = {}): Promise<RegistryServer> {
  const server = await startRegistry(options);
  cleanups.push(() => server.close());
  return server;
}

describe("the load", () => {
  test("ends at the bound of requests, tokens included, and sends no more", async () => {
    const server = await registry({ auth: { kind: "bearer", users: {}, anonymousPull: true } });
    const before = async () => server.requests.length;
    await probe(server, { write: false });
    const without = await before();
    server.requests.length = 0;
    const report = await probe(server, { write: false, load: bounds({ maxRequests: 25 }) });
    expect(server.requests.length - without).toBeLessThanOrEqual(25);
    expect(report.load).toMatchObject({ endedBy: "requests", clients: 3 });
    expect(report.load?.wireRequests).toBeLessThanOrEqual(25);
  });

  test("requests to where blobs are redirected count", async () => {
    const [server, store] = [await registry(), await registry()];
    const client = createRegistryClient({ ports: silentPorts(), env: {} });
    cleanups.push(() => client.close());
    for (const { host } of [server, store])
      await pushBuilt(client, { registry: host, name: "team/app" }, buildImage(), "v1");
    server.faults = [
      { method: "GET", path: "/blobs/", action: { kind: "redirect", location: `http://${store.host}{path}` } },
    ];
    const first = await probe(server, { write: false, repository: "team/app" });
    expect(check(first, "redirect")).toMatchObject({ answer: "yes", seen: expect.stringContaining(store.host) });
    [server, store].forEach(({ requests }) => void requests.splice(0));
    await probe(server, { write: false, repository: "team/app" });
    const without = server.requests.length + store.requests.length;
    [server, store].forEach(({ requests }) => void requests.splice(0));
    const report = await probe(server, { write: false, repository: "team/app", load: bounds({ maxRequests: 21 }) });
    expect(server.requests.length + store.requests.length - without).toBeLessThanOrEqual(21);
    expect(report.load).toMatchObject({ endedBy: "requests", errors: {} });
  });

  test("a registry that throttles for real", async () => {
    const report = await probe(await registry({ requestsPerSecond: 12 }), {
      write: false,
      load: bounds({ maxRequests: 20 }),
    });
    expect(report.load?.throttled).toMatchObject({ unnamed: 0, retryAfter: ["1"] });
    expect(report.load?.throttled.count).toBeGreaterThan(0);
    expect(report.load?.errors).toEqual({ 429: report.load?.throttled.count });
  });

  test("ends at the bound of bytes", async () => {
    const report = await probe(await registry(), { load: bounds({ maxBytes: 1_000_000, maxRequests: 1_000_000 }) });
    expect(report.load?.endedBy).toBe("bytes");
    expect(report.load?.bytes).toBeLessThanOrEqual(1_000_000);
  });

  test("ends when the time is over, and cuts off what hangs", async () => {
    const server = await registry({ faults: [{ path: "^/v2/$", after: 2, action: { kind: "stall" } }] });
    const report = await probe(server, { write: false, load: bounds({ duration: 200 }) });
    expect(report.load).toMatchObject({ endedBy: "duration", requests: 0, cutOff: 3 });
  });

  test("N clients are N requests at one time: with less, this server would never answer", async () => {
    const clients = 5;
    const waiting: (() => void)[] = [];
    let asked = 0;
    const server = createServer((_request, response) => {
      asked++;
      const answer = () => response.writeHead(200, { "content-length": "2" }).end("{}");
      // What comes before the load is answered at once.
      if (asked <= before) return void answer();
      waiting.push(answer);
      if (waiting.length === clients) for (const each of waiting.splice(0)) each();
    });
    let before = Number.POSITIVE_INFINITY;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    const options = optionsFor(`localhost:${(server.address() as AddressInfo).port}`, { write: false });
    await probeRegistry(options);
    before = asked;
    asked = 0;
    const report = await probeRegistry({ ...options, load: bounds({ clients, maxRequests: 10 * clients }) });
    expect(report.load).toMatchObject({
      endedBy: "requests",
      successes: 10 * clients,
      peakInFlight: clients,
      errors: {},
    });
    const { median = 0, p95 = 0, max = 0 } = report.load?.latency ?? {};
    expect(median).toBeLessThanOrEqual(p95);
    expect(p95).toBeLessThanOrEqual(max);
  });

  test("429s are counted with what they named, and who got one keeps still", async () => {
    const server = await registry({
      faults: [
        {
          path: "^/v2/$",
          after: 2,
          times: 4,
          action: { kind: "status", status: 429, headers: { "Retry-After": "0" } },
        },
      ],
    });
    const report = await probe(server, { write: false, load: bounds({ maxRequests: 30 }) });
    expect(report.load?.throttled).toEqual({ count: 4, unnamed: 0, retryAfter: ["0"], waited: 4 });
    expect(report.load).toMatchObject({ requests: 30, successes: 26, errors: { 429: 4 } });
  });

  test("a client that is told to wait sends nothing until then", async () => {
    const server = await registry({
      faults: [{ path: "^/v2/$", after: 2, action: { kind: "status", status: 429, headers: { "Retry-After": "30" } } }],
    });
    const report = await probe(server, { write: false, load: bounds({ clients: 2, duration: 300 }) });
    expect(report.load).toMatchObject({
      requests: 2,
      endedBy: "duration",
      throttled: { count: 2, retryAfter: ["30"] },
    });
  });

  test("errors by kind, wrong bytes among them, which fail", async () => {
    const server = await registry();
    const client = createRegistryClient({ ports: silentPorts(), env: {} });
    cleanups.push(() => client.close());
    await pushBuilt(
      client,
      { registry: server.host, name: "team/app" },
      buildImage({ layers: ["x".repeat(1000)] }),
      "v1",
    );
    server.faults = [
      { method: "GET", path: "/blobs/", after: 2, times: 2, action: { kind: "corrupt", at: 3 } },
      { method: "HEAD", path: "/manifests/", times: 3, action: { kind: "status", status: 503 } },
    ];
    const report = await probe(server, { write: false, repository: "team/app", load: bounds() });
    expect(report.load?.errors).toEqual({ "wrong-bytes": 2, 503: 3 });
    expect(verdictOf(report)).toBe("fail");
  });
});
