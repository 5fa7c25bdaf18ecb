import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RegistryServer, startRegistry } from "./server.ts";
import { digestOf, errorCodes, putBlob } from "./testing.ts";

describe.each(["memory", "directory"])("blobs in a registry in %s", (where) => {
  let directory: string;
  let server: RegistryServer;
  let uploads: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "registry-"));
  });
  afterAll(() => rm(directory, { recursive: true }));
  beforeEach(async () => {
    server = await startRegistry(where === "memory" ? {} : { directory: await mkdtemp(join(directory, "r-")) });
    uploads = `${server.url}/v2/shop/blobs/uploads/`;
  });
  afterEach(() => server.close());

  const get = (digest: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(`${server.url}/v2/shop/blobs/${digest}`, { method, headers });
  const begin = async (query = ""): Promise<string> => {
    const answer = await fetch(`${uploads}${query}`, { method: "POST" });
    expect(answer.status).toBe(202);
    return new URL(answer.headers.get("Location") ?? "", server.url).href;
  };
  const patch = (location: string, body: string, range?: string) =>
    fetch(location, { method: "PATCH", body, headers: range === undefined ? {} : { "Content-Range": range } });
  const put = (location: string, digest: string, body = "", headers: Record<string, string> = {}) =>
    fetch(`${location}?digest=${digest}`, { method: "PUT", body, headers });
  const expectNothing = async () => expect(await server.snapshot()).toEqual({});

  describe("refuses", () => {
    it("bytes that don't have the digest, and forgets them", async () => {
      for (const digest of [digestOf("other"), digestOf("other", "sha512")]) {
        const location = await begin();
        const answer = await put(location, digest, "content");
        expect([answer.status, await errorCodes(answer)]).toEqual([400, ["DIGEST_INVALID"]]);
        expect((await fetch(location)).status).toBe(404);
        const post = await fetch(`${uploads}?digest=${digest}`, { method: "POST", body: "content" });
        expect([post.status, await errorCodes(post)]).toEqual([400, ["DIGEST_INVALID"]]);
      }
      await expectNothing();
    });

    it("a malformed digest", async () => {
      for (const digest of ["", "sha256:00", "md5:00112233445566778899aabbccddeeff"]) {
        const answers = [
          await put(await begin(), digest, "content"),
          await fetch(`${uploads}?digest=${digest}`, { method: "POST", body: "content" }),
          ...(digest === "" ? [] : [await get(digest)]),
        ];
        for (const answer of answers)
          expect([answer.status, await errorCodes(answer)]).toEqual([400, ["DIGEST_INVALID"]]);
      }
      const algorithm = await fetch(`${uploads}?digest-algorithm=md5`, { method: "POST" });
      expect([algorithm.status, await errorCodes(algorithm)]).toEqual([400, ["DIGEST_INVALID"]]);
    });

    it("a chunk out of order, and says where to go on", async () => {
      const location = await begin();
      expect((await patch(location, "12345", "0-4")).status).toBe(202);
      for (const range of ["0-4", "4-8", "6-10"]) {
        const answer = await patch(location, "67890", range);
        expect(answer.status).toBe(416);
        expect(answer.headers.get("Range")).toBe("0-4");
        expect(await errorCodes(answer)).toEqual(["BLOB_UPLOAD_INVALID"]);
      }
      const last = await put(location, digestOf("1234567890"), "67890", { "Content-Range": "6-10" });
      expect(last.status).toBe(416);
      expect((await put(location, digestOf("1234567890"), "67890", { "Content-Range": "5-9" })).status).toBe(201);
    });

    it("a chunk whose length isn't its range's", async () => {
      const location = await begin();
      for (const range of ["0-5", "0-3"]) {
        const answer = await patch(location, "12345", range);
        expect([answer.status, await errorCodes(answer)]).toEqual([400, ["SIZE_INVALID"]]);
      }
      const malformed = await patch(location, "12345", "bytes 0-4/5");
      expect([malformed.status, await errorCodes(malformed)]).toEqual([400, ["BLOB_UPLOAD_INVALID"]]);
      expect((await fetch(location)).headers.get("Range")).toBe("0-0");
    });

    it("a streamed chunk that is longer or shorter than its range", async () => {
      const stream = (text: string) => new Blob([text]).stream();
      for (const [range, kept] of [
        ["0-5", "0-4"],
        ["0-3", "0-3"],
      ] as const) {
        const location = await begin();
        const headers = { "Content-Range": range };
        const answer = await fetch(location, { method: "PATCH", body: stream("12345"), duplex: "half", headers });
        expect([answer.status, await errorCodes(answer)]).toEqual([400, ["SIZE_INVALID"]]);
        expect((await fetch(location)).headers.get("Range")).toBe(kept);
      }
    });

    it("an upload that it doesn't know, or that is another repository's", async () => {
      const location = await begin();
      for (const wrong of [location.replace("/shop/", "/other/"), `${uploads}00000000-0000-0000-0000-000000000000`]) {
        for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
          const answer = await fetch(`${wrong}?digest=${digestOf("")}`, { method });
          expect([answer.status, await errorCodes(answer)]).toEqual([404, ["BLOB_UPLOAD_UNKNOWN"]]);
        }
      }
      expect((await fetch(location)).status).toBe(204);
    });

    it("what isn't there, whichever repository has it", async () => {
      const { digest } = await putBlob(server.url, "other", "content");
      for (const method of ["GET", "DELETE"]) {
        const answer = await get(digest, {}, method);
        expect([answer.status, await errorCodes(answer)]).toEqual([404, ["BLOB_UNKNOWN"]]);
      }
      expect((await get(digest, {}, "HEAD")).status).toBe(404);
    });

    it("a range outside of the blob", async () => {
      const { digest } = await putBlob(server.url, "shop", "0123456789");
      const answer = await get(digest, { Range: "bytes=10-" });
      expect(answer.status).toBe(416);
      expect(answer.headers.get("Content-Range")).toBe("bytes */10");
      expect(await errorCodes(answer)).toEqual(["SIZE_INVALID"]);
    });
  });

  it.each(["sha256", "sha512"] as const)("takes a blob by each way, with %s", async (algorithm) => {
    const ways: Record<string, (digest: string) => Promise<Response>> = {
      post: (digest) => fetch(`${uploads}?digest=${digest}`, { method: "POST", body: "post" }),
      put: async (digest) => put(await begin(), digest, "put"),
      announced: async (digest) => put(await begin(`?digest-algorithm=${algorithm}`), digest, "announced"),
      chunks: async (digest) => {
        const location = await begin();
        expect((await patch(location, "chu", "0-2")).headers.get("Range")).toBe("0-2");
        expect((await patch(location, "nk", "3-4")).headers.get("Range")).toBe("0-4");
        const state = await fetch(location);
        expect([state.status, state.headers.get("Range")]).toEqual([204, "0-4"]);
        return put(location, digest, "s", { "Content-Range": "5-5" });
      },
      stream: async (digest) => {
        const location = await begin();
        await fetch(location, { method: "PATCH", body: new Blob(["stream"]).stream(), duplex: "half" });
        return put(location, digest);
      },
    };
    for (const [content, push] of Object.entries(ways)) {
      const digest = digestOf(content, algorithm);
      const answer = await push(digest);
      expect(answer.status).toBe(201);
      expect(answer.headers.get("Docker-Content-Digest")).toBe(digest);
      const pulled = await fetch(new URL(answer.headers.get("Location") ?? "", server.url));
      expect([pulled.status, pulled.headers.get("Docker-Content-Digest"), await pulled.text()]).toEqual([
        200,
        digest,
        content,
      ]);
    }
  });

  it("serves a blob whole, in ranges, and its head", async () => {
    const { digest } = await putBlob(server.url, "shop", "0123456789");
    const head = await get(digest, {}, "HEAD");
    expect([head.status, head.headers.get("Content-Length"), head.headers.get("Docker-Content-Digest")]).toEqual([
      200,
      "10",
      digest,
    ]);
    const part = await get(digest, { Range: "bytes=2-4" });
    expect([
      part.status,
      part.headers.get("Content-Range"),
      part.headers.get("Content-Length"),
      await part.text(),
    ]).toEqual([206, "bytes 2-4/10", "3", "234"]);
    expect(await (await get(digest, { Range: "bytes=8-" })).text()).toBe("89");
    expect(await (await get(digest, { Range: "bytes=8-", "If-Range": `"${digest}"` })).text()).toBe("89");
    expect(await (await get(digest, { Range: "bytes=8-", "If-Range": '"other"' })).text()).toBe("0123456789");
    expect((await get(digest, { "If-None-Match": `"${digest}"` })).status).toBe(304);
  });

  it("keeps an empty blob, and one of many pieces", async () => {
    const empty = await putBlob(server.url, "shop", "");
    expect(await (await get(empty.digest)).text()).toBe("");
    const content = Buffer.alloc(3_000_000, "0123456789abcdef-");
    const large = await putBlob(server.url, "shop", content);
    expect(Buffer.from(await (await get(large.digest)).arrayBuffer()).equals(content)).toBe(true);
    expect(await (await get(large.digest, { Range: "bytes=1000000-1000016" })).text()).toBe(
      content.subarray(1_000_000, 1_000_017).toString(),
    );
  });

  it("forgets an upload that is given up", async () => {
    const location = await begin();
    await patch(location, "12345");
    expect((await fetch(location, { method: "DELETE" })).status).toBe(204);
    expect((await fetch(location)).status).toBe(404);
    await expectNothing();
  });

  it("keeps what came of a chunk whose connection broke", async () => {
    server.faults = [{ method: "PATCH", times: 1, action: { kind: "reset-request", afterBytes: 3 } }];
    const location = await begin();
    await expect(patch(location, "12345", "0-4")).rejects.toThrow();
    expect((await fetch(location)).headers.get("Range")).toBe("0-2");
    expect((await patch(location, "45", "3-4")).status).toBe(202);
    expect((await put(location, digestOf("12345"))).status).toBe(201);
  });

  describe("mounting", () => {
    const mount = (query: string) => fetch(`${uploads}?${query}`, { method: "POST" });

    it.each([
      ["without from", (digest: string) => `mount=${digest}`],
      ["from a repository that lacks it", (digest: string) => `mount=${digest}&from=third`],
      ["from what is no repository's name", (digest: string) => `mount=${digest}&from=..`],
      ["of what isn't there", () => `mount=${digestOf("nothing")}&from=other`],
      ["of a malformed digest", () => "mount=sha256:00&from=other"],
    ])("%s starts an upload instead", async (_what, query) => {
      const { digest } = await putBlob(server.url, "other", "content");
      const answer = await mount(query(digest));
      expect(answer.status).toBe(202);
      expect((await get(digest)).status).toBe(404);
      const location = new URL(answer.headers.get("Location") ?? "", server.url).href;
      expect((await put(location, digest, "content")).status).toBe(201);
    });

    it("takes a blob over without its bytes", async () => {
      const { digest } = await putBlob(server.url, "other", "content");
      const answer = await mount(`mount=${digest}&from=other`);
      expect([answer.status, answer.headers.get("Location")]).toEqual([201, `/v2/shop/blobs/${digest}`]);
      expect(await (await get(digest)).text()).toBe("content");
    });

    it("leaves each repository its own: the content goes with the last", async () => {
      const { digest } = await putBlob(server.url, "other", "content");
      await mount(`mount=${digest}&from=other`);
      expect((await fetch(`${server.url}/v2/other/blobs/${digest}`, { method: "DELETE" })).status).toBe(202);
      expect(await (await get(digest)).text()).toBe("content");
      expect((await get(digest, {}, "DELETE")).status).toBe(202);
      expect((await get(digest)).status).toBe(404);
      expect(await server.snapshot()).toMatchObject({ other: { blobs: [] }, shop: { blobs: [] } });
    });
  });
});
