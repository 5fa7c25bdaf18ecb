import type { ServerResponse } from "node:http";
import { http, transport, useCleanups } from "@goldenpath/testing/servers";
import { describe, expect, test } from "vitest";

useCleanups();

/** A server that keeps its answers back until it is told, and knows how many requests it has had at once. */
async function slowServer() {
  const held: { path: string; response: ServerResponse }[] = [];
  const waiting: (() => void)[] = [];
  const host = await http((request, response) => {
    held.push({ path: request.url ?? "", response });
    for (const wake of waiting.splice(0)) wake();
  });
  return {
    host,
    held,
    async until(count: number): Promise<void> {
      while (held.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

const get = (host: string, path: string) => ({
  method: "GET" as const,
  url: new URL(`http://${host}${path}`),
  readUpTo: 1000,
});

describe("requests on their way to a host at once", () => {
  test.each([
    [undefined, 8],
    [3, 3],
    [1, 1],
  ])("connections %j: %d, in the order in which they came", async (connections, expected) => {
    const server = await slowServer();
    const made = transport(connections === undefined ? {} : { hosts: { [server.host]: { connections } } });
    const sent = Array.from({ length: 20 }, (_, index) => made.send(get(server.host, `/${index}`)));
    const order: string[] = [];
    for (let done = 0; done < 20; ) {
      await server.until(Math.min(expected, 20 - done));
      // Time for one too many to show itself.
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(server.held.length).toBeLessThanOrEqual(expected);
      for (const { path, response } of server.held.splice(0)) {
        order.push(path);
        done++;
        response.end();
      }
    }
    await Promise.all(sent);
    const number = (path: string) => Number(path.slice(1));
    for (const [index, path] of order.entries()) expect(Math.abs(number(path) - index)).toBeLessThan(expected);
  });

  test("a host's bound is its own", async () => {
    const servers = [await slowServer(), await slowServer()];
    const made = transport({ hosts: Object.fromEntries(servers.map(({ host }) => [host, { connections: 1 }])) });
    const sent = servers.flatMap(({ host }) => [made.send(get(host, "/1")), made.send(get(host, "/2"))]);
    for (const server of servers) {
      await server.until(1);
      server.held.shift()?.response.end();
      await server.until(1);
      server.held.shift()?.response.end();
    }
    expect(await Promise.all(sent)).toHaveLength(4);
  });

  test("a request that content comes from belongs to the upload, and does not wait behind others", async () => {
    const seen: string[] = [];
    const host = await http(async (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      for await (const _chunk of request);
      response.end("content");
    });
    const made = transport({ hosts: { [host]: { connections: 1 } } });
    let hasBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    async function* open() {
      hasBegun();
      await new Promise((resolve) => setTimeout(resolve, 20));
      yield* (await made.send({ method: "GET", url: new URL(`http://${host}/source`) })).stream();
    }
    const put = made.send({ method: "PUT", url: new URL(`http://${host}/target`), body: { length: 7, open } });
    await begun;
    // From outside, and first.
    await Promise.all([made.send(get(host, "/queued")), put.then((answer) => answer.discard())]);
    // The PUT itself goes out with its first bytes.
    expect(seen).toEqual(["GET /source", "PUT /target", "GET /queued"]);
  });

  test("one that waits for its turn can be given up", async () => {
    const server = await slowServer();
    const controller = new AbortController();
    const made = transport({ hosts: { [server.host]: { connections: 1 } }, signal: controller.signal });
    const sent = [made.send(get(server.host, "/1")), made.send(get(server.host, "/2"))].map((each) =>
      each.catch((error: unknown) => error),
    );
    await server.until(1);
    controller.abort();
    for (const each of sent) expect(await each).toMatchObject({ code: "aborted" });
    expect(server.held.map(({ path }) => path)).toEqual(["/1"]);
  });

  test("a body that is read holds its place until its end", async () => {
    const server = await slowServer();
    const made = transport({ hosts: { [server.host]: { connections: 1 } } });
    const first = made.send({ method: "GET", url: new URL(`http://${server.host}/1`) });
    await server.until(1);
    const body = server.held.shift()?.response;
    body?.write("one");
    const stream = (await first).stream()[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);
    const rest = stream.next();
    const second = made.send(get(server.host, "/2"));
    // The server has the first one's rest to give, and for as long it does not get the second.
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(server.held).toEqual([]);
    body?.end();
    expect((await rest).done).toBe(true);
    await server.until(1);
    server.held.shift()?.response.end();
    expect((await second).status).toBe(200);
  });

  test("answers that nobody reads do not stop the rest", async () => {
    const host = await http((_request, response) => void response.end("x".repeat(2_000_000)));
    const made = transport({ hosts: { [host]: { connections: 2 } } });
    const unread = [1, 2].map(() => made.send({ method: "GET", url: new URL(`http://${host}/`) }));
    await Promise.all(unread);
    expect((await made.send({ ...get(host, "/"), readUpTo: 2_000_000 })).bytes).toHaveLength(2_000_000);
  });
});

describe("a host that is asked too much", () => {
  test("is left alone by the requests that were queued already", async () => {
    const times: number[] = [];
    const host = await http((_request, response) => {
      times.push(Date.now());
      response.writeHead(times.length === 1 ? 429 : 200, times.length === 1 ? { "retry-after": "50" } : {}).end();
    });
    const waits: number[] = [];
    const made = transport({
      hosts: { [host]: { connections: 1 } },
      // Time passes for nobody: each that waits would have waited for about as long as the host said.
      sleep: async (milliseconds) => void waits.push(milliseconds),
    });
    await Promise.all([1, 2, 3].map((index) => made.send(get(host, `/${index}`))));
    expect(times).toHaveLength(4);
    // The one that was told, and each of the other two at its turn, and the first again at its own.
    expect(waits.filter((each) => each > 40_000)).toHaveLength(4);
  });

  test("gets fewer requests at once", async () => {
    let atOnce = 0;
    let most = 0;
    let answers = 0;
    const host = await http((_request, response) => {
      if (++answers <= 8) return void response.writeHead(429).end();
      most = Math.max(most, ++atOnce);
      setTimeout(() => {
        atOnce--;
        response.end();
      }, 10);
    });
    const made = transport({ sleep: async () => undefined });
    await Promise.all(Array.from({ length: 8 }, (_, index) => made.send(get(host, `/${index}`))));
    expect(most).toBe(1);
  });
});
