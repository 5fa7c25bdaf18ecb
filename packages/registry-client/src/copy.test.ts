import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { copyBlobs, copyManifest } from "./copy.ts";
import { createRegistryClient } from "./create.ts";
import { digestOf } from "./oci/digest.ts";
import { type Descriptor, mediaTypes } from "./oci/manifest.ts";
import { type BuiltManifest, buildImage, buildIndex, buildReferrer, encodeText, pushBuilt } from "./testing.ts";

let source: RegistryServer;
let target: RegistryServer;
let client: RegistryClient;
let from: { registry: string; name: string };
let to: { registry: string; name: string };
let near: { registry: string; name: string };

beforeEach(async () => {
  source = await startRegistry();
  target = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 3, sleep: async () => undefined });
  from = { registry: source.host, name: "quarantine/shop" };
  near = { registry: source.host, name: "vetted/shop" };
  to = { registry: target.host, name: "vetted/shop" };
});
afterEach(async () => {
  await client.close();
  await source.close();
  await target.close();
});

const platform = (architecture: string) => ({ os: "linux", architecture });
const amd = buildImage({ layers: ["shared base", "amd64"] });
const arm = buildImage({ layers: ["shared base", "arm64"], architecture: "arm64" });
const provenance = buildImage({ layers: ["provenance"], os: "unknown", architecture: "unknown" });
const index = buildIndex([
  { ...amd.descriptor, platform: platform("amd64") },
  { ...arm.descriptor, platform: platform("arm64") },
  { ...provenance.descriptor, platform: { os: "unknown", architecture: "unknown" } },
]);

async function pushIndex(): Promise<void> {
  for (const child of [amd, arm, provenance]) await pushBuilt(client, from, child);
  await pushBuilt(client, from, index, "v1");
  source.requests.length = 0;
}

const bytesOf = (...built: BuiltManifest[]) =>
  built.flatMap((each) => each.blobs).reduce((sum, blob) => sum + blob.descriptor.size, 0);
const putsOf = (server: RegistryServer) =>
  server.requests.filter((each) => each.method === "PUT" && each.path.includes("/manifests/"));

test("an image that is not there is not copied", async () => {
  await expect(copyManifest(client, from, to, amd.descriptor.digest)).rejects.toMatchObject({
    code: "image-not-found",
  });
  await expect(copyManifest(client, from, from, amd.descriptor.digest)).rejects.toMatchObject({
    code: "image-not-found",
  });
  expect(target.requests).toEqual([]);
});

describe("an image", () => {
  beforeEach(() => pushBuilt(client, from, amd, "v1"));

  test("is copied byte for byte to another registry, without a tag", async () => {
    let seen = 0;
    const result = await copyManifest(client, from, to, amd.descriptor.digest, { onBytes: (bytes) => (seen += bytes) });
    expect(result).toEqual({ blobsCopied: 3, blobsMounted: 0, blobsPresent: 0, bytes: bytesOf(amd) });
    expect(seen).toBe(bytesOf(amd));
    expect((await client.fetchManifest({ ...to, digest: amd.descriptor.digest })).bytes).toEqual(amd.bytes);
    for (const { descriptor } of amd.blobs)
      expect(digestOf(await client.fetchBlob(to, descriptor))).toBe(descriptor.digest);
    expect((await target.snapshot())[to.name]?.tags).toEqual({});
  });

  test("is mounted within one registry, and no byte passes here", async () => {
    source.requests.length = 0;
    expect(await copyManifest(client, from, near, amd.descriptor.digest)).toEqual({
      blobsCopied: 0,
      blobsMounted: 3,
      blobsPresent: 0,
      bytes: 0,
    });
    expect(source.requests.filter((request) => request.method === "GET" && request.path.includes("/blobs/"))).toEqual(
      [],
    );
    expect((await client.fetchManifest({ ...near, digest: amd.descriptor.digest })).bytes).toEqual(amd.bytes);
  });

  test("is streamed where a mount is refused", async () => {
    source.faults = [{ path: "mount=", action: { kind: "status", status: 405 } }];
    expect(await copyManifest(client, from, near, amd.descriptor.digest)).toMatchObject({
      blobsCopied: 3,
      blobsMounted: 0,
    });
  });

  test("is not sent a second time", async () => {
    await copyManifest(client, from, to, amd.descriptor.digest);
    target.requests.length = 0;
    expect(await copyManifest(client, from, to, amd.descriptor.digest)).toEqual({
      blobsCopied: 0,
      blobsMounted: 0,
      blobsPresent: 3,
      bytes: 0,
    });
    expect(target.requests.every((request) => request.method === "HEAD")).toBe(true);
  });

  test("whose blob arrives with other bytes leaves no manifest behind", async () => {
    source.faults = [{ method: "GET", path: `/blobs/${amd.blobs[1]?.descriptor.digest}`, action: { kind: "corrupt" } }];
    await expect(copyManifest(client, from, to, amd.descriptor.digest)).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    expect((await target.snapshot())[to.name]?.manifests ?? []).toEqual([]);
    expect((await target.snapshot())[to.name]?.blobs ?? []).not.toContain(amd.blobs[1]?.descriptor.digest);
  });

  test("whose blob is missing at the source leaves no manifest behind", async () => {
    source.faults = [
      { method: "GET", path: `/blobs/${amd.blobs[2]?.descriptor.digest}`, action: { kind: "status", status: 404 } },
    ];
    await expect(copyManifest(client, from, to, amd.descriptor.digest)).rejects.toMatchObject({
      code: "blob-not-found",
    });
    expect((await target.snapshot())[to.name]?.manifests ?? []).toEqual([]);
  });

  test("gets there through broken connections on both sides", async () => {
    const layers = ["x".repeat(300_000), "y".repeat(300_000)];
    const large = buildImage({ layers });
    await pushBuilt(client, from, large);
    source.faults = [{ method: "GET", path: "/blobs/", times: 2, action: { kind: "reset-body", afterBytes: 100_000 } }];
    target.faults = [
      { method: "PUT", path: "/uploads/", times: 2, action: { kind: "reset-request", afterBytes: 50_000 } },
      { method: ["HEAD", "POST"], times: 2, after: 1, action: { kind: "status", status: 503 } },
    ];
    await copyManifest(client, from, to, large.descriptor.digest);
    for (const { descriptor } of large.blobs)
      expect(digestOf(await client.fetchBlob(to, descriptor))).toBe(descriptor.digest);
  });

  test("is done again from where it stopped", async () => {
    target.faults = [{ method: "PUT", path: "/manifests/", action: { kind: "status", status: 500 } }];
    await expect(copyManifest(client, from, to, amd.descriptor.digest)).rejects.toMatchObject({
      code: "registry-error",
    });
    target.faults = [];
    expect(await copyManifest(client, from, to, amd.descriptor.digest)).toMatchObject({
      blobsCopied: 0,
      blobsPresent: 3,
    });
    expect(await client.resolve({ ...to, digest: amd.descriptor.digest })).toBe(amd.descriptor.digest);
  });
});

describe("an index", () => {
  beforeEach(pushIndex);

  test("is copied with all its children, attestations included, leaves first and root last", async () => {
    const result = await copyManifest(client, from, to, index.descriptor.digest);
    // The base layer is in two children, and goes once.
    expect(result).toMatchObject({ blobsCopied: 7, blobsPresent: 0 });
    // The children are written at the same time, and arrive in any order; the index after all of them.
    const put = putsOf(target).map((request) => request.path.split("/").at(-1));
    expect(put.slice(0, -1).sort()).toEqual([amd, arm, provenance].map((each) => each.descriptor.digest).sort());
    expect(put.at(-1)).toBe(index.descriptor.digest);
    for (const each of [amd, arm, provenance, index]) {
      expect((await client.fetchManifest({ ...to, digest: each.descriptor.digest })).bytes).toEqual(each.bytes);
    }
    expect((await target.snapshot())[to.name]?.tags).toEqual({});
  });

  test("is not there when one of its children could not be copied", async () => {
    source.faults = [
      { method: "GET", path: `/manifests/${arm.descriptor.digest}`, action: { kind: "status", status: 500 } },
    ];
    await expect(copyManifest(client, from, to, index.descriptor.digest)).rejects.toMatchObject({
      code: "registry-error",
    });
    expect(await client.resolve({ ...to, digest: index.descriptor.digest })).toBeUndefined();
  });

  test("that nests further than any image does is refused", async () => {
    let nested: Descriptor = index.descriptor;
    for (let depth = 0; depth < 5; depth++) nested = await pushBuilt(client, from, buildIndex([nested]));
    await expect(copyManifest(client, from, to, nested.digest)).rejects.toMatchObject({ code: "manifest-invalid" });
    expect((await target.snapshot())[to.name]?.manifests ?? []).toEqual([]);
  });
});

test("a referrer gets into its subject's list also when its manifest is there already", async () => {
  await target.close();
  target = await startRegistry({ referrers: false });
  to = { registry: target.host, name: "vetted/shop" };
  await pushBuilt(client, from, amd);
  const referrer = buildReferrer(amd.descriptor, "application/vnd.example.sbom");
  await pushBuilt(client, from, referrer);
  await copyManifest(client, from, to, amd.descriptor.digest);
  // As after a copy that broke off between the manifest and the list.
  const [empty] = referrer.blobs;
  if (empty === undefined) throw new Error("no blob");
  await client.pushBlob(to, empty.descriptor, () => empty.bytes);
  const answer = await fetch(`${target.url}/v2/${to.name}/manifests/${referrer.descriptor.digest}`, {
    method: "PUT",
    headers: { "content-type": mediaTypes.ociManifest },
    body: Buffer.from(referrer.bytes),
  });
  expect(answer.status).toBe(201);
  expect(await client.listReferrers(to, amd.descriptor.digest)).toEqual([]);
  await copyManifest(client, from, to, referrer.descriptor.digest);
  expect(await client.listReferrers(to, amd.descriptor.digest)).toMatchObject([{ digest: referrer.descriptor.digest }]);
});

test("foreign layers are copied like any other, and named where the registry does not have them", async () => {
  const bytes = encodeText("of another owner");
  const foreign = {
    mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    digest: digestOf(bytes),
    size: bytes.byteLength,
    urls: ["https://example.com/layer"],
  };
  const manifest = { ...JSON.parse(new TextDecoder().decode(amd.bytes)), layers: [foreign] };
  for (const blob of amd.blobs) await client.pushBlob(from, blob.descriptor, () => blob.bytes);
  const digest = await client.pushManifest(from, encodeText(JSON.stringify(manifest)), mediaTypes.ociManifest);
  await expect(copyManifest(client, from, to, digest)).rejects.toMatchObject({
    code: "layer-foreign",
    wayOut: expect.any(String),
  });
  expect(await client.resolve({ ...to, digest })).toBeUndefined();
  await client.pushBlob(from, foreign, () => bytes);
  expect(await copyManifest(client, from, to, digest)).toMatchObject({ blobsCopied: 1, blobsPresent: 1 });
});

test("blobs that are at hand are sent from memory, once a registry is known to mount nothing", async () => {
  const blobs = Array.from({ length: 20 }, (_each, at) => {
    const bytes = encodeText(`blob ${at}`);
    return { bytes, descriptor: { mediaType: "application/x.data", digest: digestOf(bytes), size: bytes.byteLength } };
  });
  for (const { bytes, descriptor } of blobs) await client.pushBlob(from, descriptor, () => bytes);
  source.faults = [{ method: "POST", path: "mount=", action: { kind: "status", status: 405 } }];
  source.requests.length = 0;
  const result = await copyBlobs(client, from, near, blobs);
  expect(result).toMatchObject({ blobsMounted: 0, blobsCopied: blobs.length });
  for (const { descriptor } of blobs) expect(await client.hasBlob(near, descriptor.digest)).toBe(true);
  // Those that were on their way when the first was refused.
  expect(source.requests.filter(({ method }) => method === "GET").length).toBeLessThanOrEqual(8);
});
