import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { parseStageResult } from "@goldenpath/core/result";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { fakeDigest, samplePolicyText } from "@goldenpath/testing/policy";
import { tarFiles } from "@goldenpath/testing/tar";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const amd64: Platform = { os: "linux", architecture: "amd64" };
const arm64: Platform = { os: "linux", architecture: "arm64" };
const lifecycleLabel = "io.buildpacks.lifecycle.metadata";

let server: RegistryServer;
let client: RegistryClient;
let directory: string;

beforeAll(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  directory = await mkdtemp(join(tmpdir(), "goldenpath-enforce-"));
});
afterAll(async () => {
  await client.close();
  await server.close();
  await rm(directory, { recursive: true });
});
beforeEach(() => {
  server.requests.length = 0;
});
afterEach(() => {
  server.faults = [];
});

interface Layer {
  bytes: Uint8Array;
  mediaType: string;
  /** What the config says of it. */
  diffId: Digest;
}

/** A layer of one file. */
const tar = (text: string): Buffer => tarFiles({ [`srv/${text}`]: text });
const plain = (text: string): Layer => ({
  bytes: tar(text),
  mediaType: mediaTypes.ociLayerTar,
  diffId: digestOf(tar(text)),
});
const gzip = (text: string): Layer => ({
  bytes: gzipSync(tar(text)),
  mediaType: mediaTypes.ociLayerTarGzip,
  diffId: digestOf(tar(text)),
});

interface ImageOptions {
  platform?: Platform;
  labels?: Record<string, string>;
}

async function pushImage(name: string, layers: Layer[], { platform = amd64, labels = {} }: ImageOptions = {}) {
  const repository = parseRepository(`${server.host}/${name}`);
  const push = async (bytes: Uint8Array, mediaType: string) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const config = {
    ...platform,
    config: { Labels: labels },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await push(encode(JSON.stringify(config)), mediaTypes.ociConfig),
    layers: await Promise.all(layers.map((layer) => push(layer.bytes, layer.mediaType))),
  };
  const bytes = encode(JSON.stringify(manifest));
  const digest = await client.pushManifest(repository, bytes, mediaTypes.ociManifest);
  return {
    mediaType: mediaTypes.ociManifest,
    digest,
    size: bytes.byteLength,
    platform,
    reference: `${server.host}/${name}@${digest}`,
  };
}

async function pushIndex(name: string, children: Awaited<ReturnType<typeof pushImage>>[]) {
  const manifests = children.map(({ mediaType, digest, size, platform }) => ({ mediaType, digest, size, platform }));
  const bytes = encode(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
  const digest = await client.pushManifest(parseRepository(`${server.host}/${name}`), bytes, mediaTypes.ociIndex);
  return { digest, reference: `${server.host}/${name}@${digest}` };
}

/** The sample policy, with bases of its own; gives the file. */
async function writePolicy(
  bases: { name: string; digests: Digest[]; image?: string; until?: string }[],
  exceptions = "[]",
): Promise<string> {
  const listed = bases.map(
    ({ name, digests, image, until }) =>
      `  - name: ${name}\n    image: ${image ?? `${server.host}/bases/${name}`}\n    digests: [${digests.join(", ")}]\n${until === undefined ? "" : `    until: ${until}\n`}`,
  );
  const text = samplePolicyText
    .replace(/^bases:\n[\s\S]*?(?=^build:)/m, `bases:\n${listed.join("")}`)
    .replace(/^exceptions:\n[\s\S]*?(?=^environments:)/m, `exceptions: ${exceptions}\n`)
    .replace("runImage: golden-run", `runImage: ${bases[0]?.name}`);
  const file = join(directory, "policy.yaml");
  await writeFile(file, text);
  return file;
}

async function enforce(raw: Record<string, string>) {
  const execution = await executeVerb(enforceVerb, raw, {
    ports: silentPorts(),
    run: { builderId: "local" },
    workingDirectory: directory,
    temporaryRoot: directory,
    defaultResultDirectory: directory,
    env: {},
    signal: new AbortController().signal,
    now: () => new Date("2026-05-10T12:00:00Z"),
  });
  const { outcome, resultFile } = execution;
  // What is written is what was returned, and it reads again: a door and the next stage see the same.
  expect(parseStageResult(await readFile(resultFile, "utf8"), resultFile)).toEqual(outcome.result);
  return { ...outcome, rules: outcome.result.violations.map(({ rule }) => rule) };
}

const os = gzip("operating system");
const libc = gzip("libc");
const app = gzip("application");
const layerDownloads = (): string[] =>
  server.requests
    .filter(
      ({ method, path }) => method === "GET" && [os, libc, app].some(({ bytes }) => path.endsWith(digestOf(bytes))),
    )
    .map(({ path }) => path);

describe("an image is refused", () => {
  test("on a foreign base, with what it says and where to go", async () => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const metadata = JSON.stringify({
      runImage: { topLayer: plain("foreign").diffId, image: "registry.test/foreign" },
    });
    const image = await pushImage("quarantine/foreign", [plain("foreign"), app], {
      labels: { [lifecycleLabel]: metadata },
    });
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: image.reference,
    });
    expect(outcome).toMatchObject({ verdict: "fail", enforced: true, rules: ["base.approved"], outputs: { base: "" } });
    expect(outcome.result.violations[0]?.problem).toContain("the image says that it stands on registry.test/foreign");
    expect(outcome.result.subject?.children).toMatchObject([{ digest: image.digest, verdict: "fail" }]);
    expect(outcome.result.predicate?.["children"]).toMatchObject([{ base: null, matchedLayers: 0, totalLayers: 2 }]);
    expect(outcome.summary).toContain("❌ fail");
    expect(outcome.summary).toContain("Rebuild it on an approved base");
  });

  test("in audit as well: the verdict stays, the step passes", async () => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const image = await pushImage("quarantine/foreign", [app]);
    const policy = await writePolicy([{ name: "golden", digests: [golden.digest] }]);
    await expect(enforce({ policy, image: image.reference, mode: "audit" })).resolves.toMatchObject({
      verdict: "fail",
      enforced: false,
    });
  });

  test("on a base that is over, also when it stands on one that is not", async () => {
    const small = await pushImage("bases/small", [os]);
    const golden = await pushImage("bases/golden", [os, libc]);
    const image = await pushImage("quarantine/shop", [os, libc, app]);
    const bases = [
      { name: "small", digests: [small.digest] },
      { name: "golden", digests: [golden.digest], until: "2026-05-09" },
    ];
    const outcome = await enforce({ policy: await writePolicy(bases), image: image.reference });
    expect(outcome).toMatchObject({ verdict: "fail", rules: ["base.expired"] });
  });

  test("when its config says the base's diffIDs, and its layers are others", async () => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const policy = await writePolicy([{ name: "golden", digests: [golden.digest] }]);
    for (const evil of [
      gzip("evil"),
      plain("evil"),
      { ...gzip("evil"), bytes: zstdCompressSync(tar("evil")), mediaType: `${mediaTypes.ociLayerTar}+zstd` },
    ]) {
      const image = await pushImage("quarantine/shop", [os, { ...evil, diffId: libc.diffId }, app]);
      const outcome = await enforce({ policy, image: image.reference });
      expect(outcome).toMatchObject({ verdict: "fail", rules: ["base.layer-contradicts"] });
      expect(outcome.result.violations[0]?.problem).toContain(digestOf(tar("evil")));
    }
  });

  test("in one child of an index", async () => {
    const golden = await pushIndex("bases/golden", [
      await pushImage("bases/golden", [os]),
      await pushImage("bases/golden", [libc], { platform: arm64 }),
    ]);
    const good = await pushImage("quarantine/shop", [os, app]);
    const bad = await pushImage("quarantine/shop", [os, app], { platform: arm64 });
    const image = await pushIndex("quarantine/shop", [good, bad]);
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: image.reference,
    });
    expect(outcome.result.violations).toMatchObject([{ rule: "base.approved", platform: "linux/arm64" }]);
    expect(outcome.result.subject?.children).toMatchObject([{ verdict: "pass" }, { verdict: "fail" }]);
  });
});

describe("no verdict, but an error", () => {
  test.each([
    ["a base that is not there", "base-not-found", (): string => `${server.host}/bases/golden`],
    ["a base whose registry does not answer", "base-unreadable", (): string => "localhost:1/bases/golden"],
  ])("with %s, though another one matches", async (_what, code, image) => {
    const small = await pushImage("bases/small", [os]);
    const shop = await pushImage("quarantine/shop", [os, app]);
    const bases = [
      { name: "small", digests: [small.digest] },
      { name: "golden", digests: [fakeDigest("9")], image: image() },
    ];
    const outcome = await enforce({ policy: await writePolicy(bases), image: shop.reference });
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error).toMatchObject({
      code,
      message: expect.stringContaining("approved base 'golden'"),
      wayOut: expect.any(String),
    });
  });

  test.each([
    ["that is not compressed as it says", { ...gzip("x"), bytes: encode("not gzip"), diffId: libc.diffId }],
    ["that is cut off", { ...gzip("x"), bytes: gzipSync(tar("libc")).subarray(0, 15), diffId: libc.diffId }],
    ["of an unknown type", { ...plain("libc"), mediaType: "application/x-libc", diffId: libc.diffId }],
  ])("with a layer %s", async (_what, layer) => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const image = await pushImage("quarantine/shop", [os, layer, app]);
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: image.reference,
    });
    expect(outcome.result.error).toMatchObject({ code: "layer-unreadable" });
  });

  test.each([
    ["an image that is not there", { image: "nothing@" }, "image-not-found"],
    ["an image that is none", { image: "" }, "input-invalid"],
    ["an unknown mode", { mode: "warn" }, "input-invalid"],
    ["a policy that is not there", { policy: "missing.yaml" }, "policy-not-found"],
  ])("with %s", async (_what, change, code) => {
    const golden = await pushImage("bases/golden", [os]);
    const raw = {
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: golden.reference,
      ...change,
    };
    if (raw.image === "nothing@") raw.image = `${server.host}/nothing@${fakeDigest("1")}`;
    const outcome = await enforce(raw);
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.code).toBe(code);
  });
});

describe("an image passes", () => {
  test("on an approved base, proven by each of its own layers, which are fetched once", async () => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const metadata = JSON.stringify({ runImage: { topLayer: libc.diffId, image: "whatever" } });
    const image = await pushImage("quarantine/shop", [os, libc, app], { labels: { [lifecycleLabel]: metadata } });
    server.requests.length = 0;
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: image.reference,
    });
    expect(outcome).toMatchObject({ verdict: "pass", rules: [], outputs: { base: golden.reference } });
    expect(outcome.result).toMatchObject({
      stage: "base",
      predicateType: predicateTypes.base,
      policy: { serial: 7 },
      subject: { repository: `${server.host}/quarantine/shop`, digest: image.digest, children: [{ verdict: "pass" }] },
    });
    expect(outcome.result.predicate).toEqual({
      image: { repository: `${server.host}/quarantine/shop`, digest: image.digest },
      children: [
        {
          digest: image.digest,
          platform: amd64,
          base: {
            name: "golden",
            image: `${server.host}/bases/golden`,
            digest: golden.digest,
            diffIDs: 2,
            topLayer: libc.diffId,
          },
          proof: "diff-id-prefix",
          matchedLayers: 2,
          totalLayers: 3,
          layers: [os.diffId, libc.diffId, app.diffId],
          claimed: { by: lifecycleLabel, name: "whatever" },
        },
      ],
    });
    expect(layerDownloads()).toHaveLength(3);
    expect(layerDownloads().every((path) => path.includes("/quarantine/shop/"))).toBe(true);
  });

  test("when its base's layers are compressed in another way, which is looked at", async () => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const zstd: Layer = { ...libc, bytes: zstdCompressSync(tar("libc")), mediaType: `${mediaTypes.ociLayerTar}+zstd` };
    const image = await pushImage("quarantine/shop", [plain("operating system"), zstd, app]);
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: image.reference,
    });
    expect(outcome).toMatchObject({ verdict: "pass", outputs: { base: golden.reference } });
  });

  test("as an index, each child on its platform's version; others of the base are not fetched", async () => {
    const s390x = await pushImage("bases/golden", [gzip("other")], {
      platform: { os: "linux", architecture: "s390x" },
    });
    const golden = await pushIndex("bases/golden", [
      await pushImage("bases/golden", [os]),
      await pushImage("bases/golden", [libc], { platform: arm64 }),
      s390x,
    ]);
    const image = await pushIndex("quarantine/shop", [
      await pushImage("quarantine/shop", [os, app]),
      await pushImage("quarantine/shop", [libc, app], { platform: { ...arm64, variant: "v8" } }),
    ]);
    server.requests.length = 0;
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: image.reference,
    });
    expect(outcome).toMatchObject({ verdict: "pass", outputs: { base: golden.reference } });
    expect(server.requests.some(({ path }) => path.endsWith(s390x.digest))).toBe(false);
  });

  test("by an exception for its repository", async () => {
    const golden = await pushImage("bases/golden", [os, libc]);
    const image = await pushImage("quarantine/vendor", [app]);
    const exception = `[{rule: base.approved, repository: "${server.host}/quarantine/vendor", reason: vendor, owner: team-shop, expires: 2026-05-10}]`;
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }], exception),
      image: image.reference,
    });
    expect(outcome).toMatchObject({ verdict: "pass", rules: ["base.approved"], outputs: { base: "" } });
    expect(outcome.result.violations[0]?.exception?.owner).toBe("team-shop");
  });

  test("by a tag, which is resolved once", async () => {
    const golden = await pushImage("bases/golden", [os]);
    const image = await pushImage("quarantine/shop", [os, app]);
    const { bytes, mediaType } = await client.fetchManifest({
      ...parseRepository(`${server.host}/quarantine/shop`),
      digest: image.digest,
    });
    await client.pushManifest(parseRepository(`${server.host}/quarantine/shop`), bytes, mediaType, "v1");
    server.requests.length = 0;
    const outcome = await enforce({
      policy: await writePolicy([{ name: "golden", digests: [golden.digest] }]),
      image: `${server.host}/quarantine/shop:v1`,
    });
    expect(outcome.result.subject?.digest).toBe(image.digest);
    expect(server.requests.filter(({ path }) => path.endsWith("/v1"))).toHaveLength(1);
  });
});
