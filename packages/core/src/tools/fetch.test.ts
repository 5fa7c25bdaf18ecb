import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { downloadTool } from "./fetch.ts";

const folder = mkdtempSync(join(tmpdir(), "goldenpath-fetch-"));
const target = join(folder, "target");
const servers: Server[] = [];
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(listener: RequestListener): Promise<Server & { url: string }> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

const body = "the bytes of a tool";
const waits: number[] = [];
const good = {
  label: "hammer 1.2.3",
  sha256s: [digestHex(digestOf(body))],
  ports: silentPorts(),
  env: {},
  sleep: async (wait: number) => void waits.push(wait),
};

describe("downloadTool", () => {
  it("refuses what has no end, before it has filled the disk", async () => {
    const server = await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write("x".repeat(16_384)));
        response.once("drain", more);
      };
      more();
    });
    const running = downloadTool({ url: server.url }, target, { ...good, maxBytes: 100_000 });
    await expect(running).rejects.toMatchObject({ code: "tool-mismatch", message: expect.stringContaining("larger") });
    expect(statSync(target).size).toBeLessThanOrEqual(100_000);
  });

  it("refuses other bytes at once: asking again would not change them", async () => {
    let asked = 0;
    const server = await serve((_request, response) => {
      asked++;
      response.end("other bytes");
    });
    await expect(downloadTool({ url: server.url }, target, good)).rejects.toMatchObject({
      code: "tool-mismatch",
      safeToRetry: false,
    });
    expect(asked).toBe(1);
  });

  it("gives up a server that keeps failing after three tries, and one that refuses after one", async () => {
    for (const [status, tries] of [
      [503, 3],
      [429, 3],
      [404, 1],
      [401, 1],
    ] as const) {
      let asked = 0;
      const server = await serve((_request, response) => {
        asked++;
        response.writeHead(status).end();
      });
      await expect(downloadTool({ url: server.url }, target, good)).rejects.toMatchObject({
        code: "tool-download-failed",
      });
      expect(asked, String(status)).toBe(tries);
      expect(waits.splice(0), String(status)).toHaveLength(tries - 1);
    }
  });

  it("does not carry credentials to another host", async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end(body);
    });
    const server = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: elsewhere.url }).end();
    });
    await downloadTool({ url: server.url, authorization: "Basic eA==" }, target, good);
    expect(seen).toEqual(["Basic eA==", undefined]);
    expect(readFileSync(target, "utf8")).toBe(body);
  });

  it("goes through the proxy of the environment that it is given, and around it where that says so", async () => {
    const server = await serve((_request, response) => response.end(body));
    let tunnels = 0;
    const proxy = await serve((_request, response) => response.writeHead(500).end());
    proxy.on("connect", (request, socket, head) => {
      tunnels++;
      const [host, port] = (request.url ?? "").split(":");
      const upstream = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on("error", () => socket.destroy());
      socket.on("error", () => upstream.destroy());
    });
    // undici speaks plain http to a proxy either by CONNECT or by an absolute request line, depending on its version.
    proxy.removeAllListeners("request");
    proxy.on("request", async (_request, response) => {
      tunnels++;
      response.end(body);
    });
    await downloadTool({ url: server.url }, target, { ...good, env: { HTTP_PROXY: proxy.url } });
    expect(tunnels).toBe(1);
    await downloadTool({ url: server.url }, target, { ...good, env: { HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" } });
    expect(tunnels).toBe(1);
  });

  it("reports the bytes as they come, of how many where the server says so", async () => {
    const server = await serve((_request, response) =>
      response.writeHead(200, { "content-length": String(body.length) }).end(body),
    );
    const told: unknown[] = [];
    let received = 0;
    const ports: Ports = {
      ...silentPorts(),
      progress: {
        start(label, total) {
          told.push(label, total);
          return {
            advance: (amount) => {
              received += amount;
            },
            done: () => void told.push("done"),
            failed: () => void told.push("failed"),
          };
        },
      },
    };
    await downloadTool({ url: server.url }, target, { ...good, ports });
    expect(told).toEqual(["Downloading hammer 1.2.3", { unit: "bytes", amount: body.length }, "done"]);
    expect(received).toBe(body.length);
  });
});
