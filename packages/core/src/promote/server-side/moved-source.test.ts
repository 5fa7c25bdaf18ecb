import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushImage } from "@goldenpath/testing/chain";
import { connect } from "@goldenpath/testing/promotion";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readWhereMoved } from "./moved-source.ts";

let registry: RegistryServer;
let client: RegistryClient;
let reader: RegistryClient;
let from: Repository;
let to: Repository;
let image: Manifest;
const blob = { mediaType: "application/octet-stream", digest: digestOf("moved"), size: 5 };

beforeEach(async () => {
  registry = await startRegistry();
  client = connect();
  from = parseRepository(`${registry.host}/quarantine/shop`);
  to = parseRepository(`${registry.host}/vetted/shop`);
  reader = readWhereMoved(client, from, to);
  const { digest } = await pushImage(client, `${to.registry}/${to.name}`, "moved", "1.0.0");
  image = await client.fetchManifest({ ...to, digest });
  await client.pushBlob(to, blob, () => new TextEncoder().encode("moved"));
});

afterEach(async () => {
  await client.close();
  await registry.close();
});

test("what is gone at the source is read at the destination, by digest", async () => {
  expect((await reader.fetchManifest({ ...from, digest: image.digest })).bytes).toEqual(image.bytes);
  expect(await reader.resolve({ ...from, digest: image.digest })).toBe(image.digest);
  expect(await reader.hasBlob(from, blob.digest)).toBe(true);
  expect(new TextDecoder().decode(await reader.fetchBlob(from, blob))).toBe("moved");
  const chunks: Uint8Array[] = [];
  for await (const chunk of await reader.openBlob(from, blob)) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe("moved");
});

describe("is not read", () => {
  const nothing = digestOf("nothing");

  test("by tag, which the destination may have of its own", async () => {
    expect(await reader.resolve({ ...from, tag: "1.0.0" })).toBeUndefined();
    await expect(reader.fetchManifest({ ...from, tag: "1.0.0" })).rejects.toMatchObject({ code: "image-not-found" });
  });

  test("for a third repository", async () => {
    const third = parseRepository(`${registry.host}/other/shop`);
    expect(await reader.resolve({ ...third, digest: image.digest })).toBeUndefined();
    expect(await reader.hasBlob(third, blob.digest)).toBe(false);
    await expect(reader.fetchManifest({ ...third, digest: image.digest })).rejects.toMatchObject({
      code: "image-not-found",
    });
    await expect(reader.fetchBlob(third, blob)).rejects.toMatchObject({ code: "blob-not-found" });
  });

  test("where it is at neither, and the error names the source", async () => {
    expect(await reader.resolve({ ...from, digest: nothing })).toBeUndefined();
    const fetched = reader.fetchManifest({ ...from, digest: nothing });
    await expect(fetched).rejects.toMatchObject({
      code: "image-not-found",
      message: expect.stringContaining(from.name),
    });
  });

  test("where the source can't be asked: that says nothing about what is there", async () => {
    registry.faults = [{ path: "^/v2/quarantine/", action: { kind: "status", status: 500 } }];
    await expect(reader.fetchManifest({ ...from, digest: image.digest })).rejects.toMatchObject({
      code: "registry-error",
    });
    await expect(reader.resolve({ ...from, digest: image.digest })).rejects.toMatchObject({ code: "registry-error" });
  });
});

test("its referrers are those that stayed, and those that went along; of an image that is there, its own list alone", async () => {
  const refer = async (where: Repository, text: string): Promise<Digest> => {
    const bytes = new TextEncoder().encode(text);
    const layer = { mediaType: "text/plain", digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(where, layer, () => bytes);
    const { mediaType, digest } = image;
    const subject = { mediaType, digest, size: image.bytes.byteLength };
    const manifest = {
      schemaVersion: 2,
      mediaType,
      artifactType: "text/plain",
      config: layer,
      layers: [layer],
      subject,
    };
    return client.pushManifest(where, new TextEncoder().encode(JSON.stringify(manifest)), mediaType);
  };
  const [stayed, went] = [await refer(from, "stayed"), await refer(to, "went along")];
  const listed = async (): Promise<Digest[]> =>
    (await reader.listReferrers(from, image.digest)).map(({ digest }) => digest);
  expect((await listed()).toSorted()).toEqual([stayed, went].toSorted());
  for (const each of image.kind === "image" ? [image.manifest.config, ...image.manifest.layers] : [])
    await client.copyBlob(to, from, each);
  await client.pushManifest(from, image.bytes, image.mediaType, image.digest);
  expect(await listed()).toEqual([stayed]);
});
