import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RegistryServer, startRegistry } from "./server.ts";
import {
  configType,
  describeContent,
  digestOf,
  errorCodes,
  imageType,
  indexType,
  layerType,
  putBlob,
  putImage,
  renderManifest,
  sendManifest,
} from "./testing.ts";

describe.each(["memory", "directory"])("manifests in a registry in %s", (where) => {
  let directory: string;
  let server: RegistryServer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "registry-"));
  });
  afterAll(() => rm(directory, { recursive: true }));
  beforeEach(async () => {
    server = await startRegistry(where === "memory" ? {} : { directory: await mkdtemp(join(directory, "r-")) });
  });
  afterEach(() => server.close());

  const get = (reference: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(`${server.url}/v2/shop/manifests/${reference}`, { method, headers });
  const send = (reference: string, manifest: string | Uint8Array, headers?: Record<string, string>) =>
    sendManifest(server.url, "shop", reference, manifest, headers);
  const referrers = async (subject: string, query = "") => {
    const answer = await fetch(`${server.url}/v2/shop/referrers/${subject}${query}`);
    expect([answer.status, answer.headers.get("Content-Type")]).toEqual([200, indexType]);
    return {
      headers: answer.headers,
      manifests: ((await answer.json()) as { manifests: Record<string, unknown>[] }).manifests,
    };
  };

  describe("refuses", () => {
    it("an image whose config or layers it lacks, naming each", async () => {
      const config = await putBlob(server.url, "shop", "{}", configType);
      const lacking = [describeContent("a", layerType), describeContent("b", layerType)];
      await putBlob(server.url, "other", "a");
      const before = await server.snapshot();
      const answer = await send("v1", renderManifest({ config, layers: lacking }));
      expect(answer.status).toBe(400);
      const { errors } = (await answer.json()) as { errors: { code: string; detail: { digest: string } }[] };
      expect(errors.map((error) => [error.code, error.detail.digest])).toEqual(
        lacking.map(({ digest }) => ["MANIFEST_BLOB_UNKNOWN", digest]),
      );
      const noConfig = await send("v1", renderManifest({ config: describeContent("x", configType), layers: [] }));
      expect([noConfig.status, await errorCodes(noConfig)]).toEqual([400, ["MANIFEST_BLOB_UNKNOWN"]]);
      expect(await server.snapshot()).toEqual(before);
    });

    it("an index whose children it lacks", async () => {
      const index = renderManifest({ mediaType: indexType, manifests: [describeContent("child", imageType)] });
      const answer = await send("v1", index, { "Content-Type": indexType });
      expect([answer.status, await errorCodes(answer)]).toEqual([400, ["MANIFEST_BLOB_UNKNOWN"]]);
      expect(await server.snapshot()).toEqual({});
    });

    it("bytes that don't have the digest", async () => {
      const { manifest } = await putImage(server.url, "shop");
      const before = await server.snapshot();
      for (const digest of [digestOf("other"), digestOf("other", "sha512")]) {
        const answer = await send(digest, manifest);
        expect([answer.status, await errorCodes(answer)]).toEqual([400, ["DIGEST_INVALID"]]);
      }
      expect(await server.snapshot()).toEqual(before);
    });

    it("more than 4 MiB, and takes as much", async () => {
      const { manifest } = await putImage(server.url, "shop");
      const limit = 4 * 1024 * 1024;
      const over = await send("v1", manifest.padEnd(limit + 1));
      expect([over.status, await errorCodes(over)]).toEqual([413, ["SIZE_INVALID"]]);
      const streamed = await fetch(`${server.url}/v2/shop/manifests/v1`, {
        method: "PUT",
        body: new Blob([manifest.padEnd(limit + 1)]).stream(),
        duplex: "half",
        headers: { "Content-Type": imageType },
      });
      expect(streamed.status).toBe(413);
      const large = await send("v1", Buffer.alloc(10 * limit, " "));
      expect([large.status, await errorCodes(large)]).toEqual([413, ["SIZE_INVALID"]]);
      expect((await get("v1")).status).toBe(404);
      expect((await send("v1", manifest.padEnd(limit))).status).toBe(201);
    });

    it("what is no manifest, no tag or no digest", async () => {
      const { manifest } = await putImage(server.url, "shop");
      const malformed = await send("v1", "{");
      expect([malformed.status, await errorCodes(malformed)]).toEqual([400, ["MANIFEST_INVALID"]]);
      const tag = await send("-v1", manifest);
      expect([tag.status, await errorCodes(tag)]).toEqual([400, ["MANIFEST_INVALID"]]);
      const extraTag = await send(`${digestOf(manifest)}?tag=-v1`, manifest);
      expect([extraTag.status, await errorCodes(extraTag)]).toEqual([400, ["MANIFEST_INVALID"]]);
      const digest = await get("sha256:00");
      expect([digest.status, await errorCodes(digest)]).toEqual([400, ["DIGEST_INVALID"]]);
    });

    it("what isn't there", async () => {
      const { digest } = await putImage(server.url, "other", "v1");
      for (const reference of ["v1", digest]) {
        const answer = await get(reference);
        expect([answer.status, await errorCodes(answer)]).toEqual([404, ["MANIFEST_UNKNOWN"]]);
        expect((await get(reference, {}, "HEAD")).status).toBe(404);
        const deletion = await get(reference, {}, "DELETE");
        expect([deletion.status, await errorCodes(deletion)]).toEqual([404, ["NAME_UNKNOWN"]]);
      }
      await putBlob(server.url, "shop", "x");
      expect(await errorCodes(await get("v1", {}, "DELETE"))).toEqual(["MANIFEST_UNKNOWN"]);
      expect(await errorCodes(await get(digest, {}, "DELETE"))).toEqual(["MANIFEST_UNKNOWN"]);
    });
  });

  it.each(["tag", "sha256", "sha512"] as const)("keeps the exact bytes, put by %s", async (by) => {
    const { manifest } = await putImage(server.url, "shop");
    const bytes = ` ${manifest}\n`;
    const digest = digestOf(bytes, by === "sha512" ? "sha512" : "sha256");
    const reference = by === "tag" ? "v1" : digest;
    const put = await send(reference, bytes);
    expect([
      put.status,
      put.headers.get("Location"),
      put.headers.get("Docker-Content-Digest"),
      put.headers.has("OCI-Subject"),
    ]).toEqual([201, `/v2/shop/manifests/${reference}`, digest, false]);
    for (const name of [reference, digest]) {
      const answer = await get(name);
      expect([
        answer.headers.get("Content-Type"),
        answer.headers.get("Docker-Content-Digest"),
        await answer.text(),
      ]).toEqual([imageType, digest, bytes]);
      const head = await get(name, {}, "HEAD");
      expect([head.status, head.headers.get("Content-Length")]).toEqual([200, String(Buffer.byteLength(bytes))]);
    }
    expect((await get(reference, { "If-None-Match": `"${digest}"` })).status).toBe(304);
  });

  it("points tags named beside a digest to it", async () => {
    const { digest, manifest } = await putImage(server.url, "shop");
    const answer = await send(`${digest}?tag=v1&tag=v2`, manifest);
    expect([answer.status, answer.headers.get("OCI-Tag")]).toEqual([201, "v1, v2"]);
    expect((await server.snapshot()).shop?.tags).toEqual({ v1: digest, v2: digest });
  });

  it("changes a tag only from what the client has seen", async () => {
    const first = await putImage(server.url, "shop", "v1");
    const manifest = renderManifest({ ...JSON.parse(first.manifest), annotations: { a: "b" } });
    const put = (reference: string, headers: Record<string, string>) =>
      send(reference, manifest, { "Content-Type": imageType, ...headers });
    const before = await server.snapshot();
    for (const answer of [
      await put("v1", { "If-None-Match": "*" }),
      await put("v1", { "If-Match": `"${digestOf(manifest)}"` }),
      await put("v2", { "If-Match": "*" }),
      await put("v2", { "If-Match": `"${first.digest}"` }),
      await get("v1", { "If-Match": `"${digestOf(manifest)}"` }, "DELETE"),
      await get(first.digest, { "If-Match": `"${digestOf(manifest)}"` }, "DELETE"),
    ]) {
      expect([answer.status, await errorCodes(answer)]).toEqual([412, ["DENIED"]]);
    }
    expect(await server.snapshot()).toEqual(before);
    const etag = (await get("v1")).headers.get("ETag") ?? "";
    expect((await put("v1", { "If-Match": etag })).status).toBe(201);
    expect((await put("v2", { "If-None-Match": "*" })).status).toBe(201);
    expect((await server.snapshot()).shop?.tags).toEqual({ v1: digestOf(manifest), v2: digestOf(manifest) });
  });

  it("lets one of several clients through that change a tag at once", async () => {
    const { digest, manifest } = await putImage(server.url, "shop", "v1");
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        send("v1", renderManifest({ ...JSON.parse(manifest), annotations: { index: String(index) } }), {
          "Content-Type": imageType,
          "If-Match": `"${digest}"`,
        }),
      ),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 412)]);
  });

  it("deletes a tag alone, and a manifest with its tags", async () => {
    const { digest } = await putImage(server.url, "shop", "v1");
    await send("v2", await (await get("v1")).text());
    expect((await get("v1", {}, "DELETE")).status).toBe(202);
    expect((await get("v1")).status).toBe(404);
    expect((await get("v2")).status).toBe(200);
    expect((await get(digest, {}, "DELETE")).status).toBe(202);
    for (const reference of ["v2", digest]) expect((await get(reference)).status).toBe(404);
    const { manifests, tags } = (await server.snapshot()).shop ?? {};
    expect([manifests, tags]).toEqual([[], {}]);
  });

  it("keeps bytes that are a blob as well until both are gone", async () => {
    const { digest, manifest } = await putImage(server.url, "shop", "v1");
    await putBlob(server.url, "other", manifest);
    expect((await fetch(`${server.url}/v2/other/blobs/${digest}`, { method: "DELETE" })).status).toBe(202);
    expect(await (await get("v1")).text()).toBe(manifest);
  });

  describe("referrers", () => {
    it("are listed for a subject that doesn't exist yet, with type and annotations, and go when deleted", async () => {
      const subject = describeContent("a subject to come", imageType);
      const plain = await putImage(server.url, "shop", undefined, { subject });
      const typed = await putImage(server.url, "shop", undefined, {
        subject,
        artifactType: "application/x",
        annotations: { a: "b" },
      });
      await putImage(server.url, "shop", "unrelated");
      await putImage(server.url, "other", undefined, { subject });
      const indexManifest = renderManifest({ mediaType: indexType, manifests: [], subject });
      const put = await send(digestOf(indexManifest), indexManifest, { "Content-Type": indexType });
      expect([put.status, put.headers.get("OCI-Subject")]).toEqual([201, subject.digest]);

      const { manifests, headers } = await referrers(subject.digest);
      expect(headers.has("OCI-Filters-Applied")).toBe(false);
      const size = Buffer.byteLength(indexManifest);
      expect(manifests).toEqual(
        [
          { mediaType: imageType, digest: plain.digest, size: plain.size, artifactType: configType },
          {
            mediaType: imageType,
            digest: typed.digest,
            size: typed.size,
            artifactType: "application/x",
            annotations: { a: "b" },
          },
          { mediaType: indexType, digest: digestOf(indexManifest), size },
        ].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
      );

      const filtered = await referrers(subject.digest, "?artifactType=application/x");
      expect(filtered.headers.get("OCI-Filters-Applied")).toBe("artifactType");
      expect(filtered.manifests.map(({ digest }) => digest)).toEqual([typed.digest]);
      expect((await referrers(subject.digest, "?artifactType=none")).manifests).toEqual([]);

      expect((await get(typed.digest, {}, "DELETE")).status).toBe(202);
      expect((await referrers(subject.digest)).manifests.map(({ digest }) => digest)).not.toContain(typed.digest);
    });

    it("are none, and no 404, for what nobody refers to", async () => {
      expect((await referrers(digestOf("nothing"))).manifests).toEqual([]);
    });

    it("are refused for what is no digest", async () => {
      const answer = await fetch(`${server.url}/v2/shop/referrers/v1`);
      expect([answer.status, await errorCodes(answer)]).toEqual([400, ["DIGEST_INVALID"]]);
    });
  });
});
