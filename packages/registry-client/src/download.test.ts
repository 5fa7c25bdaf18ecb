import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type Fault, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { digestOf } from "./oci/digest.ts";
import { mediaTypes } from "./oci/manifest.ts";
import { describeBytes } from "./testing.ts";

let server: RegistryServer;
let client: RegistryClient;
let repository: { registry: string; name: string };

const connect = (env: Record<string, string> = {}) =>
  createRegistryClient({ ports: silentPorts(), env, attempts: 3, stallTimeout: 500, sleep: async () => undefined });

beforeEach(async () => {
  server = await startRegistry();
  client = connect();
  repository = { registry: server.host, name: "team/shop" };
  await client.pushBlob(repository, blob, () => content);
  server.requests.length = 0;
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const content = new Uint8Array(randomBytes(300_000));
const blob = describeBytes(content, mediaTypes.ociLayerTar);
const onBlob = (action: Fault["action"], times = 1): Fault => ({
  method: "GET",
  path: "/blobs/sha256:",
  times,
  action,
});
const breakOff = onBlob({ kind: "truncate", afterBytes: 100_000 });
const ranges = (from = server) => from.requests.map(({ headers }) => headers.range);
const fetched = async () => digestOf(await client.fetchBlob(repository, blob));

// What is not the rest of the blob is never taken for it: each of these would otherwise give other bytes, which the
// digest finds, or the wrong reason.
test.each([
  ["another beginning", { "Content-Range": "bytes 99999-299999/300000" }],
  ["another size", { "Content-Range": "bytes 100000-299999/300001" }],
  ["an end after the end", { "Content-Range": "bytes 100000-300000/300001" }],
  ["an end after the end, of a size that it does not say", { "Content-Range": "bytes 100000-300000/*" }],
  ["no range", { "Content-Range": null }],
  ["no bytes", { "Content-Range": "items 100000-299999/300000" }],
])("a rest with %s is refused", async (_what, set) => {
  server.faults = [breakOff, onBlob({ kind: "headers", set })];
  await expect(fetched()).rejects.toMatchObject({
    code: "registry-error",
    message: expect.stringContaining("another range"),
  });
});

test("a rest whose length is not that of its range is refused", async () => {
  server.faults = [breakOff, onBlob({ kind: "headers", set: { "Content-Range": "bytes 100000-199999/300000" } })];
  await expect(fetched()).rejects.toMatchObject({ code: "digest-mismatch" });
});

test("a rest that comes in parts is put together", async () => {
  const plain = new Uint8Array(300_000).fill(65);
  const described = describeBytes(plain, mediaTypes.ociLayerTar);
  await client.pushBlob(repository, described, () => plain);
  server.requests.length = 0;
  server.faults = [
    breakOff,
    onBlob({
      kind: "replace",
      status: 206,
      body: "A",
      repeat: 100_000,
      headers: { "Content-Range": "bytes 100000-199999/300000" },
    }),
  ];
  expect(digestOf(await client.fetchBlob(repository, described))).toBe(described.digest);
  expect(ranges()).toEqual([undefined, "bytes=100000-", "bytes=200000-"]);
});

test("a registry that refuses ranges sends everything again", async () => {
  server.faults = [breakOff, onBlob({ kind: "status", status: 416 })];
  expect(await fetched()).toBe(blob.digest);
  expect(ranges()).toEqual([undefined, "bytes=100000-", undefined]);
});

test.each([408, 429, 500, 503])("a %d to the question for the rest is tried again", async (status) => {
  server.faults = [breakOff, onBlob({ kind: "status", status })];
  expect(await fetched()).toBe(blob.digest);
  expect(ranges()).toEqual([undefined, "bytes=100000-", "bytes=100000-"]);
});

test("a rest that is gone is an error", async () => {
  server.faults = [breakOff, onBlob({ kind: "status", status: 404 })];
  await expect(fetched()).rejects.toMatchObject({ code: "blob-not-found" });
});

test("the rest is asked of the registry, since the link to its storage may have been signed for a short time", async () => {
  const storage = await startRegistry();
  try {
    await client.pushBlob({ ...repository, registry: storage.host }, blob, () => content);
    storage.requests.length = 0;
    // The first link works once and breaks off; the second is new.
    storage.faults = [breakOff];
    server.faults = [
      onBlob({ kind: "redirect", location: `${storage.url}{path}?signature=1` }),
      onBlob({ kind: "redirect", location: `${storage.url}{path}?signature=2` }),
    ];
    expect(await fetched()).toBe(blob.digest);
    expect(storage.requests.map(({ query }) => query)).toEqual(["signature=1", "signature=2"]);
    expect(ranges(storage)).toEqual([undefined, "bytes=100000-"]);
    expect(ranges()).toEqual([undefined, "bytes=100000-"]);
  } finally {
    await storage.close();
  }
});

test("a token that has run out meanwhile is replaced for the rest", async () => {
  await server.close();
  server = await startRegistry({ auth: { kind: "bearer", users: { joe: "secret" } } });
  repository.registry = server.host;
  const directory = await mkdtemp(join(tmpdir(), "download-"));
  try {
    const auth = Buffer.from("joe:secret").toString("base64");
    await writeFile(join(directory, "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
    client = connect({ DOCKER_CONFIG: directory });
    await client.pushBlob(repository, blob, () => content);
    const challenge = `Bearer realm="${server.url}/token",service="goldenpath-registry"`;
    server.requests.length = 0;
    server.faults = [
      { ...breakOff, after: 1 },
      onBlob({ kind: "status", status: 401, headers: { "WWW-Authenticate": challenge } }),
    ];
    expect(await fetched()).toBe(blob.digest);
    expect(server.requests.filter(({ path }) => path === "/token").length).toBeGreaterThan(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("no other form of the bytes is asked for than that which the digest names", async () => {
  await fetched();
  expect(server.requests.map(({ headers }) => headers["accept-encoding"])).toEqual(["identity"]);
});

test("a stream that nobody begins to read lets its connection go", async () => {
  const large = new Uint8Array(8 * 1024 * 1024);
  const described = describeBytes(large, mediaTypes.ociLayerTar);
  await client.pushBlob(repository, described, () => large);
  server.requests.length = 0;
  const stream = await client.openBlob(repository, described);
  await stream[Symbol.asyncIterator]().return?.();
  const sent = server.requests[0]?.bytesOut;
  expect(sent).toBeLessThan(large.byteLength);
  // Its connection is closed or free: it is not where the next answer waits.
  expect(await fetched()).toBe(blob.digest);
});

test("a blob that is opened and let go of unread gives its connection back", async () => {
  const size = 4 * 1024 * 1024;
  let release: () => void = () => undefined;
  const isReleased = new Promise<void>((resolve) => {
    release = resolve;
  });
  const endless = createServer((_request, response) => {
    response
      .on("close", release)
      .writeHead(200, { "content-length": size })
      .write(new Uint8Array(size / 2));
  });
  await new Promise<void>((resolve) => endless.listen(0, "127.0.0.1", resolve));
  try {
    const from = { registry: `127.0.0.1:${(endless.address() as AddressInfo).port}`, name: "shop" };
    const opened = await client.openBlob(from, { ...blob, size });
    await opened[Symbol.asyncIterator]().return?.();
    await isReleased;
  } finally {
    endless.closeAllConnections();
    endless.close();
  }
});
