import { createHash } from "node:crypto";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type Fault, startRegistry } from "@goldenpath/registry-server/server";
import {
  client,
  large,
  largeBlob,
  logIn,
  mebibyte,
  methods,
  reconnect,
  repository,
  requested,
  restart,
  server,
  small,
  smallBlob,
  stored,
  useRegistry,
} from "@goldenpath/testing/transfers";
import { describe, expect, test } from "vitest";
import { mediaTypes } from "./oci/manifest.ts";
import { describeBytes } from "./testing.ts";

useRegistry();

async function* inChunks(content: Uint8Array, size = 65_536) {
  for (let at = 0; at < content.byteLength; at += size) yield content.subarray(at, at + size);
}
const bodies = () =>
  requested("PATCH", "PUT").map(({ method, headers }) => [method, headers["content-range"], headers["content-length"]]);
const onUploads = (method: string | string[], action: Fault["action"], times = 1): Fault => ({
  method,
  path: "/uploads/",
  times,
  action,
});

describe("what is refused", () => {
  test("content that is right only from where the upload was taken up", async () => {
    const other = new Uint8Array(large);
    other[100] = (other[100] ?? 0) ^ 1;
    let opened = 0;
    server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 20 * mebibyte })];
    await expect(
      client.pushBlob(repository, largeBlob, () => inChunks(opened++ === 0 ? other : large)),
    ).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    expect(await stored()).toEqual([]);
  });

  test("content that is something else the second time, before where the upload was taken up and after it", async () => {
    for (const at of [20 * mebibyte - 100_000, 30 * mebibyte]) {
      const other = new Uint8Array(large);
      other[at] = (other[at] ?? 0) ^ 1;
      let opened = 0;
      server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 20 * mebibyte })];
      await expect(
        client.pushBlob(repository, largeBlob, () => inChunks(opened++ === 0 ? large : other)),
      ).rejects.toMatchObject({
        code: "digest-mismatch",
        safeToRetry: false,
      });
      expect(opened).toBe(2);
    }
    expect(await stored()).toEqual([]);
  });

  test("wrong bytes of the right length in a copy, wherever they are, and in chunks", async () => {
    const source = await startRegistry();
    try {
      const from = { registry: source.host, name: "quarantine/shop" };
      await client.pushBlob(from, largeBlob, () => large);
      for (const at of [0, largeBlob.size - 1]) {
        source.faults = [{ method: "GET", action: { kind: "corrupt", at } }];
        await expect(client.copyBlob(from, repository, largeBlob)).rejects.toMatchObject({ code: "digest-mismatch" });
        server.faults = [onUploads("PUT", { kind: "status", status: 413 })];
        await expect(client.copyBlob(from, repository, largeBlob)).rejects.toMatchObject({ code: "digest-mismatch" });
        server.faults = [];
      }
      expect(await stored()).toEqual([]);
      // What it began is taken back, as the specification asks of clients.
      expect(requested("DELETE").map(({ status }) => status)).toEqual([204, 204, 204, 204]);
    } finally {
      await source.close();
    }
  });

  test.each([{ status: 200 }, { status: 202 }])(
    "an end of an upload that is answered $status, where the blob is not there",
    async ({ status }) => {
      server.faults = [onUploads("PUT", { kind: "status", status }, 99)];
      await expect(client.pushBlob(repository, smallBlob, () => small)).rejects.toMatchObject({
        code: "registry-error",
        attempts: 3,
      });
    },
  );

  test.each([403, 413])("a full quota (%d), under its name and without another try", async (status) => {
    const body = '{"errors":[{"code":"DENIED","message":"the quota of this project is used up"}]}';
    server.faults = [onUploads("PUT", { kind: "status", status, body })];
    await expect(client.pushBlob(repository, largeBlob, () => large)).rejects.toMatchObject({ code: "quota-exceeded" });
    expect(requested("PUT", "PATCH")).toHaveLength(1);
  });

  test("a body that is too long in every size", async () => {
    server.faults = [onUploads(["PUT", "PATCH"], { kind: "status", status: 413 }, 99)];
    await expect(client.pushBlob(repository, largeBlob, () => large)).rejects.toMatchObject({ code: "too-large" });
    expect(bodies().map(([, , length]) => Number(length) / mebibyte)).toEqual([40, 10, 2.5, 1]);
    // The registry is there to be told that nobody goes on with it.
    expect(requested("DELETE")).toHaveLength(1);
  });

  test("a registry that keeps nothing, after so many tries however much each of them sent", async () => {
    await restart({ uploadResume: false });
    server.faults = [onUploads(["PUT", "PATCH"], { kind: "reset-request", afterBytes: 10 * mebibyte }, 99)];
    await expect(client.pushBlob(repository, largeBlob, () => large)).rejects.toMatchObject({
      code: "registry-unreachable",
      attempts: 3,
    });
    expect(requested("PUT", "PATCH")).toHaveLength(3);
  });

  test.each([
    ["a disk", new Error("it is gone")],
    [
      "another registry, for which all has been tried",
      new InfrastructureError("it is gone", { code: "registry-unreachable" }),
    ],
  ])("a source that fails (%s), which is its own error and no reason to begin again", async (_what, error) => {
    let opened = 0;
    async function* broken() {
      opened++;
      yield small.subarray(0, 100_000);
      throw error;
    }
    await expect(client.pushBlob(repository, smallBlob, broken)).rejects.toBe(error);
    expect(opened).toBe(1);
  });
});

describe("an upload that nothing disturbs", () => {
  test("is one POST and one PUT where the blob is known to be missing", async () => {
    let bytes = 0;
    await client.pushBlob(repository, largeBlob, () => inChunks(large), {
      isMissing: true,
      onBytes: (count) => (bytes += count),
    });
    expect(methods()).toEqual(["POST", "PUT"]);
    expect(bytes).toBe(largeBlob.size);
    expect(await stored()).toEqual([largeBlob.digest]);
  });

  test.each([200, 202, 204])("may be answered %d, where the blob is there", async (status) => {
    server.faults = [onUploads("PUT", { kind: "status", status, processed: true })];
    await client.pushBlob(repository, smallBlob, () => small, { isMissing: true });
    expect(methods()).toEqual(status === 204 ? ["POST", "PUT"] : ["POST", "PUT", "HEAD"]);
  });

  test("tells the registry of another algorithm than sha256", async () => {
    const digest = `sha512:${createHash("sha512").update(large).digest("hex")}` as const;
    server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 20 * mebibyte })];
    await client.pushBlob(repository, { ...largeBlob, digest }, () => large);
    expect(await stored()).toEqual([digest]);
    expect(requested("POST").map(({ query }) => query)).toEqual(["digest-algorithm=sha512"]);
  });
});

describe("an upload that breaks off", () => {
  test("goes on from where the registry has it", async () => {
    server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 })];
    await client.pushBlob(repository, smallBlob, () => inChunks(small));
    expect(methods()).toEqual(["HEAD", "POST", "PUT", "GET", "PATCH", "PUT"]);
    expect(bodies()).toEqual([
      ["PUT", undefined, "300000"],
      ["PATCH", "100000-299999", "200000"],
      ["PUT", undefined, "0"],
    ]);
    expect(await stored()).toEqual([smallBlob.digest]);
  });

  test("gets there however often it breaks, as long as it moves on", async () => {
    server.faults = [onUploads(["PUT", "PATCH"], { kind: "reset-request", afterBytes: 6 * mebibyte }, 99)];
    await client.pushBlob(repository, largeBlob, () => inChunks(large));
    expect(requested("PATCH").length).toBeGreaterThan(3);
    expect(requested("POST")).toHaveLength(1);
    expect(await stored()).toEqual([largeBlob.digest]);
  });

  test("stalls, or is answered 503 in the middle: it goes on all the same", async () => {
    server.faults = [
      onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }),
      onUploads("PATCH", { kind: "status", status: 503 }),
      onUploads("PATCH", { kind: "delay", milliseconds: 1500 }),
    ];
    reconnect({ attempts: 5, stallTimeout: 1000 });
    await client.pushBlob(repository, smallBlob, () => inChunks(small));
    expect(await stored()).toEqual([smallBlob.digest]);
    expect(requested("POST")).toHaveLength(1);
  });

  test.each<[string, Fault]>([
    ["does not tell", onUploads("GET", { kind: "status", status: 405 })],
    ["does not know it any more", onUploads("GET", { kind: "status", status: 404 })],
    ["says no number", onUploads("GET", { kind: "headers", set: { Range: "0--1" } })],
    ["says what may be one byte or none", onUploads("GET", { kind: "headers", set: { Range: "0-0" } })],
    ["says nothing", onUploads("GET", { kind: "headers", set: { Range: null } })],
    ["says that it has more than there is", onUploads("GET", { kind: "headers", set: { Range: "0-300000" } })],
    ["has something other than a beginning", onUploads("GET", { kind: "headers", set: { Range: "5-99999" } })],
    ["is broken for this", onUploads("GET", { kind: "status", status: 500 }, 9)],
  ])("begins again where the registry %s", async (_what, fault) => {
    server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }), fault];
    await client.pushBlob(repository, smallBlob, () => inChunks(small));
    expect(await stored()).toEqual([smallBlob.digest]);
    // Nothing more goes to the upload of which nothing is known.
    expect(requested("POST", "PUT", "PATCH").map(({ method }) => method)).toEqual(["POST", "PUT", "POST", "PUT"]);
  });

  test("begins again in chunks where nothing is left of it, so that the next break costs one of them", async () => {
    await restart({ uploadResume: false });
    server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 20 * mebibyte })];
    await client.pushBlob(repository, largeBlob, () => inChunks(large));
    expect(methods()).toEqual(["HEAD", "POST", "PUT", "GET", "HEAD", "POST", "PATCH", "PATCH", "PATCH", "PUT"]);
    expect(bodies().slice(1)).toEqual([
      ["PATCH", "0-16777215", "16777216"],
      ["PATCH", "16777216-33554431", "16777216"],
      ["PATCH", "33554432-41943039", "8388608"],
      ["PUT", undefined, "0"],
    ]);
    expect(await stored()).toEqual([largeBlob.digest]);
  });

  test("keeps to the registry's least length of a chunk", async () => {
    await restart({ uploadResume: false, chunkMinLength: 24 * mebibyte });
    server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 20 * mebibyte })];
    await client.pushBlob(repository, largeBlob, () => inChunks(large));
    expect(bodies().map(([method, , length]) => [method, Number(length) / mebibyte])).toEqual([
      ["PUT", 40],
      ["PATCH", 24],
      ["PATCH", 16],
      ["PUT", 0],
    ]);
  });

  test("goes in one piece again where the registry takes no chunks", async () => {
    await restart({ uploadResume: false });
    server.faults = [
      onUploads("PUT", { kind: "reset-request", afterBytes: mebibyte }),
      onUploads("PATCH", { kind: "status", status: 405 }),
    ];
    await client.pushBlob(repository, largeBlob, () => inChunks(large));
    expect(bodies().map(([method, , length]) => [method, Number(length) / mebibyte])).toEqual([
      ["PUT", 40],
      ["PATCH", 16],
      ["PUT", 40],
    ]);
  });

  test("goes in smaller requests where one is too long", async () => {
    const content = large.subarray(0, 3 * mebibyte);
    const blob = describeBytes(content, mediaTypes.ociLayerTar);
    server.faults = [onUploads("PUT", { kind: "status", status: 413 })];
    await client.pushBlob(repository, blob, () => content);
    expect(bodies().map(([method, , length]) => [method, Number(length) / mebibyte])).toEqual([
      ["PUT", 3],
      ["PATCH", 1],
      ["PATCH", 1],
      ["PATCH", 1],
      ["PUT", 0],
    ]);
    expect(requested("POST")).toHaveLength(1);
  });

  test("follows a registry that took less of a chunk than it was sent, or says so", async () => {
    server.faults = [
      onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }),
      onUploads("PATCH", { kind: "headers", set: { Range: "0-199999" } }),
    ];
    await client.pushBlob(repository, smallBlob, () => inChunks(small));
    // It had all of it after all, and says so by 416 and the answer to the next question.
    expect(requested("PATCH").map(({ status, headers }) => [status, headers["content-range"]])).toEqual([
      [202, "100000-299999"],
      [416, "200000-299999"],
    ]);
    expect(await stored()).toEqual([smallBlob.digest]);
  });

  test.each(["0-49999", "0-399999"])(
    "begins again where the registry says that it has %s, which cannot be",
    async (Range) => {
      server.faults = [
        onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }),
        onUploads("PATCH", { kind: "headers", set: { Range } }),
      ];
      await client.pushBlob(repository, smallBlob, () => inChunks(small));
      expect(methods()).toEqual(["HEAD", "POST", "PUT", "GET", "PATCH", "HEAD", "POST", "PUT"]);
      expect(await stored()).toEqual([smallBlob.digest]);
    },
  );

  test("begins again where the registry kept something else than it said", async () => {
    const refusal = '{"errors":[{"code":"DIGEST_INVALID","message":"x"}]}';
    server.faults = [
      onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }),
      onUploads("PUT", { kind: "status", status: 400, body: refusal }),
    ];
    await client.pushBlob(repository, smallBlob, () => inChunks(small));
    expect(requested("POST")).toHaveLength(2);
    expect(await stored()).toEqual([smallBlob.digest]);
  });

  test.each([false, true])(
    "does not send what is there when only the last answer was lost (known to be missing before: %s)",
    async (isMissing) => {
      server.faults = [
        onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }),
        onUploads("PUT", { kind: "reset", processed: true }),
      ];
      await client.pushBlob(repository, smallBlob, () => inChunks(small), { isMissing });
      expect(methods()).toEqual([...(isMissing ? [] : ["HEAD"]), "POST", "PUT", "GET", "PATCH", "PUT", "GET", "HEAD"]);
    },
  );

  test("ends at once when the caller gives up, and lets its source go", async () => {
    const giveUp = new AbortController();
    reconnect({ signal: giveUp.signal, stallTimeout: 60_000 });
    let isLetGo = false;
    async function* endless() {
      try {
        for (let at = 0; ; at += mebibyte) {
          if (at === 8 * mebibyte) giveUp.abort();
          yield large.subarray(at, at + mebibyte);
        }
      } finally {
        isLetGo = true;
      }
    }
    await expect(client.pushBlob(repository, largeBlob, endless)).rejects.toMatchObject({ code: "aborted" });
    await expect.poll(() => isLetGo).toBe(true);
  });

  test("gets a fresh token where the old one runs out, and sends its content again from where it was", async () => {
    await restart({ auth: { kind: "bearer", users: { joe: "secret" } } });
    await logIn();
    const challenge = `Bearer realm="${server.url}/token",service="goldenpath-registry"`;
    const expired: Fault["action"] = { kind: "status", status: 401, headers: { "WWW-Authenticate": challenge } };
    server.faults = [
      onUploads("PUT", expired),
      onUploads("PUT", { kind: "reset-request", afterBytes: 100_000 }),
      onUploads("PATCH", expired),
    ];
    await client.pushBlob(repository, smallBlob, () => inChunks(small));
    expect(bodies()).toEqual([
      ["PUT", undefined, "300000"],
      ["PUT", undefined, "300000"],
      ["PATCH", "100000-299999", "200000"],
      ["PATCH", "100000-299999", "200000"],
      ["PUT", undefined, "0"],
    ]);
    expect(await stored()).toEqual([smallBlob.digest]);
    expect(server.requests.filter(({ path }) => path === "/token").length).toBeGreaterThan(2);
  });
});
