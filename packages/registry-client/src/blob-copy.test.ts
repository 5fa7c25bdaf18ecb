import { type Fault, startRegistry } from "@goldenpath/registry-server/server";
import {
  client,
  large,
  largeBlob,
  logIn,
  mebibyte,
  methods,
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
import type { Descriptor } from "./oci/manifest.ts";

useRegistry();

const onUploads = (method: string | string[], action: Fault["action"], times = 1): Fault => ({
  method,
  path: "/uploads/",
  times,
  action,
});

describe("a copy", () => {
  const from = () => ({ ...repository, name: "quarantine/shop" });
  const mount = (action: Fault["action"]): Fault => ({ method: "POST", path: "mount=", action });
  const copy = (blob: Descriptor = smallBlob) => client.copyBlob(from(), repository, blob, { isMissing: true });
  const prepare = async (): Promise<void> => {
    await client.pushBlob(from(), smallBlob, () => small);
    server.requests.length = 0;
  };

  test("within one registry is one request", async () => {
    await prepare();
    expect(await copy()).toBe("mounted");
    expect(await client.copyBlob(from(), repository, smallBlob)).toBe("mounted");
    expect(methods()).toEqual(["POST", "POST"]);
  });

  test("goes on with the upload that the registry began in place of a mount", async () => {
    await prepare();
    server.settings.mount = false;
    expect(await copy()).toBe("copied");
    expect(methods().sort()).toEqual(["GET", "POST", "PUT"]);
    expect(await stored()).toEqual([smallBlob.digest]);
  });

  test("that is there already is found so where mounts are not made, and the upload begun is taken back", async () => {
    await prepare();
    await client.copyBlob(from(), repository, smallBlob);
    server.settings.mount = false;
    server.requests.length = 0;
    expect(await client.copyBlob(from(), repository, smallBlob)).toBe("present");
    expect(methods()).toEqual(["POST", "HEAD", "DELETE"]);
  });

  test.each([400, 403, 404, 405])("begins an upload of its own where a mount is answered %d", async (status) => {
    await prepare();
    server.faults = [mount({ kind: "status", status })];
    expect(await copy()).toBe("copied");
    expect(requested("POST").map(({ query }) => query.includes("mount="))).toEqual([true, false]);
    expect(await stored()).toEqual([smallBlob.digest]);
  });

  test("is uploaded where no token for both repositories can be had", async () => {
    await restart({ auth: { kind: "bearer", users: { joe: "secret" } } });
    await logIn();
    await prepare();
    server.faults = [
      { path: "/token\\?.*quarantine.*team|/token\\?.*team.*quarantine", action: { kind: "status", status: 403 } },
    ];
    expect(await copy()).toBe("copied");
    expect(await stored()).toEqual([smallBlob.digest]);
  });

  test("between registries reads only what it needs again, and counts what it sends", async () => {
    const source = await startRegistry();
    try {
      const far = { registry: source.host, name: "quarantine/shop" };
      await client.pushBlob(far, largeBlob, () => large);
      source.requests.length = 0;
      server.faults = [onUploads("PUT", { kind: "reset-request", afterBytes: 30 * mebibyte })];
      let bytes = 0;
      expect(await client.copyBlob(far, repository, largeBlob, { onBytes: (count) => (bytes += count) })).toBe(
        "copied",
      );
      const ranges = source.requests.map(({ headers }) =>
        Number(/^bytes=(\d+)-$/.exec(headers.range ?? "bytes=0-")?.[1]),
      );
      expect(ranges).toHaveLength(2);
      expect(ranges[1]).toBeGreaterThanOrEqual(22 * mebibyte);
      expect(ranges[1]).toBeLessThanOrEqual(30 * mebibyte);
      expect(bytes).toBeGreaterThanOrEqual(largeBlob.size);
      expect(await stored()).toEqual([largeBlob.digest]);
    } finally {
      await source.close();
    }
  });

  test("in chunks reads its source once", async () => {
    const source = await startRegistry();
    try {
      const far = { registry: source.host, name: "quarantine/shop" };
      await client.pushBlob(far, largeBlob, () => large);
      source.requests.length = 0;
      server.faults = [onUploads("PUT", { kind: "status", status: 413 })];
      await client.copyBlob(far, repository, largeBlob);
      // The one that the refused PUT began, and one for all of the chunks.
      expect(source.requests.length).toBeLessThanOrEqual(2);
      expect(requested("PATCH").length).toBe(4);
    } finally {
      await source.close();
    }
  });
});
