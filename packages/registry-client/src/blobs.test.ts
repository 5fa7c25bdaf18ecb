import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { digestOf } from "./oci/digest.ts";
import { type Descriptor, mediaTypes } from "./oci/manifest.ts";
import { describeBytes, encodeText } from "./testing.ts";

let server: RegistryServer;
let client: RegistryClient;
let repository: { registry: string; name: string };

const createClient = () =>
  createRegistryClient({ ports: silentPorts(), env: {}, attempts: 3, stallTimeout: 500, sleep: async () => undefined });

beforeEach(async () => {
  server = await startRegistry();
  client = createClient();
  repository = { registry: server.host, name: "team/shop" };
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const content = new Uint8Array(randomBytes(300_000));
const blob = describeBytes(content, mediaTypes.ociLayerTar);
const wrongBlob: Descriptor = { ...blob, digest: digestOf("something else") };

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

const requested = (method: string, path: RegExp) =>
  server.requests.filter((request) => request.method === method && path.test(request.path));

describe("downloads", () => {
  const blobGet = { method: "GET", path: "/blobs/sha256:" };
  beforeEach(() => client.pushBlob(repository, blob, () => content));

  test("wrong bytes of the right length are refused", async () => {
    server.faults = [{ ...blobGet, action: { kind: "corrupt", at: 1000 } }];
    await expect(client.fetchBlob(repository, blob)).rejects.toMatchObject({
      code: "digest-mismatch",
      safeToRetry: false,
    });
    await expect(client.openBlob(repository, blob).then(collect)).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(requested("GET", /blobs/)).toHaveLength(2);
  });

  test.each([
    ["longer", "x".repeat(blob.size + 1)],
    ["shorter", "x".repeat(blob.size - 1)],
    ["empty", ""],
  ])("an answer that is %s than the descriptor says is refused", async (_what, body) => {
    server.faults = [{ ...blobGet, action: { kind: "replace", body } }];
    await expect(client.fetchBlob(repository, blob)).rejects.toMatchObject({ code: "digest-mismatch" });
  });

  test("a descriptor with a wrong size is refused, with the right digest", async () => {
    for (const size of [blob.size + 1, blob.size - 1, 0]) {
      await expect(client.fetchBlob(repository, { ...blob, size })).rejects.toMatchObject({ code: "digest-mismatch" });
    }
  });

  test.each(["reset-body", "truncate", "stall"] as const)(
    "a body that breaks off (%s) is taken up where it stopped",
    async (kind) => {
      server.faults = [
        { ...blobGet, times: 1, action: { kind, afterBytes: 100_000 } },
        { ...blobGet, times: 1, action: { kind, afterBytes: 50_000 } },
      ];
      expect(digestOf(await client.fetchBlob(repository, blob))).toBe(blob.digest);
      const ranges = requested("GET", /blobs/).map((request) => request.headers.range);
      expect(ranges).toHaveLength(3);
      expect(ranges[0]).toBeUndefined();
      const [second, third] = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1]));
      expect(second).toBeGreaterThan(0);
      expect(third).toBeGreaterThan(second ?? Number.NaN);
    },
  );

  test("a body that breaks off is taken up by a registry without ranges, from its beginning", async () => {
    const whole = Buffer.alloc(1000, "x").toString();
    const plain = describeBytes(encodeText(whole), mediaTypes.ociLayerTar);
    await client.pushBlob(repository, plain, () => encodeText(whole));
    server.faults = [
      { ...blobGet, times: 1, action: { kind: "truncate", afterBytes: 400 } },
      { ...blobGet, times: 1, action: { kind: "replace", status: 200, body: whole, headers: { "Content-Range": "" } } },
    ];
    expect(digestOf(await client.fetchBlob(repository, plain))).toBe(plain.digest);
  });

  test.each(["reset-body", "truncate"] as const)(
    "a body that always breaks off at once (%s) is refused",
    async (kind) => {
      server.faults = [{ ...blobGet, action: { kind, afterBytes: 0 } }];
      await expect(client.fetchBlob(repository, blob)).rejects.toMatchObject({
        code: "registry-unreachable",
        attempts: 3,
      });
      expect(requested("GET", /blobs/)).toHaveLength(3);
    },
  );

  test("a large blob gets there however often it breaks off, as long as it moves on", async () => {
    const large = new Uint8Array(6 * 1024 * 1024).fill(7);
    const descriptor = describeBytes(large, mediaTypes.ociLayerTar);
    await client.pushBlob(repository, descriptor, () => large);
    server.faults = [{ ...blobGet, action: { kind: "truncate", afterBytes: 1_200_000 } }];
    expect(digestOf(await client.fetchBlob(repository, descriptor))).toBe(descriptor.digest);
    expect(requested("GET", /blobs/).length).toBeGreaterThan(3);
  });

  test("a body without a length that goes on too long is refused as soon as it does", async () => {
    const endless = createServer((_request, response) => {
      const timer = setInterval(() => response.write(content), 1);
      response.on("close", () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => endless.listen(0, "127.0.0.1", resolve));
    const there = { registry: `127.0.0.1:${(endless.address() as AddressInfo).port}`, name: "shop" };
    try {
      await expect(client.fetchBlob(there, blob)).rejects.toMatchObject({
        code: "digest-mismatch",
        message: expect.stringContaining("more than"),
      });
    } finally {
      endless.closeAllConnections();
      endless.close();
    }
  });

  test("another range than the one asked for is refused", async () => {
    server.faults = [
      { ...blobGet, times: 1, action: { kind: "truncate", afterBytes: 100 } },
      {
        ...blobGet,
        times: 1,
        action: { kind: "headers", set: { "Content-Range": `bytes 0-${blob.size - 1}/${blob.size}` } },
      },
    ];
    await expect(client.fetchBlob(repository, blob)).rejects.toMatchObject({ code: "registry-error" });
  });

  test("a part that was not asked for is no whole", async () => {
    server.faults = [{ ...blobGet, action: { kind: "status", status: 206, body: "x" } }];
    await expect(client.fetchBlob(repository, blob)).rejects.toMatchObject({ code: "registry-error" });
  });

  test("a blob that is not there, and one over the limit, have their own errors", async () => {
    await expect(client.fetchBlob(repository, wrongBlob)).rejects.toMatchObject({ code: "blob-not-found" });
    await expect(client.openBlob(repository, wrongBlob)).rejects.toMatchObject({ code: "blob-not-found" });
    server.requests.length = 0;
    await expect(client.fetchBlob(repository, blob, blob.size - 1)).rejects.toMatchObject({ code: "too-large" });
    expect(server.requests).toEqual([]);
    expect((await client.fetchBlob(repository, blob, blob.size)).byteLength).toBe(blob.size);
  });

  test("a stream that nobody reads on lets its connection go", async () => {
    for await (const _chunk of await client.openBlob(repository, blob)) break;
    expect(digestOf(await client.fetchBlob(repository, blob))).toBe(blob.digest);
  });

  test("a slow reader is not a silent server", async () => {
    let size = 0;
    for await (const chunk of await client.openBlob(repository, blob)) {
      if (size === 0) await new Promise((resolve) => setTimeout(resolve, 800));
      size += chunk.byteLength;
    }
    expect(size).toBe(blob.size);
    expect(requested("GET", /blobs/)).toHaveLength(1);
  });

  test("a redirect to storage at another host is followed and verified", async () => {
    const storage = await startRegistry({
      faults: [{ action: { kind: "replace", status: 200, body: "x".repeat(blob.size) } }],
    });
    try {
      server.faults = [{ ...blobGet, action: { kind: "redirect", location: `${storage.url}/v2/` } }];
      await expect(client.fetchBlob(repository, blob)).rejects.toMatchObject({ code: "digest-mismatch" });
      expect(storage.requests).toHaveLength(1);
    } finally {
      await storage.close();
    }
  });

  test("a sha512 digest is verified by sha512", async () => {
    const digest = `sha512:${createHash("sha512").update(content).digest("hex")}` as const;
    const other = { ...blob, digest };
    await client.pushBlob(repository, other, () => content);
    expect((await client.fetchBlob(repository, other)).byteLength).toBe(blob.size);
    server.faults = [{ ...blobGet, path: "/blobs/sha512:", action: { kind: "corrupt" } }];
    await expect(client.fetchBlob(repository, other)).rejects.toMatchObject({ code: "digest-mismatch" });
  });
});

describe("uploads", () => {
  const stored = async () => (await server.snapshot())[repository.name]?.blobs ?? [];
  async function* inChunks() {
    for (let at = 0; at < content.byteLength; at += 65_536) yield content.subarray(at, at + 65_536);
  }

  test.each<[string, () => AsyncIterable<Uint8Array> | Uint8Array]>([
    ["other bytes of the right length", () => new Uint8Array(content.byteLength)],
    ["too few bytes", () => content.subarray(1)],
    ["too many bytes", () => new Uint8Array([...content, 0])],
    ["nothing", () => new Uint8Array()],
  ])("%s never become a blob", async (_what, make) => {
    await expect(client.pushBlob(repository, blob, make)).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(await stored()).toEqual([]);
    expect(requested("PUT", /uploads/).every((request) => request.bytesIn < content.byteLength)).toBe(true);
  });

  test("a descriptor whose size is off is refused, with the right digest", async () => {
    for (const size of [blob.size + 1, blob.size - 1]) {
      await expect(client.pushBlob(repository, { ...blob, size }, () => content)).rejects.toMatchObject({
        code: "digest-mismatch",
      });
    }
    expect(await stored()).toEqual([]);
  });

  test("content that does not end is refused", async () => {
    async function* endless() {
      for (;;) yield content.subarray(0, 65_536);
    }
    await expect(client.pushBlob(repository, blob, endless)).rejects.toMatchObject({ code: "digest-mismatch" });
  });

  test("bytes and streams become blobs, in one POST and one PUT", async () => {
    await client.pushBlob(repository, blob, inChunks);
    expect(await stored()).toEqual([blob.digest]);
    expect(server.requests.map((request) => request.method)).toEqual(["HEAD", "POST", "PUT"]);
    expect(client.traffic.bytesSent).toBe(content.byteLength);
  });

  test("an empty blob is one as well", async () => {
    const empty = describeBytes(new Uint8Array(), mediaTypes.ociLayerTar);
    await client.pushBlob(repository, empty, () => new Uint8Array());
    expect(await stored()).toEqual([empty.digest]);
  });

  test("what is there is not sent", async () => {
    await client.pushBlob(repository, blob, () => content);
    server.requests.length = 0;
    await client.pushBlob(repository, blob, () => {
      throw new Error("it was opened");
    });
    expect(server.requests.map((request) => request.method)).toEqual(["HEAD"]);
  });

  test.each([
    ["the registry answers 503", { kind: "status" as const, status: 503 }],
    ["the upload is not known any more", { kind: "status" as const, status: 404 }],
  ])("it starts again when %s", async (_what, action) => {
    server.faults = [{ method: "PUT", path: "/uploads/", times: 1, action }];
    await client.pushBlob(repository, blob, inChunks);
    expect(await stored()).toEqual([blob.digest]);
    expect(requested("POST", /uploads/)).toHaveLength(2);
  });

  test("it is not sent again when only the answer was lost", async () => {
    server.faults = [{ method: "PUT", path: "/uploads/", times: 1, action: { kind: "reset", processed: true } }];
    await client.pushBlob(repository, blob, inChunks);
    expect(requested("PUT", /uploads/)).toHaveLength(1);
    expect(await stored()).toEqual([blob.digest]);
  });

  test("it ends with an error when it never succeeds", async () => {
    server.faults = [{ method: "PUT", path: "/uploads/", action: { kind: "reset" } }];
    await expect(client.pushBlob(repository, blob, inChunks)).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 3,
    });
    expect(requested("PUT", /uploads/)).toHaveLength(3);
  });

  test.each([
    [400, { code: "registry-error" }],
    [403, { code: "registry-unauthorized" }],
    [413, { code: "too-large" }],
  ])("a %d is not tried again", async (status, expected) => {
    server.faults = [{ method: "PUT", path: "/uploads/", action: { kind: "status", status } }];
    await expect(client.pushBlob(repository, blob, inChunks)).rejects.toMatchObject(expected);
    expect(requested("PUT", /uploads/)).toHaveLength(1);
  });

  test("a registry that received something else says so", async () => {
    server.faults = [
      {
        method: "PUT",
        path: "/uploads/",
        action: { kind: "status", status: 400, body: '{"errors":[{"code":"DIGEST_INVALID","message":"x"}]}' },
      },
    ];
    await expect(client.pushBlob(repository, blob, inChunks)).rejects.toMatchObject({ code: "digest-mismatch" });
  });

  test("an upload without a location is an error", async () => {
    server.faults = [{ method: "POST", action: { kind: "headers", set: { Location: null } } }];
    await expect(client.pushBlob(repository, blob, inChunks)).rejects.toMatchObject({ code: "registry-error" });
  });

  test("hasBlob is true, false, or an error", async () => {
    await client.pushBlob(repository, blob, () => content);
    expect(await client.hasBlob(repository, blob.digest)).toBe(true);
    expect(await client.hasBlob(repository, wrongBlob.digest)).toBe(false);
    server.faults = [{ method: "HEAD", action: { kind: "status", status: 400 } }];
    await expect(client.hasBlob(repository, blob.digest)).rejects.toMatchObject({ code: "registry-error" });
  });
});

describe("mounts", () => {
  const to = () => ({ ...repository, name: "vetted/shop" });
  beforeEach(() => client.pushBlob(repository, blob, () => content));

  test("201 is true", async () => {
    expect(await client.mountBlob(to(), blob.digest, repository)).toBe(true);
    expect((await server.snapshot())["vetted/shop"]?.blobs).toEqual([blob.digest]);
  });

  test("202 is false, and the upload that it began is cancelled", async () => {
    expect(await client.mountBlob(to(), wrongBlob.digest, repository)).toBe(false);
    expect(requested("DELETE", /uploads/).map((request) => request.status)).toEqual([204]);
    server.faults = [{ method: "DELETE", action: { kind: "status", status: 500 } }];
    expect(await client.mountBlob(to(), wrongBlob.digest, repository)).toBe(false);
  });

  test.each([400, 401, 403, 404, 405])("%d is false", async (status) => {
    server.faults = [{ path: "mount=", action: { kind: "status", status } }];
    expect(await client.mountBlob(to(), blob.digest, repository)).toBe(false);
  });

  test("a registry that is not well is an error", async () => {
    server.faults = [{ path: "mount=", action: { kind: "status", status: 500 } }];
    await expect(client.mountBlob(to(), blob.digest, repository)).rejects.toMatchObject({ code: "registry-error" });
  });

  test("another registry is not asked", async () => {
    server.requests.length = 0;
    expect(await client.mountBlob({ ...to(), registry: "ghcr.io" }, blob.digest, repository)).toBe(false);
    expect(server.requests).toEqual([]);
  });
});
