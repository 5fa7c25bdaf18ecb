import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { type Fault, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { fallbackTag } from "./fallback-index.ts";
import type { Digest } from "./oci/digest.ts";
import { type Descriptor, mediaTypes } from "./oci/manifest.ts";
import { buildImage, buildIndex, buildReferrer, pushBuilt } from "./testing.ts";

// What registries answer that the specification does not have, each beside what looks like it and must stay an error.
// docs/registries.md lists them with their sources.

let server: RegistryServer;
let client: RegistryClient;
let notes: string[];
let repository = () => ({ registry: server.host, name: "team/shop" });
const image = buildImage();
const subject = image.descriptor;
const index = buildIndex([{ ...subject, platform: { os: "linux", architecture: "amd64" } }]);

async function start(options: Parameters<typeof startRegistry>[0] = {}): Promise<void> {
  server = await startRegistry(options);
  client = newClient();
}

function newClient(): RegistryClient {
  notes = [];
  const ports: Ports = silentPorts();
  ports.log.warning = (message) => void notes.push(message);
  return createRegistryClient({ ports, env: {}, attempts: 2, sleep: async () => undefined });
}

/** A server of two lines in the registry's place. */
async function startPlain(listener: RequestListener): Promise<void> {
  await start();
  const plain = createServer(listener);
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  plains.push(plain);
  const { port } = plain.address() as AddressInfo;
  repository = () => ({ registry: `127.0.0.1:${port}`, name: "team/shop" });
}

const plains: Server[] = [];

afterEach(async () => {
  repository = () => ({ registry: server.host, name: "team/shop" });
  for (const plain of plains.splice(0)) {
    plain.closeAllConnections();
    plain.close();
  }
  await client.close();
  await server.close();
});

/** An image with one referrer in its fallback tag, as a registry without the API has it. */
async function withFallback(): Promise<Digest> {
  await start({ referrers: false });
  await pushBuilt(client, repository(), image, "v1");
  const { digest } = await pushBuilt(client, repository(), buildReferrer(subject, "application/vnd.example.a"));
  await client.close();
  client = newClient();
  return digest;
}

const digests = (listed: readonly Descriptor[]): Digest[] => listed.map(({ digest }) => digest);
const onReferrers = (action: Fault["action"]): Fault[] => [{ method: "GET", path: "/referrers/", action }];
const list = () => client.listReferrers(repository(), subject.digest);

describe("the referrers API", () => {
  test.each([400, 404, 405, 406, 415, 422, 501])(
    "answered with %i is none: the fallback tag has the list",
    async (status) => {
      const referrer = await withFallback();
      server.faults = onReferrers({ kind: "status", status });
      expect(digests(await list())).toEqual([referrer]);
      // Asked for once; a 400 may have been about the one request.
      server.requests.length = 0;
      expect(digests(await list())).toEqual([referrer]);
      expect(server.requests.filter(({ path }) => path.includes("/referrers/"))).toHaveLength(status === 400 ? 1 : 0);
    },
  );

  test.each([
    [500, "registry-error"],
    [503, "registry-error"],
    [429, "registry-error"],
    [408, "registry-error"],
    [409, "registry-error"],
    [451, "registry-error"],
  ])("answered with %i is an error, and never an empty list", async (status, code) => {
    await withFallback();
    server.faults = onReferrers({ kind: "status", status });
    await expect(list()).rejects.toMatchObject({ code });
  });

  test.each([401, 403])("refused with a bare %i is none where the same login reads the image", async (status) => {
    const referrer = await withFallback();
    server.faults = onReferrers({ kind: "status", status });
    expect(digests(await list())).toEqual([referrer]);
  });

  test.each([401, 403])(
    "refused with a bare %i is an error where the image is refused as well, or the API has given a list before",
    async (status) => {
      await withFallback();
      server.faults = [
        { method: ["GET", "HEAD"], path: "/referrers/|/manifests/sha256:", action: { kind: "status", status } },
      ];
      await expect(list()).rejects.toMatchObject({ code: "registry-unauthorized" });

      await client.close();
      await server.close();
      await start();
      await pushBuilt(client, repository(), image, "v1");
      await pushBuilt(client, repository(), buildReferrer(subject, "application/vnd.example.a"));
      server.faults = onReferrers({ kind: "status", status });
      await expect(list()).rejects.toMatchObject({ code: "registry-unauthorized" });
    },
  );

  test("refused with a challenge is an error: a login is asked for", async () => {
    await withFallback();
    server.faults = onReferrers({ kind: "status", status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
    await expect(list()).rejects.toMatchObject({ code: "registry-unauthorized" });
  });

  test.each<[string, Fault["action"]]>([
    [
      "a page for people",
      { kind: "replace", body: "<html>sign in</html>", status: 200, headers: { "Content-Type": "text/html" } },
    ],
    [
      "a page for people, served as JSON",
      { kind: "replace", body: "<html></html>", status: 200, headers: { "Content-Type": "application/json" } },
    ],
    [
      "JSON of another kind",
      { kind: "replace", body: '{"results":[]}', status: 200, headers: { "Content-Type": "application/json" } },
    ],
    ["JSON's null", { kind: "replace", body: "null", status: 200, headers: { "Content-Type": "application/json" } }],
    ["nothing", { kind: "replace", body: "", status: 200, headers: { "Content-Type": "" } }],
  ])("answered with %s is none", async (_what, action) => {
    const referrer = await withFallback();
    server.faults = onReferrers(action);
    expect(digests(await list())).toEqual([referrer]);
  });

  test("that leads to a page to sign in is none", async () => {
    const referrer = await withFallback();
    const plain = createServer((_request, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<html>sign in</html>"),
    );
    plains.push(plain);
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const location = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/login`;
    server.faults = onReferrers({ kind: "redirect", location, status: 303 });
    expect(digests(await list())).toEqual([referrer]);
  });

  test.each<[string, string | null]>([
    ["with a charset", `${mediaTypes.ociIndex}; charset=utf-8`],
    ["in another case", "Application/vnd.OCI.image.index.v1+JSON"],
    ["as plain JSON", "application/json"],
    ["as Docker's list", mediaTypes.dockerManifestList],
    ["without a type", null],
  ])("is read where its list is served %s", async (_how, type) => {
    await start();
    await pushBuilt(client, repository(), image, "v1");
    const { digest } = await pushBuilt(client, repository(), buildReferrer(subject, "application/vnd.example.a"));
    server.faults = onReferrers({ kind: "headers", set: { "Content-Type": type } });
    expect(digests(await list())).toEqual([digest]);
  });
});

describe("an entry of a list of referrers", () => {
  const good: Descriptor = { mediaType: mediaTypes.ociManifest, digest: `sha256:${"ab".repeat(32)}`, size: 7 };
  const serve = async (manifests: unknown, more: object = {}): Promise<void> => {
    await start();
    server.faults = onReferrers({
      kind: "status",
      status: 200,
      body: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...more }),
      headers: { "Content-Type": mediaTypes.ociIndex },
    });
  };

  test.each<[string, unknown]>([
    ["without a digest", { ...good, digest: undefined }],
    ["without a size", { ...good, size: undefined }],
    ["with a size that is text", { ...good, size: "7" }],
    ["with a number among its annotations", { ...good, annotations: { size: 12 } }],
    ["with a digest of another kind", { ...good, digest: "md5:0" }],
    ["with a digest in capitals", { ...good, digest: `sha256:${"AB".repeat(32)}` }],
    ["that is null", null],
    ["that is text", "sha256:00"],
    ["with a field in another case", { ...good, Digest: good.digest }],
  ])("%s is passed over with a note, and the others count", async (_what, bad) => {
    await serve([bad, good]);
    expect(digests(await list())).toEqual([good.digest]);
    expect(notes).toEqual([expect.stringContaining("1 entry of the referrers of")]);
  });

  test("may have null for whatever it does not say, and so may the list", async () => {
    await serve([{ ...good, annotations: null, artifactType: null, platform: null, urls: null, data: null }], {
      annotations: null,
      subject: null,
      artifactType: null,
      mediaType: null,
      schemaVersion: null,
    });
    expect(await list()).toEqual([good]);
    expect(notes).toEqual([]);
    await client.close();
    await server.close();
    await serve(null);
    expect(await list()).toEqual([]);
  });

  test("that is one of two with the same key spoils the list: readers disagree on which it is", async () => {
    await start();
    const body = `{"schemaVersion":2,"manifests":[],"manifests":[${JSON.stringify(good)}]}`;
    server.faults = onReferrers({
      kind: "status",
      status: 200,
      body,
      headers: { "Content-Type": mediaTypes.ociIndex },
    });
    await expect(list()).rejects.toMatchObject({ code: "manifest-invalid" });
  });
});

describe("the fallback tag", () => {
  test("that leads to the subject itself, as GitLab has it, lists nothing, and can be written", async () => {
    await start({ referrers: false });
    for (const built of [image, index]) {
      await pushBuilt(client, repository(), built);
      const { digest } = built.descriptor;
      // Until there is such a tag, it is taken for the digest.
      await client.pushManifest(repository(), built.bytes, built.descriptor.mediaType, fallbackTag(digest));
      expect(await client.listReferrers(repository(), digest)).toEqual([]);
      const pushed = await pushBuilt(
        client,
        repository(),
        buildReferrer(built.descriptor, "application/vnd.example.a"),
      );
      expect(digests(await client.listReferrers(repository(), digest))).toEqual([pushed.digest]);
    }
  });

  test("that cannot be read as a manifest is an error, and no empty list", async () => {
    await withFallback();
    server.faults = [
      {
        method: "GET",
        path: "/manifests/sha256-",
        action: { kind: "replace", body: "<html>", headers: { "Docker-Content-Digest": "" } },
      },
    ];
    await expect(list()).rejects.toMatchObject({ code: "manifest-invalid" });
  });
});

describe("a HEAD that is refused", () => {
  test.each([403, 405, 406, 415, 501])("with %i is asked again as a GET", async (status) => {
    await start();
    await pushBuilt(client, repository(), image, "v1");
    const missing: Digest = `sha256:${"0".repeat(64)}`;
    const [blob] = image.blobs;
    server.faults = [{ method: "HEAD", action: { kind: "status", status } }];
    expect(await client.resolve({ ...repository(), digest: subject.digest })).toBe(subject.digest);
    expect(await client.resolve({ ...repository(), digest: missing })).toBeUndefined();
    expect(await client.hasBlob(repository(), blob?.descriptor.digest ?? missing)).toBe(true);
    expect(await client.hasBlob(repository(), missing)).toBe(false);
    await pushBuilt(client, { ...repository(), name: "team/other" }, image, "v1");
    // GET refuses as well: that is the answer.
    server.faults = [{ action: { kind: "status", status: 403 } }];
    await expect(client.resolve({ ...repository(), digest: subject.digest })).rejects.toMatchObject({
      code: "registry-unauthorized",
    });
    await expect(client.hasBlob(repository(), missing)).rejects.toMatchObject({ code: "registry-unauthorized" });
  });

  test("with a 404 is believed, unless the manifest was there a moment ago", async () => {
    await start();
    await pushBuilt(client, repository(), image, "v1");
    server.faults = [{ method: "HEAD", action: { kind: "status", status: 404 } }];
    const reference = { ...repository(), digest: subject.digest };
    expect(await client.resolve(reference)).toBeUndefined();
    expect(await client.resolve(reference, { wasThere: true })).toBe(subject.digest);
    expect(
      await client.resolve({ ...reference, digest: `sha256:${"0".repeat(64)}` }, { wasThere: true }),
    ).toBeUndefined();
  });

  test("with what a server may answer otherwise in a while is an error", async () => {
    await start();
    await pushBuilt(client, repository(), image, "v1");
    server.faults = [{ method: "HEAD", action: { kind: "status", status: 503 } }];
    await expect(client.resolve({ ...repository(), digest: subject.digest })).rejects.toMatchObject({
      code: "registry-error",
    });
  });
});

describe("a manifest is taken as it is served", () => {
  test.each<[string, Record<string, string | null>]>([
    ["as plain JSON", { "Content-Type": "application/json" }],
    ["as text", { "Content-Type": "text/plain; charset=utf-8" }],
    ["without a type", { "Content-Type": null }],
    ["with a charset", { "Content-Type": `${mediaTypes.ociManifest}; charset=utf-8` }],
    ["without its digest", { "Docker-Content-Digest": null }],
    [
      "with its digest in capitals, which is none by the specification",
      { "Docker-Content-Digest": `sha256:${"AB".repeat(32)}` },
    ],
  ])("%s", async (_how, set) => {
    await start();
    await pushBuilt(client, repository(), image, "v1");
    server.faults = [{ method: "GET", path: "/manifests/", action: { kind: "headers", set } }];
    for (const reference of [{ tag: "v1" }, { digest: subject.digest }])
      expect((await client.fetchManifest({ ...repository(), ...reference })).digest).toBe(subject.digest);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
    ["gzip, identity, br", (bytes) => brotliCompressSync(gzipSync(bytes))],
  ])("compressed by whoever is in between, as %s", async (coding, compress) => {
    const bytes = compress(image.bytes);
    await startPlain((_request, response) =>
      response
        .writeHead(200, {
          "content-type": mediaTypes.ociManifest,
          "content-encoding": coding,
          "content-length": bytes.byteLength,
        })
        .end(bytes),
    );
    for (const reference of [{ tag: "v1" }, { digest: subject.digest }])
      expect((await client.fetchManifest({ ...repository(), ...reference })).digest).toBe(subject.digest);
  });

  test.each<[string, string, Uint8Array, string]>([
    ["a bomb", "gzip", gzipSync(Buffer.alloc(200_000_000)), "too-large"],
    ["a bomb in a bomb", "gzip, br", brotliCompressSync(gzipSync(Buffer.alloc(50_000_000))), "too-large"],
    ["what is not gzip", "gzip", new TextEncoder().encode("{}"), "registry-error"],
    ["half of it", "gzip", gzipSync(image.bytes).subarray(0, 40), "registry-error"],
    ["what nobody knows", "lzma", image.bytes, "registry-error"],
    ["what every object has", "toString", image.bytes, "registry-error"],
    ["too many layers", "gzip, gzip, gzip, gzip", image.bytes, "registry-error"],
  ])("but not %s", async (_what, coding, bytes, code) => {
    await startPlain((_request, response) => response.writeHead(200, { "content-encoding": coding }).end(bytes));
    await expect(client.fetchManifest({ ...repository(), digest: subject.digest })).rejects.toMatchObject({ code });
  });

  test.each([200, 202, 204])("and a push of one by %i", async (status) => {
    await start();
    server.faults = [{ method: "PUT", path: "/manifests/", action: { kind: "status", status, body: "" } }];
    expect(await client.pushManifest(repository(), image.bytes, subject.mediaType, "v1")).toBe(subject.digest);
  });
});
