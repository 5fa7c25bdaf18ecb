import { silentPorts } from "@goldenpath/foundation/ports";
import {
  type Fault,
  type RegistryOptions,
  type RegistryServer,
  startRegistry,
} from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import type { Manifest } from "./oci/manifest.ts";
import { type BuiltManifest, buildImage, pushBuilt } from "./testing.ts";

let server: RegistryServer;
let client: RegistryClient;
let repository: { registry: string; name: string };
let before: Manifest;
let next: Manifest;
let foreign: Manifest;

async function start(options: RegistryOptions): Promise<void> {
  server = await startRegistry(options);
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 3, sleep: async () => undefined });
  repository = { registry: server.host, name: "vetted/shop" };
  const push = async (built: BuiltManifest): Promise<Manifest> => {
    const { digest } = await pushBuilt(client, repository, built);
    return client.fetchManifest({ ...repository, digest });
  };
  before = await push(buildImage({ layers: ["before"] }));
  next = await push(buildImage({ layers: ["next"] }));
  foreign = await push(buildImage({ layers: ["foreign"] }));
  server.requests.length = 0;
}
afterEach(async () => {
  await client.close();
  await server.close();
});

/** What somebody else does, past the client. */
async function setBehind(manifest: Manifest): Promise<void> {
  const answer = await fetch(`${server.url}/v2/${repository.name}/manifests/v1`, {
    method: "PUT",
    headers: { "content-type": manifest.mediaType },
    body: new Uint8Array(manifest.bytes),
  });
  expect(answer.status).toBe(201);
  server.requests.length = 0;
}
const tagNow = async () => (await server.snapshot())[repository.name]?.tags["v1"];
const methods = () => server.requests.map((request) => request.method);
const put: Pick<Fault, "method" | "path" | "times"> = { method: "PUT", path: "/manifests/v1$", times: 1 };

describe("a tag that was moved", () => {
  beforeEach(() => start({}));

  test.each([
    ["from what was expected", () => before.digest],
    ["into being, where none was expected", () => undefined],
  ])("%s is tag-moved and stays as it is", async (_what, expected) => {
    await setBehind(foreign);
    const setting = client.setTag(repository, "v1", next, expected());
    await expect(setting).rejects.toMatchObject({
      name: "InfrastructureError",
      code: "tag-moved",
      wayOut: expect.any(String),
    });
    await expect(setting).rejects.toThrow(
      `tag v1 of ${server.host}/vetted/shop was moved by somebody else: it is ${foreign.digest}`,
    );
    expect(await tagNow()).toBe(foreign.digest);
    expect(methods()).toEqual(["GET"]);
  });

  test("away is tag-moved as well", async () => {
    await expect(client.setTag(repository, "v1", next, before.digest)).rejects.toMatchObject({ code: "tag-moved" });
    expect(await tagNow()).toBeUndefined();
  });

  test.each<[string, () => Digest | undefined, () => Promise<void>]>([
    ["between look and write", () => before.digest, () => setBehind(before)],
    ["into being between look and write", () => undefined, async () => undefined],
  ])("%s is not overwritten where the registry compares", async (_what, expected, prepare) => {
    await prepare();
    // What was seen is what the client saw a moment ago.
    const seen = await client.readTag(repository, "v1");
    await setBehind(foreign);
    await expect(client.setTag(repository, "v1", next, expected(), seen)).rejects.toMatchObject({ code: "tag-moved" });
    expect(await tagNow()).toBe(foreign.digest);
    expect(methods()).toEqual(["PUT", "GET"]);
    expect(server.requests[0]?.status).toBe(412);
  });

  test("is seen by who has just looked, before anything is written", async () => {
    await setBehind(foreign);
    const seen = await client.readTag(repository, "v1");
    server.requests.length = 0;
    await expect(client.setTag(repository, "v1", next, before.digest, seen)).rejects.toMatchObject({
      code: "tag-moved",
    });
    expect(methods()).toEqual([]);
  });

  test("to what it is to be is no error, whoever did it", async () => {
    const seen = await client.readTag(repository, "v1");
    await setBehind(next);
    expect(await client.setTag(repository, "v1", next, undefined)).toBe("unchanged");
    expect(await client.setTag(repository, "v1", next, undefined, seen)).toBe("set");
    expect(await tagNow()).toBe(next.digest);
  });
});

describe("a tag is set", () => {
  test.each([
    ["with conditions", {}],
    ["without conditions", { conditions: false }],
    ["without ETags", { conditions: false, etags: false }],
  ])("in a look and a write, or a write alone (%s)", async (_what, options) => {
    await start(options);
    expect(await client.setTag(repository, "v1", before, undefined)).toBe("set");
    expect(methods()).toEqual(["GET", "PUT"]);
    const seen = await client.readTag(repository, "v1");
    expect(seen.digest).toBe(before.digest);
    server.requests.length = 0;
    expect(await client.setTag(repository, "v1", next, before.digest, seen)).toBe("set");
    expect(methods()).toEqual(["PUT"]);
    expect(await tagNow()).toBe(next.digest);
    expect(await client.setTag(repository, "v1", next, before.digest)).toBe("unchanged");
  });

  test("with an ETag that a proxy has weakened", async () => {
    await start({});
    await setBehind(before);
    server.faults = [
      { method: "GET", path: "/manifests/v1$", action: { kind: "headers", set: { ETag: `W/"${before.digest}"` } } },
    ];
    expect(await client.setTag(repository, "v1", next, before.digest)).toBe("set");
    expect(server.requests.at(-1)?.headers["if-match"]).toBe(`"${before.digest}"`);
  });

  test.each([
    ["reset", { kind: "reset" as const, processed: true }],
    ["a 502 of the gateway", { kind: "status" as const, status: 502, processed: true }],
  ])("although the answer was lost (%s)", async (_what, action) => {
    await start({ faults: [{ ...put, action }] });
    expect(await client.setTag(repository, "v1", next, undefined)).toBe("set");
    expect(await tagNow()).toBe(next.digest);
  });

  test("although the answer was lost, where the tag cannot be set twice", async () => {
    await start({ faults: [{ ...put, action: { kind: "reset", processed: true } }] });
    // A registry that minds being asked even for the same.
    const body = JSON.stringify({ errors: [{ code: "TAG_ALREADY_EXISTS", message: "tag was already pushed" }] });
    server.faults = [
      ...server.faults,
      { method: "PUT", path: "/manifests/v1$", action: { kind: "status", status: 409, body } },
    ];
    expect(await client.setTag(repository, "v1", next, undefined)).toBe("set");
    expect(await client.pushManifest(repository, next.bytes, next.mediaType, "v1")).toBe(next.digest);
    await expect(client.pushManifest(repository, before.bytes, before.mediaType, "v1")).rejects.toMatchObject({
      code: "tag-immutable",
    });
    expect(await tagNow()).toBe(next.digest);
  });

  test("to a manifest that goes by its sha512 digest", async () => {
    await start({});
    const digest = digestOf(next.bytes, "sha512");
    expect(await client.pushManifest(repository, next.bytes, next.mediaType, digest)).toBe(digest);
    const manifest = await client.fetchManifest({ ...repository, digest });
    expect(manifest.digest).toBe(digest);
    expect(await client.resolve({ ...repository, digest })).toBe(digest);
    expect(await client.setTag(repository, "v1", manifest, undefined)).toBe("set");
    expect(await client.setTag(repository, "v1", manifest, undefined)).toBe("unchanged");
    expect(await client.resolve({ ...repository, tag: "v1" })).toBe(next.digest);
  });

  test("not by a registry whose conditions fail although they hold", async () => {
    await start({ faults: [{ ...put, times: 9, action: { kind: "status", status: 412 } }] });
    await expect(client.setTag(repository, "v1", next, undefined)).rejects.toMatchObject({
      code: "registry-error",
      attempts: 2,
    });
    expect(methods()).toEqual(["GET", "PUT", "GET", "PUT", "GET"]);
  });
});

describe("what the registry refuses has its own error", () => {
  test.each([undefined, "ecr" as const, "harbor" as const, "acr" as const, "quay" as const, "nexus" as const])(
    "tag-immutable, as %s has it",
    async (like) => {
      await start({ immutableTags: [{ match: ":v1$", ...(like === undefined ? {} : { like }) }] });
      await setBehind(before);
      for (const setting of [
        () => client.setTag(repository, "v1", next, before.digest),
        () => client.pushManifest(repository, next.bytes, next.mediaType, "v1"),
      ]) {
        await expect(setting()).rejects.toMatchObject({
          name: "InfrastructureError",
          code: "tag-immutable",
          safeToRetry: false,
        });
      }
      expect(await client.pushManifest(repository, before.bytes, before.mediaType, "v1")).toBe(before.digest);
      expect(await client.setTag(repository, "v1", before, before.digest)).toBe("unchanged");
      expect(await tagNow()).toBe(before.digest);
    },
  );

  test("quota-exceeded, of a manifest and of a blob", async () => {
    await start({});
    server.settings.quotas = [{ prefix: "vetted", bytes: 1 }];
    const big = buildImage({ layers: ["big"] });
    await expect(client.pushManifest(repository, big.bytes, big.descriptor.mediaType)).rejects.toMatchObject({
      code: "quota-exceeded",
    });
    await expect(pushBuilt(client, repository, big)).rejects.toMatchObject({ code: "quota-exceeded" });
    expect(await client.setTag(repository, "v1", next, undefined)).toBe("set");
  });

  test("registry-read-only, of a tag, a manifest and a blob", async () => {
    await start({ readOnlyPrefixes: [] });
    server.settings.readOnly = true;
    const refused = { code: "registry-read-only", safeToRetry: true };
    await expect(client.setTag(repository, "v1", next, undefined)).rejects.toMatchObject(refused);
    await expect(client.pushManifest(repository, next.bytes, next.mediaType)).rejects.toMatchObject(refused);
    await expect(pushBuilt(client, repository, buildImage({ layers: ["more"] }))).rejects.toMatchObject(refused);
    server.settings.readOnly = false;
    expect(await client.setTag(repository, "v1", next, undefined)).toBe("set");
  });

  test("registry-unauthorized remains what a right that lacks is", async () => {
    await start({});
    server.settings.readOnlyPrefixes = ["vetted"];
    await expect(client.setTag(repository, "v1", next, undefined)).rejects.toMatchObject({
      code: "registry-unauthorized",
    });
  });
});
