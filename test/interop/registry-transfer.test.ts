import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startDistribution, startOlareg, type TestServer } from "../support/servers.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// Real registries, and a line to them that is cut while a blob is on its way.
const tools = useTools("olareg");
const mebibyte = 1024 * 1024;

interface Line {
  /** `localhost:PORT` */
  host: string;
  /**
   * The connection is cut once so many bytes went over it, one way or the other; one connection for each entry. Bytes.
   */
  cuts: number[];
  /** What went to the registry, in bytes. */
  sent: number;
  /** The requests, as `PUT`, in the order in which they began. */
  methods: string[];
  stop(): Promise<void>;
}

/** A line of TCP to `host` that can be cut. */
async function openLine(host: string): Promise<Line> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(host.split(":")[1]), "127.0.0.1");
    let moved = 0;
    const cut = (): void => {
      near.resetAndDestroy();
      far.destroy();
    };
    const pass = (from: Socket, to: Socket, count: (chunk: Buffer) => void): void => {
      open.add(from);
      from.on("error", cut);
      from.on("close", () => {
        open.delete(from);
        to.end();
      });
      from.on("data", (chunk: Buffer) => {
        count(chunk);
        moved += chunk.byteLength;
        const [limit] = line.cuts;
        if (limit !== undefined && moved > limit) {
          line.cuts.shift();
          cut();
        } else if (!to.write(chunk)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
    };
    pass(near, far, (chunk) => {
      line.sent += chunk.byteLength;
      const method = /^(GET|HEAD|POST|PUT|PATCH|DELETE) \/v2\//.exec(chunk.subarray(0, 16).toString("latin1"))?.[1];
      if (method !== undefined) line.methods.push(method);
    });
    pass(far, near, () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const line: Line = {
    host: `localhost:${(server.address() as AddressInfo).port}`,
    cuts: [],
    sent: 0,
    methods: [],
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return line;
}

const content = new Uint8Array(randomBytes(40 * mebibyte));
const blob: Descriptor = { mediaType: mediaTypes.ociLayerTar, digest: digestOf(content), size: content.byteLength };
async function* inChunks() {
  for (let at = 0; at < content.byteLength; at += 65_536) yield content.subarray(at, at + 65_536);
}

const registries = {
  "CNCF distribution": async () => startDistribution(await requireCommand("docker-registry")),
  olareg: () => startOlareg(tools.olareg),
};

describe.each(Object.entries(registries))("%s", (kind, start) => {
  let registry: TestServer;
  let line: Line;
  let client: RegistryClient;
  let number = 0;
  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    await requireCommand("docker-registry", suite);
    registry = await start();
  });
  afterAll(() => registry.stop());
  beforeEach(async () => {
    line = await openLine(registry.host);
    client = createRegistryClient({ ports: silentPorts(), env: {} });
    number++;
  });
  afterEach(async () => {
    await client.close();
    await line.stop();
  });
  const name = () => `team/shop-${number}`;
  const over = () => ({ registry: line.host, name: name() });
  const directly = () => ({ registry: registry.host, name: name() });

  test("never makes a blob of other bytes, also where the upload was taken up", async () => {
    let opened = 0;
    async function* changing() {
      opened++;
      for await (const chunk of inChunks()) yield opened === 1 ? chunk : new Uint8Array(chunk.byteLength);
    }
    line.cuts = [20 * mebibyte];
    await expect(client.pushBlob(over(), blob, changing)).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(opened).toBeGreaterThan(1);
    expect(await client.hasBlob(directly(), blob.digest)).toBe(false);
  });

  test("takes a blob in one POST and one PUT", async () => {
    await client.pushBlob(over(), blob, inChunks, { isMissing: true });
    expect(line.methods).toEqual(["POST", "PUT"]);
    expect(await client.hasBlob(directly(), blob.digest)).toBe(true);
  });

  test("has the blob after a line that was cut in the middle, and again later", async () => {
    line.cuts = [20 * mebibyte, 10 * mebibyte];
    await client.pushBlob(over(), blob, inChunks, { isMissing: true });
    expect(line.cuts).toEqual([]);
    expect(digestOf(await client.fetchBlob(directly(), blob))).toBe(blob.digest);
    if (kind === "olareg") {
      // It tells what it has: nothing but what was on its way is sent again.
      expect(line.methods).toEqual(["POST", "PUT", "GET", "PATCH", "GET", "PATCH", "PUT"]);
      expect(line.sent).toBeLessThan(blob.size + 8 * mebibyte);
    } else {
      // Distribution 2.8 gives an upload up whose length is not the one that its location tells, so each break costs
      // all of it.
      expect(line.methods.filter((method) => method === "POST")).toHaveLength(3);
    }
  });

  test("takes a blob in chunks, each at the location that the last answer gave", async () => {
    // Cut before any of the body is there: the registry has an upload, and nothing in it.
    line.cuts = [2000];
    await client.pushBlob(over(), blob, inChunks, { isMissing: true });
    expect(line.methods).toEqual(["POST", "PUT", "GET", "HEAD", "POST", "PATCH", "PATCH", "PATCH", "PUT"]);
    expect(digestOf(await client.fetchBlob(directly(), blob))).toBe(blob.digest);
  });

  test("is read over a line that is cut again and again, and what it had is not read again", async () => {
    await client.pushBlob(directly(), blob, () => content);
    line.cuts = [5 * mebibyte, 7 * mebibyte, 3 * mebibyte];
    expect(digestOf(await client.fetchBlob(over(), blob))).toBe(blob.digest);
    expect(line.cuts).toEqual([]);
    expect(line.methods).toEqual(["GET", "GET", "GET", "GET"]);
  });

  test("gives and takes a copy over two such lines", async () => {
    const source = await startOlareg(tools.olareg);
    const sourceLine = await openLine(source.host);
    try {
      await client.pushBlob({ registry: source.host, name: "quarantine/shop" }, blob, () => content);
      sourceLine.cuts = [8 * mebibyte, 9 * mebibyte];
      line.cuts = [25 * mebibyte];
      expect(await client.copyBlob({ registry: sourceLine.host, name: "quarantine/shop" }, over(), blob)).toBe(
        "copied",
      );
      expect([...sourceLine.cuts, ...line.cuts]).toEqual([]);
      expect(digestOf(await client.fetchBlob(directly(), blob))).toBe(blob.digest);
    } finally {
      await sourceLine.stop();
      await source.stop();
    }
  });

  test("mounts a blob in one request", async () => {
    await client.pushBlob(directly(), blob, () => content);
    const to = { registry: line.host, name: `vetted/shop-${number}` };
    expect(await client.copyBlob(over(), to, blob)).toBe("mounted");
    expect(line.methods).toEqual(["POST"]);
  });
});
