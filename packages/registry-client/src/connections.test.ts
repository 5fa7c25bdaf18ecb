import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { startRegistry } from "@goldenpath/registry-server/server";
import { cleanups, http, serve, transport, useCleanups } from "@goldenpath/testing/servers";
import { describe, expect, test } from "vitest";
import { createRegistryClient } from "./create.ts";
import { describeBytes } from "./testing.ts";

useCleanups();

const get = (host: string, path: string) => ({
  method: "GET" as const,
  url: new URL(`http://${host}${path}`),
  readUpTo: 1000,
});

describe("one connection for one request after another", () => {
  test("of any method, with and without bodies", async () => {
    const server = createServer((request, response) => {
      request.resume();
      request.on("end", () => response.end(request.method === "HEAD" ? undefined : "hello"));
    });
    let connections = 0;
    server.on("connection", () => connections++);
    const host = await serve(server);
    const made = transport();
    const url = new URL(`http://${host}/`);
    for (const method of ["HEAD", "GET", "HEAD", "PUT", "DELETE", "POST", "HEAD"] as const) {
      const body = method === "PUT" ? { body: new Uint8Array(100) } : {};
      const answer = await made.send({ method, url, ...body });
      expect(answer.status).toBe(200);
      await answer.discard();
    }
    expect(connections).toBe(1);
  });

  test("a server that answers a HEAD with a body is understood all the same", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        const isHead = data.toString().startsWith("HEAD");
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${isHead ? "wrong" : "right"}`);
      });
    });
    const host = await serve(server);
    const made = transport({ sleep: async () => undefined });
    for (let time = 0; time < 5; time++) {
      await (await made.send({ method: "HEAD", url: new URL(`http://${host}/`) })).discard();
      expect(new TextDecoder().decode((await made.send(get(host, "/"))).bytes)).toBe("right");
    }
  });
});

describe("content and those who read and give it", () => {
  test("a long body arrives as it is, from its start with each try", async () => {
    const body = new Uint8Array(300_000).map((_, index) => index % 251);
    const seen: Buffer[] = [];
    const host = await http(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      response.writeHead(seen.push(Buffer.concat(chunks)) === 1 ? 503 : 201).end();
    });
    const made = transport({ sleep: async () => undefined });
    const answer = await made.send({ method: "PUT", url: new URL(`http://${host}/`), body });
    expect(answer.status).toBe(201);
    expect(seen.map((each) => each.equals(body))).toEqual([true, true]);
    expect(made.traffic).toMatchObject({ requests: 2, bytesSent: 600_000 });
  });

  test("an answer before the content's end is the answer, and the source is let go", async () => {
    const host = await http((_request, response) => void response.writeHead(403).end("no"));
    let isOpen = false;
    let letGo = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    async function* open() {
      isOpen = true;
      try {
        for (;;) {
          yield new Uint8Array(100_000);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      } finally {
        isOpen = false;
        letGo();
      }
    }
    const made = transport({ hosts: { [host]: { connections: 1 } } });
    const answer = await made.send({ method: "PUT", url: new URL(`http://${host}/`), body: { length: 1e9, open } });
    expect([answer.status, new TextDecoder().decode(answer.bytes)]).toEqual([403, "no"]);
    await released;
    expect(isOpen).toBe(false);
    // Nor does it keep its place.
    expect((await made.send(get(host, "/"))).status).toBe(403);
  });

  test.each([
    ["in one piece", 5],
    ["in several", 300_000],
  ])("a server that takes all of it (%s) and then says nothing is given up", async (_how, length) => {
    const host = await http((request) => void request.resume());
    const made = transport({ attempts: 1, stallTimeout: 150 });
    const sent = made.send({ method: "PUT", url: new URL(`http://${host}/`), body: new Uint8Array(length) });
    await expect(sent).rejects.toMatchObject({
      code: "registry-unreachable",
      message: expect.stringContaining("nothing moved"),
    });
  });

  test("an answer that is read in part is cut off, and gives its place back", async () => {
    let cut = (): void => undefined;
    const isCut = new Promise<void>((resolve) => {
      cut = resolve;
    });
    const host = await http((request, response) => {
      if (request.url === "/short") response.end("short");
      else response.on("close", cut).write(Buffer.alloc(1_000_000));
    });
    const made = transport({ hosts: { [host]: { connections: 1 } } });
    const answer = await made.send({ method: "GET", url: new URL(`http://${host}/`) });
    for await (const _chunk of answer.stream()) break;
    await isCut;
    expect((await made.send(get(host, "/short"))).bytes).toHaveLength(5);
  });

  test("a hint before the answer is not the answer", async () => {
    const host = await serve(
      createTcpServer((socket) => {
        socket.on("error", () => undefined);
        const hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
        socket.once("data", () => void socket.write(`${hint}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright`));
      }),
    );
    const answer = await transport().send(get(host, "/"));
    expect([answer.status, new TextDecoder().decode(answer.bytes)]).toEqual([200, "right"]);
  });

  test("a server that answers half, while the content still comes and stops, is given up", async () => {
    let answered = (): void => undefined;
    const isAnswered = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const host = await http((_request, response) => void response.writeHead(200).write("half"));
    const made = transport({ attempts: 1, stallTimeout: 300 });
    async function* open() {
      yield new Uint8Array(5);
      await isAnswered;
      yield new Uint8Array(5);
      await new Promise(() => undefined);
    }
    const answer = await made.send({ method: "PUT", url: new URL(`http://${host}/`), body: { length: 15, open } });
    const stream = answer.stream()[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);
    const rest = stream.next();
    answered();
    await expect(rest).rejects.toThrow("nothing moved");
  });

  test("who reads slowly, and a source that thinks, is not taken for a silent server", async () => {
    const host = await http(async (request, response) => {
      for await (const _chunk of request);
      response.end("x".repeat(5_000_000));
    });
    const made = transport({ attempts: 1, stallTimeout: 150 });
    async function* open() {
      await new Promise((resolve) => setTimeout(resolve, 400));
      yield new Uint8Array(5);
    }
    const answer = await made.send({ method: "PUT", url: new URL(`http://${host}/`), body: { length: 5, open } });
    let size = 0;
    for await (const chunk of answer.stream()) {
      if (size === 0) await new Promise((resolve) => setTimeout(resolve, 400));
      size += chunk.byteLength;
    }
    expect(size).toBe(5_000_000);
  });

  test("an answer that is not read makes the server wait, and nothing here grow", async () => {
    let sent = 0;
    const chunk = Buffer.alloc(1_000_000);
    const host = await http((_request, response) => {
      const write = (): void => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.byteLength;
        sent += chunk.byteLength;
        response.once("drain", write);
      };
      write();
    });
    const made = transport();
    const answer = await made.send({ method: "GET", url: new URL(`http://${host}/`) });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(made.traffic.bytesReceived).toBeLessThan(4_000_000);
    const before = sent;
    let size = 0;
    for await (const each of answer.stream()) {
      size += each.byteLength;
      if (size > 50_000_000) break;
    }
    expect(sent).toBeGreaterThan(before);
  });
});

describe("copies between two repositories of one registry that does not mount", () => {
  test.each([
    [1, 1],
    [1, 5],
    [2, 6],
  ])("with connections: %d, %d at once, end well", async (connections, copies) => {
    const server = await startRegistry({ faults: [{ path: "mount=", action: { kind: "status", status: 405 } }] });
    cleanups.push(() => server.close());
    const client = createRegistryClient({ ports: silentPorts(), env: {}, hosts: { [server.host]: { connections } } });
    cleanups.push(() => client.close());
    const from = { registry: server.host, name: "from" };
    const blobs = Array.from({ length: copies }, (_, index) => new Uint8Array(3_000_000).fill(index));
    for (const bytes of blobs)
      await client.pushBlob(from, describeBytes(bytes, "application/octet-stream"), () => bytes);
    await Promise.all(
      blobs.map(async (bytes) => {
        const descriptor = describeBytes(bytes, "application/octet-stream");
        expect(await client.copyBlob(from, { ...from, name: "to" }, descriptor)).toBe("copied");
      }),
    );
    const copied = (await server.snapshot())["to"]?.blobs ?? [];
    expect(copied).toHaveLength(copies);
  });
});
