import { Agent, request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type RegistryOptions, type RegistryServer, startRegistry } from "./server.ts";
import {
  describeContent,
  digestOf,
  errorCodes,
  imageType,
  putBlob,
  putImage,
  renderManifest,
  requestRaw,
  sendManifest,
} from "./testing.ts";

let server: RegistryServer;
const start = async (options?: RegistryOptions) => {
  server = await startRegistry(options);
  return server;
};
afterEach(() => server.close());

describe("startRegistry", () => {
  it("says where it is", async () => {
    const { url, host } = await start();
    const { port } = new URL(url);
    expect([url, host]).toEqual([`http://127.0.0.1:${port}`, `localhost:${port}`]);
    const answer = await fetch(`http://${host}/v2/`);
    expect([answer.status, answer.headers.get("Docker-Distribution-API-Version")]).toEqual([200, "registry/2.0"]);
  });

  it("fails when the port is taken", async () => {
    const { url } = await start();
    await expect(startRegistry({ port: Number(new URL(url).port) })).rejects.toThrow("EADDRINUSE");
  });

  it("records what was asked of it, and logs it without headers", async () => {
    const lines: string[] = [];
    const { url, requests } = await start({ log: (line) => lines.push(line) });
    const { digest } = await putBlob(url, "shop", "content");
    await (
      await fetch(`${url}/v2/shop/blobs/${digest}?ns=a%20b`, { headers: { Authorization: "Basic c2VjcmV0" } })
    ).text();
    expect(requests.map(({ headers, ...rest }) => rest)).toEqual([
      {
        method: "POST",
        path: "/v2/shop/blobs/uploads/",
        query: `digest=${digest}`,
        status: 201,
        bytesIn: 7,
        bytesOut: 0,
      },
      { method: "GET", path: `/v2/shop/blobs/${digest}`, query: "ns=a%20b", status: 200, bytesIn: 0, bytesOut: 7 },
    ]);
    expect(requests[1]?.headers.authorization).toBe("Basic c2VjcmV0");
    await expect
      .poll(() => lines)
      .toEqual([
        `POST /v2/shop/blobs/uploads/?digest=${digest} 201 in=7 out=0`,
        `GET /v2/shop/blobs/${digest}?ns=a%20b 200 in=0 out=7`,
      ]);
  });
});

describe("a body that is refused early", () => {
  it("is read to its end, so that the connection is good for the next request", async () => {
    const { url } = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const send = (method: string, path: string, body: Uint8Array): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const outgoing = request(`${url}${path}`, { method, agent }, (answer) => {
          answer.resume();
          answer.on("end", () => resolve(answer.statusCode));
        });
        outgoing.on("error", reject);
        outgoing.end(body);
      });
    const large = Buffer.alloc(40_000_000, " ");
    expect(await send("PUT", "/v2/shop/manifests/v1", large)).toBe(413);
    expect(await send("PUT", "/v2/UPPER/manifests/v1", large)).toBe(400);
    expect(await send("GET", "/v2/", Buffer.alloc(0))).toBe(200);
    agent.destroy();
  });
});

describe("paths", () => {
  it.each([
    "/v2/../etc/tags/list",
    "/v2/a/../b/tags/list",
    "/v2/a/%2e%2e/b/tags/list",
    "/v2/a%2f..%2fb/tags/list",
    "/v2/A/tags/list",
    "/v2/a//b/tags/list",
  ])("refuses the name in %s", async (path) => {
    const { url } = await start();
    const { status, body } = await requestRaw(url, "GET", path);
    expect([status, JSON.parse(body).errors[0].code]).toEqual([400, "NAME_INVALID"]);
  });

  it.each(["/", "/v1/", "/v2/shop", "/v2/shop/", "/v2/shop/blobs/", "/v2/tags/list", "/token", "/v2/%ff/x"])(
    "has nothing at %s",
    async (path) => {
      const { url } = await start();
      expect((await requestRaw(url, "GET", path)).status).toBe(404);
    },
  );

  it.each([
    ["POST", "/v2/"],
    ["POST", "/v2/_catalog"],
    ["PUT", `/v2/shop/blobs/${digestOf("")}`],
    ["POST", "/v2/shop/manifests/v1"],
    ["GET", "/v2/shop/blobs/uploads/"],
    ["DELETE", "/v2/shop/tags/list"],
    ["PUT", `/v2/shop/referrers/${digestOf("")}`],
  ])("takes no %s at %s", async (method, path) => {
    const { url } = await start();
    const answer = await fetch(`${url}${path}`, { method });
    expect([answer.status, await errorCodes(answer)]).toEqual([405, ["UNSUPPORTED"]]);
  });

  it("takes an escaped digest, and names that look like parts of the API", async () => {
    const { url } = await start();
    const { digest } = await putBlob(url, "a/blobs/uploads", "content");
    const { status, body } = await requestRaw(url, "GET", `/v2/a/blobs/uploads/blobs/${encodeURIComponent(digest)}`);
    expect([status, body]).toEqual([200, "content"]);
    await putImage(url, "a/manifests", "v1");
    expect(await (await fetch(`${url}/v2/a/manifests/tags/list`)).json()).toEqual({
      name: "a/manifests",
      tags: ["v1"],
    });
  });
});

describe("read-only repositories", () => {
  it("refuse every write, and nothing else", async () => {
    const { url, faults } = await start({ readOnlyPrefixes: ["vetted"] });
    expect(faults).toEqual([]);
    const { digest, manifest } = await putImage(url, "quarantine/shop", "v1");
    const layer = digestOf("a layer");
    const before = await server.snapshot();
    for (const name of ["vetted", "vetted/shop"]) {
      for (const [method, path] of [
        ["POST", "blobs/uploads/"],
        ["POST", `blobs/uploads/?mount=${layer}&from=quarantine/shop`],
        ["POST", `blobs/uploads/?digest=${digestOf("")}`],
        ["PUT", "manifests/v1"],
        ["PUT", `manifests/${digest}`],
        ["DELETE", "manifests/v1"],
        ["DELETE", `blobs/${layer}`],
      ] as const) {
        const body = method === "PUT" ? manifest : undefined;
        const answer = await fetch(`${url}/v2/${name}/${path}`, { method, ...(body === undefined ? {} : { body }) });
        expect([answer.status, await errorCodes(answer)]).toEqual([403, ["DENIED"]]);
      }
      expect((await fetch(`${url}/v2/${name}/manifests/v1`)).status).toBe(404);
    }
    expect(await server.snapshot()).toEqual(before);
    await putImage(url, "vetted2", "v1");
  });
});

describe("lists", () => {
  const follow = async (path: string): Promise<string[][]> => {
    const pages: string[][] = [];
    for (let next: string | undefined = path; next !== undefined; ) {
      const answer: Response = await fetch(new URL(next, server.url));
      const json = (await answer.json()) as {
        tags?: string[];
        repositories?: string[];
        manifests?: { digest: string }[];
      };
      pages.push(json.tags ?? json.repositories ?? (json.manifests ?? []).map(({ digest }) => digest));
      next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("Link") ?? "")?.[1];
    }
    return pages;
  };

  it("gives tags sorted, in the pages that the client asks for", async () => {
    const { url } = await start();
    for (const tag of ["b", "a", "C", "10", "9"]) await putImage(url, "shop", tag);
    expect(await (await fetch(`${url}/v2/shop/tags/list`)).json()).toEqual({
      name: "shop",
      tags: ["10", "9", "C", "a", "b"],
    });
    expect(await follow("/v2/shop/tags/list?n=2")).toEqual([["10", "9"], ["C", "a"], ["b"]]);
    expect(await follow("/v2/shop/tags/list?n=5")).toEqual([["10", "9", "C", "a", "b"]]);
    expect(await follow("/v2/shop/tags/list?last=9")).toEqual([["C", "a", "b"]]);
    expect(await follow("/v2/shop/tags/list?n=0")).toEqual([[]]);
    expect((await fetch(`${url}/v2/shop/tags/list?n=x`)).status).toBe(400);
  });

  it("knows a repository without tags, and not one that was never written to", async () => {
    const { url } = await start();
    await putBlob(url, "shop", "x");
    expect(await (await fetch(`${url}/v2/shop/tags/list`)).json()).toEqual({ name: "shop", tags: [] });
    const answer = await fetch(`${url}/v2/other/tags/list`);
    expect([answer.status, await errorCodes(answer)]).toEqual([404, ["NAME_UNKNOWN"]]);
  });

  it("gives repositories sorted, in pages", async () => {
    const { url } = await start();
    for (const name of ["b", "a/b", "a"]) await putBlob(url, name, "x");
    expect(await follow("/v2/_catalog")).toEqual([["a", "a/b", "b"]]);
    expect(await follow("/v2/_catalog?n=2")).toEqual([["a", "a/b"], ["b"]]);
  });

  it("makes pages of its own where it is told to, of referrers as well", async () => {
    const { url } = await start({ pageSize: 2 });
    const subject = describeContent("subject", imageType);
    const digests: string[] = [];
    for (const tag of ["a", "b", "c"]) {
      const one = await putImage(url, "shop", tag, { subject, artifactType: "application/x", annotations: { tag } });
      digests.push(one.digest);
    }
    await putImage(url, "shop", "d", { subject, artifactType: "application/y" });
    expect(await follow("/v2/shop/tags/list")).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
    digests.sort();
    expect(await follow(`/v2/shop/referrers/${subject.digest}?artifactType=application/x`)).toEqual([
      digests.slice(0, 2),
      digests.slice(2),
    ]);
  });

  it("never makes a page of referrers larger than a manifest", async () => {
    const { url } = await start();
    const config = await putBlob(url, "shop", "{}");
    const subject = describeContent("subject", imageType);
    for (const index of ["a", "b", "c"]) {
      const manifest = renderManifest({
        config,
        layers: [],
        subject,
        annotations: { index, long: "x".repeat(1_900_000) },
      });
      expect((await sendManifest(url, "shop", index, manifest)).status).toBe(201);
    }
    const pages = await follow(`/v2/shop/referrers/${subject.digest}`);
    expect(pages.map((page) => page.length)).toEqual([2, 1]);
    expect(Math.max(...server.requests.map(({ bytesOut }) => bytesOut))).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});

describe("without the referrers API", () => {
  it("answers 404, and doesn't claim a subject", async () => {
    const { url } = await start({ referrers: false });
    const config = await putBlob(url, "shop", "{}");
    const subject = describeContent("subject", imageType);
    const manifest = renderManifest({ config, layers: [], subject });
    const put = await sendManifest(url, "shop", "v1", manifest);
    expect([put.status, put.headers.has("OCI-Subject")]).toEqual([201, false]);
    expect((await fetch(`${url}/v2/shop/referrers/${subject.digest}`)).status).toBe(404);
  });
});
