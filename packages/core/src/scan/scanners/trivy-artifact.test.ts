import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { silentPorts } from "@goldenpath/foundation/ports";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fetchTrivyData, unpackTrivyData } from "./trivy-artifact.ts";

const data = join(import.meta.dirname, "../../../../../test/fixtures/trivy-db/db");
const layerType = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip";
let registry: RegistryServer;
let root = "";
let directory = "";
let files: { name: string; content: Uint8Array }[] = [];
beforeAll(async () => {
  registry = await startRegistry();
  root = await mkdtemp(join(tmpdir(), "goldenpath-trivy-"));
  files = await Promise.all(
    ["trivy.db", "metadata.json"].map(async (name) => ({ name, content: await readFile(join(data, name)) })),
  );
});
beforeEach(async () => {
  directory = await mkdtemp(join(root, "one-"));
});
afterAll(async () => {
  await registry?.close();
  await rm(root, { recursive: true, force: true });
});

const context = () => ({
  ...{ ports: silentPorts(), env: {}, signal: new AbortController().signal, temporaryDirectory: root },
});

/** As the publisher pushes it. */
async function publish(archive: Uint8Array, mediaType = layerType): Promise<string> {
  const repository = { registry: registry.host, name: "aquasecurity/trivy-db" };
  const layer = { mediaType, digest: digestOf(archive), size: archive.byteLength };
  const config = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
  await withRegistryClient(context(), async (client) => {
    await client.pushBlob(repository, config, () => emptyBlob.bytes);
    await client.pushBlob(repository, layer, () => archive);
    await client.pushManifest(repository, Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest, "2");
  });
  return `oci://${registry.host}/aquasecurity/trivy-db:2`;
}

const fetch = (source: string) => fetchTrivyData({ source, parts: [], directory }, context());

describe("trivy's data is not had", () => {
  test("from where it is not, and from what is no registry", async () => {
    const source = `oci://${registry.host}/aquasecurity/none:2`;
    await expect(fetch(source)).rejects.toMatchObject({ code: "image-not-found" });
    await expect(fetch("https://a.example/db.tar.gz")).rejects.toMatchObject({ code: "input-invalid" });
  });

  test.each<[string, () => Uint8Array, string, string]>([
    ["of a layer of another kind", () => gzipSync(tarOf(...files)), "application/gzip", "data-unavailable"],
    ["with a file more", () => gzipSync(tarOf(...files, { name: "x", content: "" })), layerType, "data-untrusted"],
    ["without a file", () => gzipSync(tarOf(...files.slice(0, 1))), layerType, "scanner-failed"],
    ["that is no archive", () => Buffer.from("a page of text"), layerType, "data-untrusted"],
  ])("%s", async (_name, archive, mediaType, code) => {
    await expect(publish(archive(), mediaType).then(fetch)).rejects.toMatchObject({ code });
  });
});

test("it says when it was made, and is unpacked to where trivy reads it", async () => {
  const source = await publish(gzipSync(tarOf(...files)));
  const fetched = await fetch(source);
  const { UpdatedAt } = JSON.parse(await readFile(join(data, "metadata.json"), "utf8")) as { UpdatedAt: string };
  expect(fetched).toMatchObject({ built: new Date(UpdatedAt), schema: "2" });
  expect(fetched.source).toMatch(/^oci:\/\/localhost:\d+\/aquasecurity\/trivy-db@sha256:/);
  const target = join(directory, "target");
  await unpackTrivyData(fetched.path, target, new AbortController().signal);
  for (const { name, content } of files) expect((await readFile(join(target, "db", name))).equals(content)).toBe(true);
});
