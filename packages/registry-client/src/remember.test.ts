import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { digestOf } from "./oci/digest.ts";
import { mediaTypes } from "./oci/manifest.ts";
import { rememberReads } from "./remember.ts";
import { buildImage, describeBytes, encodeText, pushBuilt } from "./testing.ts";

let server: RegistryServer;
let client: RegistryClient;
let repository: { registry: string; name: string };
const image = buildImage({ layers: ["a layer"] });
const [config] = image.blobs;
const descriptor = config?.descriptor ?? describeBytes(encodeText(""), mediaTypes.ociEmpty);

beforeEach(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  repository = { registry: server.host, name: "quarantine/shop" };
  await pushBuilt(client, repository, image, "v1");
  server.requests.length = 0;
});
afterEach(async () => {
  await client.close();
  await server.close();
});

test("another repository is asked, whatever is known of the digest", async () => {
  const reader = rememberReads(client);
  await reader.fetchManifest({ ...repository, digest: image.descriptor.digest });
  await reader.fetchBlob(repository, descriptor);
  const other = { ...repository, name: "quarantine/other" };
  await expect(reader.fetchManifest({ ...other, digest: image.descriptor.digest })).rejects.toThrow("does not exist");
  await expect(reader.fetchBlob(other, descriptor)).rejects.toThrow();
  expect(reader.held(other, descriptor.digest)).toBeUndefined();
});

test("a descriptor with another size, and a bound that is too low, are refused although the bytes are known", async () => {
  const reader = rememberReads(client);
  await reader.fetchBlob(repository, descriptor);
  await expect(reader.fetchBlob(repository, { ...descriptor, size: descriptor.size + 1 })).rejects.toThrow();
  await expect(reader.fetchBlob(repository, descriptor, descriptor.size - 1)).rejects.toThrow();
  expect(await reader.fetchBlob(repository, descriptor, descriptor.size)).toEqual(config?.bytes);
});

test("an error is not remembered, and neither is a tag", async () => {
  const reader = rememberReads(client);
  server.faults = [{ method: "GET", times: 2, action: { kind: "status", status: 404 } }];
  await expect(reader.fetchManifest({ ...repository, digest: image.descriptor.digest })).rejects.toThrow();
  await expect(reader.listTags(repository)).resolves.toEqual([]);
  server.faults = [{ path: "/blobs/", times: 1, action: { kind: "status", status: 404 } }];
  await expect(reader.fetchBlob(repository, descriptor)).rejects.toThrow();
  expect((await reader.fetchManifest({ ...repository, tag: "v1" })).digest).toBe(image.descriptor.digest);
  const other = buildImage({ layers: ["another"] });
  await pushBuilt(client, repository, other, "v1");
  expect((await reader.fetchManifest({ ...repository, tag: "v1" })).digest).toBe(other.descriptor.digest);
});

test("what was read is not asked for again, be it at the same time or by a tag first", async () => {
  const reader = rememberReads(client);
  await reader.fetchManifest({ ...repository, tag: "v1" });
  const reference = { ...repository, digest: image.descriptor.digest };
  const [first, second] = await Promise.all([
    reader.fetchBlob(repository, descriptor),
    reader.fetchBlob(repository, descriptor),
  ]);
  expect(second).toBe(first);
  await Promise.all([reader.listTags(repository), reader.listTags(repository), reader.fetchManifest(reference)]);
  expect(reader.held(repository, descriptor.digest)).toEqual(config?.bytes);
  expect(server.requests.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
    `GET /v2/quarantine/shop/blobs/${descriptor.digest}`,
    "GET /v2/quarantine/shop/manifests/v1",
    "GET /v2/quarantine/shop/tags/list",
  ]);
  expect(rememberReads(reader)).toBe(reader);
});

test("the oldest goes first, and what would push out everything is not kept", async () => {
  const reader = rememberReads(client, 4000);
  const blobs = [1200, 1100, 1300, 1600].map((size, at) => encodeText(String(at).repeat(size)));
  const descriptors = blobs.map((bytes) => describeBytes(bytes, "application/x.data"));
  for (const [at, each] of descriptors.entries())
    await client.pushBlob(repository, each, () => blobs[at] ?? encodeText(""));
  for (const each of descriptors) expect(digestOf(await reader.fetchBlob(repository, each))).toBe(each.digest);
  expect(descriptors.map(({ digest }) => reader.held(repository, digest) !== undefined)).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
