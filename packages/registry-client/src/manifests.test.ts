import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { digestOf } from "./oci/digest.ts";
import { maxManifestBytes, mediaTypes } from "./oci/manifest.ts";
import { formatReference, type Reference } from "./oci/reference.ts";
import { buildImage, buildIndex, encodeText, pushBuilt } from "./testing.ts";

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

const requested = (method: string, path: RegExp) =>
  server.requests.filter((request) => request.method === method && path.test(request.path));

describe("manifests", () => {
  const image = buildImage();
  const byTag = () => ({ ...repository, tag: "v1" });
  const byDigest = () => ({ ...repository, digest: image.descriptor.digest });
  const manifestGet = { method: "GET", path: "/manifests/" };
  beforeEach(() => pushBuilt(client, repository, image, "v1"));

  test("one that does not exist is a UserError that names it", async () => {
    const references: Reference[] = [
      { ...repository, tag: "v2" },
      { ...repository, digest: digestOf("x") },
      { ...repository, name: "nothing/here", tag: "v1" },
    ];
    for (const reference of references) {
      const found = client.fetchManifest(reference);
      await expect(found).rejects.toMatchObject({ name: "UserError", code: "image-not-found" });
      await expect(found).rejects.toThrow(`image ${formatReference(reference)} does not exist`);
      expect(await client.resolve(reference)).toBeUndefined();
    }
  });

  test("a reference without tag and digest is a UserError", async () => {
    await expect(client.fetchManifest(repository)).rejects.toMatchObject({
      name: "UserError",
      code: "reference-invalid",
    });
  });

  test("by tag and by digest it has the digest of its bytes", async () => {
    for (const reference of [byTag(), byDigest(), { ...byDigest(), tag: "v2" }]) {
      expect(await client.fetchManifest(reference)).toMatchObject({ kind: "image", digest: image.descriptor.digest });
      expect(await client.resolve(reference)).toBe(image.descriptor.digest);
    }
    expect(
      server.requests
        .findLast((request) => request.method === "GET")
        ?.headers.accept?.split(", ")
        .sort(),
    ).toEqual([mediaTypes.dockerManifestList, mediaTypes.dockerManifest, mediaTypes.ociIndex, mediaTypes.ociManifest]);
  });

  test("other bytes than the digest's are refused, whatever the header says", async () => {
    const other = new TextDecoder().decode(buildImage({ layers: ["evil"] }).bytes);
    const headers = { "Docker-Content-Digest": image.descriptor.digest };
    server.faults = [{ ...manifestGet, action: { kind: "replace", body: other, headers } }];
    await expect(client.fetchManifest(byDigest())).rejects.toMatchObject({ code: "digest-mismatch" });
    await expect(client.fetchManifest(byTag())).rejects.toMatchObject({ code: "digest-mismatch" });
    await expect(client.resolve(byTag())).rejects.toMatchObject({ code: "digest-mismatch" });
  });

  test("a digest header that is off is refused", async () => {
    server.faults = [{ ...manifestGet, action: { kind: "wrong-digest" } }];
    await expect(client.fetchManifest(byTag())).rejects.toMatchObject({ code: "digest-mismatch" });
  });

  test.each([
    [
      "half of it",
      { kind: "replace" as const, body: new TextDecoder().decode(image.bytes.subarray(0, 100)) },
      byTag,
      "manifest-invalid",
    ],
    ["no JSON", { kind: "replace" as const, body: "<html>" }, byTag, "manifest-invalid"],
    [
      "another type",
      { kind: "headers" as const, set: { "Content-Type": mediaTypes.ociIndex } },
      byTag,
      "manifest-invalid",
    ],
    ["more than 4 MiB", { kind: "replace" as const, body: "x", repeat: maxManifestBytes + 1 }, byTag, "too-large"],
  ])("%s is refused", async (_what, action, reference, code) => {
    server.faults = [
      {
        ...manifestGet,
        action: action.kind === "replace" ? { ...action, headers: { "Docker-Content-Digest": "x" } } : action,
      },
    ];
    await expect(client.fetchManifest(reference())).rejects.toMatchObject({ code });
  });

  test("a registry that is down is registry-unreachable", async () => {
    const down = await startRegistry();
    await down.close();
    const there = { ...byDigest(), registry: down.host };
    await expect(client.fetchManifest(there)).rejects.toMatchObject({
      name: "InfrastructureError",
      code: "registry-unreachable",
      attempts: 3,
    });
    await expect(client.resolve(there)).rejects.toMatchObject({ code: "registry-unreachable" });
    await expect(client.pushManifest(there, image.bytes, image.descriptor.mediaType)).rejects.toMatchObject({
      code: "registry-unreachable",
    });
  });

  test("a registry that is not well is registry-error, not a missing image", async () => {
    server.faults = [{ path: "/manifests/", action: { kind: "status", status: 500 } }];
    await expect(client.fetchManifest(byTag())).rejects.toMatchObject({ code: "registry-error", attempts: 3 });
    await expect(client.resolve(byDigest())).rejects.toMatchObject({ code: "registry-error" });
  });

  test("401 and 403 are registry-unauthorized, with docker login as the way out", async () => {
    for (const status of [401, 403]) {
      server.faults = [{ path: "/manifests/", action: { kind: "status", status } }];
      for (const attempt of [
        () => client.fetchManifest(byTag()),
        () => client.resolve(byDigest()),
        () => client.pushManifest(repository, image.bytes, image.descriptor.mediaType),
      ]) {
        await expect(attempt()).rejects.toMatchObject({
          name: "UserError",
          code: "registry-unauthorized",
          wayOut: expect.stringContaining(`docker login ${server.host}`),
        });
      }
    }
  });

  test("what is no manifest, and what is not what its type says, is not pushed", async () => {
    server.requests.length = 0;
    const push = (bytes: Uint8Array, mediaType: string, tag?: string) =>
      client.pushManifest(repository, bytes, mediaType, tag);
    await expect(push(encodeText("{}"), mediaTypes.ociManifest)).rejects.toMatchObject({ code: "manifest-invalid" });
    await expect(push(image.bytes, mediaTypes.ociIndex)).rejects.toMatchObject({ code: "manifest-invalid" });
    await expect(push(image.bytes, mediaTypes.ociManifest, digestOf("x"))).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    expect(server.requests).toEqual([]);
  });

  test("a manifest whose blobs are missing is an error with the registry's own word for it", async () => {
    const incomplete = buildImage({ layers: ["never pushed"] });
    await expect(client.pushManifest(repository, incomplete.bytes, mediaTypes.ociManifest)).rejects.toThrow(
      /MANIFEST_BLOB_UNKNOWN/,
    );
  });

  test("a registry that says it stored something else is not believed to have stored it", async () => {
    server.faults = [{ method: "PUT", path: "/manifests/", action: { kind: "wrong-digest" } }];
    await expect(client.pushManifest(repository, image.bytes, mediaTypes.ociManifest, "v2")).rejects.toMatchObject({
      code: "digest-mismatch",
    });
  });

  test("a push is repeated when only its answer was lost", async () => {
    server.faults = [{ method: "PUT", path: "/manifests/", times: 1, action: { kind: "reset", processed: true } }];
    expect(await client.pushManifest(repository, image.bytes, mediaTypes.ociManifest, "v2")).toBe(
      image.descriptor.digest,
    );
  });

  test("an index is pushed and pulled as one", async () => {
    const index = buildIndex([{ ...image.descriptor, platform: { os: "linux", architecture: "amd64" } }]);
    await pushBuilt(client, repository, index, "all");
    expect(await client.fetchManifest({ ...repository, tag: "all" })).toMatchObject({
      kind: "index",
      digest: index.descriptor.digest,
    });
  });
});

test("a condition that failed, where none was set, is no manifest that was taken", async () => {
  server.faults = [{ method: "PUT", path: "/manifests/", action: { kind: "status", status: 412 } }];
  const { bytes, descriptor } = buildIndex([]);
  for (const tag of ["v1", undefined]) {
    await expect(client.pushManifest(repository, bytes, descriptor.mediaType, tag)).rejects.toMatchObject({
      code: "registry-error",
    });
  }
});

test("a disk that is full is said by its name, and not asked again", async () => {
  server.faults = [{ method: "PUT", path: "/manifests/", action: { kind: "status", status: 507 } }];
  const { bytes, descriptor } = buildIndex([]);
  await expect(client.pushManifest(repository, bytes, descriptor.mediaType, "v1")).rejects.toMatchObject({
    code: "quota-exceeded",
  });
  expect(requested("PUT", /manifests/)).toHaveLength(1);
});

describe("tags", () => {
  test("all pages are read", async () => {
    await server.close();
    server = await startRegistry({ pageSize: 2 });
    repository = { registry: server.host, name: "shop" };
    const image = buildImage();
    const tags = ["a", "b", "c", "d", "e"];
    for (const tag of tags) await pushBuilt(client, repository, image, tag);
    expect(await client.listTags(repository)).toEqual(tags);
    expect(requested("GET", /tags/)).toHaveLength(3);
  });

  test("of a repository that is not there are none; of a registry that is not well, an error", async () => {
    expect(await client.listTags({ ...repository, name: "nothing" })).toEqual([]);
    server.faults = [{ path: "/tags/", action: { kind: "status", status: 500 } }];
    await expect(client.listTags(repository)).rejects.toMatchObject({ code: "registry-error" });
  });

  test.each([
    ["no JSON", "<html>"],
    ["tags that are not text", '{"tags":[1]}'],
    ["something else", '{"hello":"world"}'],
  ])("%s is an error", async (_what, body) => {
    server.faults = [{ path: "/tags/", action: { kind: "status", status: 200, body } }];
    await expect(client.listTags(repository)).rejects.toMatchObject({ code: "registry-error" });
  });

  const page = (link: string) => ({
    kind: "status" as const,
    status: 200,
    body: '{"tags":["a"]}',
    headers: { Link: link },
  });

  test("a list that leads back into itself, or has no end, is an error", async () => {
    server.faults = [{ path: "/tags/", action: page('</v2/team/shop/tags/list?last=a>; rel="next"') }];
    await expect(client.listTags(repository)).rejects.toMatchObject({
      code: "registry-error",
      message: expect.stringContaining("leads back"),
    });
    server.faults = Array.from({ length: 600 }, (_each, at) => ({
      times: 1,
      action: page(`</v2/team/shop/tags/list?last=${at}>; rel="next"`),
    }));
    await expect(client.listTags(repository)).rejects.toMatchObject({
      code: "registry-error",
      message: expect.stringContaining("500 pages"),
    });
  });

  test("a list of many large pages is an error before it fills the memory", async () => {
    const body = `{"tags":["a"]}${" ".repeat(maxManifestBytes - 100)}`;
    server.faults = Array.from({ length: 20 }, (_each, at) => ({
      times: 1,
      path: "/tags/",
      action: { ...page(`</v2/team/shop/tags/list?last=${at}>; rel="next"`), body },
    }));
    await expect(client.listTags(repository)).rejects.toMatchObject({
      code: "registry-error",
      message: expect.stringContaining(`${32 * 1024 * 1024} bytes`),
    });
    expect(requested("GET", /tags/)).toHaveLength(9);
  });

  test("a list does not go on at another host", async () => {
    const other = await startRegistry();
    try {
      server.faults = [{ path: "/tags/", action: page(`<${other.url}/v2/team/shop/tags/list>; rel="next"`) }];
      await expect(client.listTags(repository)).rejects.toMatchObject({
        code: "registry-error",
        message: expect.stringContaining("another host"),
      });
      expect(other.requests).toEqual([]);
    } finally {
      await other.close();
    }
  });
});

describe("a manifest's size, where it is pushed", () => {
  /** An image of exactly so many bytes. */
  const imageOf = (size: number) => {
    const built = buildImage();
    const manifest = JSON.parse(new TextDecoder().decode(built.bytes)) as Record<string, unknown>;
    const encode = (padding: number) =>
      encodeText(JSON.stringify({ ...manifest, annotations: { padding: "x".repeat(padding) } }));
    return { built, bytes: encode(size - encode(0).byteLength) };
  };

  test("of more than 4 MiB is refused, and nothing is sent", async () => {
    const { built, bytes } = imageOf(maxManifestBytes + 1);
    const mediaType = built.descriptor.mediaType;
    await expect(client.pushManifest(repository, bytes, mediaType)).rejects.toMatchObject({
      code: "too-large",
      safeToRetry: false,
    });
    const content = { bytes, mediaType, digest: digestOf(bytes) };
    await expect(client.pushReferrers(repository, [content])).rejects.toMatchObject({ code: "too-large" });
    expect(server.requests).toEqual([]);
  });

  test("of 4 MiB is taken, and comes back", async () => {
    const { built, bytes } = imageOf(maxManifestBytes);
    for (const blob of built.blobs) await client.pushBlob(repository, blob.descriptor, () => blob.bytes);
    const digest = await client.pushManifest(repository, bytes, built.descriptor.mediaType, "large");
    expect((await client.fetchManifest({ ...repository, tag: "large" })).digest).toBe(digest);
  });
});
