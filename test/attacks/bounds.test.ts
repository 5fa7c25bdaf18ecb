import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { createMatcher } from "@goldenpath/core/build/glob";
import { readSource } from "@goldenpath/core/build/source";
import { downloadTool } from "@goldenpath/core/tools/fetch";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { reportVerb } from "@goldenpath/core/verbs/report";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type Fault, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { openStand } from "@goldenpath/testing/promotion";
import { pack } from "tar-stream";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

// Whatever is read has an end: how many, how large, how deep, how long. Each input that has none of it is refused by
// name, beside one that is as large as honest ones are.

const database = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");
const tools = useTools("syft", "grype");
let directory: string;
let server: RegistryServer;
let client: RegistryClient;
const plains: Server[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "goldenpath-bounds-"));
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
});
afterEach(() => {
  server.faults = [];
  for (const plain of plains.splice(0)) {
    plain.closeAllConnections();
    plain.close();
  }
});
afterAll(async () => {
  await client?.close();
  await server?.close();
  rmSync(directory, { recursive: true, force: true });
});

const encode = (value: unknown): Buffer => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const deep = (levels: number): string => `${'{"a":['.repeat(levels)}1${"]}".repeat(levels)}`;

async function push(name: string, bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
  await client.pushBlob({ registry: server.host, name }, descriptor, () => bytes);
  return descriptor;
}

/** A tar of one file, whose name is bytes. */
async function tarOf(name: Buffer, content: string): Promise<Buffer> {
  const placeholder = "x".repeat(name.length);
  const archive = pack();
  archive.entry({ name: placeholder, mtime: new Date(0) }, content);
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  const tar = Buffer.concat(chunks);
  name.copy(tar, 0);
  // The checksum counts its own field as blanks.
  tar.fill(0x20, 148, 156);
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return tar;
}

interface Made {
  labels?: Record<string, string>;
  /** Text of the config; else one is made. */
  config?: string;
  tar?: Buffer;
  more?: object;
}

async function pushImage(name: string, made: Made = {}): Promise<Descriptor> {
  const tar = made.tar ?? (await tarOf(Buffer.from("srv/readme.txt"), "hello"));
  const config = {
    os: "linux",
    architecture: "amd64",
    config: { Labels: made.labels },
    rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
  };
  const manifest = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await push(name, encode(made.config ?? config), mediaTypes.ociConfig),
    layers: [await push(name, gzipSync(tar), mediaTypes.ociLayerTarGzip)],
    ...made.more,
  });
  // Not by the client, which takes as little of a bomb as anybody.
  const digest = digestOf(manifest);
  const headers = { "content-type": mediaTypes.ociManifest };
  const answer = await fetch(`${server.url}/v2/${name}/manifests/${digest}`, {
    method: "PUT",
    headers,
    body: manifest,
  });
  expect(answer.status).toBe(201);
  return { mediaType: mediaTypes.ociManifest, digest, size: manifest.byteLength };
}

async function pushIndex(name: string, manifests: readonly object[]): Promise<string> {
  const bytes = encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  return `${server.host}/${name}@${await client.pushManifest({ registry: server.host, name }, bytes, mediaTypes.ociIndex)}`;
}

async function run(
  verb: Verb,
  inputs: Record<string, string>,
  files: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<Execution> {
  const workingDirectory = mkdtempSync(join(directory, "run-"));
  const base = await pushImage("bases/run", { tar: await tarOf(Buffer.from("etc/base"), "the base") });
  const key = (): string => {
    const pem = generateKeyPairSync("ec", { namedCurve: "P-256" })
      .publicKey.export({ type: "spki", format: "pem" })
      .toString();
    return pem.trimEnd().replaceAll("\n", "\n      ");
  };
  const policy = samplePolicyText
    .replaceAll(/-----BEGIN PUBLIC KEY-----[^-]*-----END PUBLIC KEY-----/g, key)
    .replace("registry.test:5000/bases/run", `${server.host}/bases/run`)
    .replace(/sha256:a{64}/, base.digest)
    .replace("failOn: high", "failOn: high\n  databaseMaxAge: unlimited");
  for (const [file, text] of Object.entries({ "policy.yaml": policy, ...files }))
    writeFileSync(join(workingDirectory, file), text);
  return executeVerb(
    verb,
    { policy: "policy.yaml", ...inputs },
    {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory,
      temporaryRoot: directory,
      defaultResultDirectory: join(workingDirectory, "results"),
      env: {
        ...process.env,
        PATH: [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter),
        DOCKER_CONFIG: workingDirectory,
        ...env,
      },
      signal: new AbortController().signal,
    },
  );
}

const enforce = (image: string, files: Record<string, string> = {}) => run(enforceVerb, { image }, files);
const errorOf = ({ outcome }: Execution): string | undefined => outcome.result.error?.code;

/** Logins are read where one is asked for. */
const asksForLogin: Fault = {
  method: "GET",
  path: "/manifests/",
  action: { kind: "status", status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } },
};

describe("an index", () => {
  const platform = { os: "linux", architecture: "amd64" };

  test.each([
    [
      "of more entries than are read",
      (child: Descriptor) =>
        Array.from({ length: 257 }, (_, at) => ({ ...child, platform: { ...platform, variant: `v${at}` } })),
    ],
    ["of one child in two sizes", (child: Descriptor) => [child, { ...child, size: child.size + 1 }]],
  ])("%s is an error", async (_what, entries) => {
    const child = await pushImage("quarantine/many");
    expect(errorOf(await enforce(await pushIndex("quarantine/many", entries(child))))).toMatch(
      /^(?:too-large|manifest-invalid)$/,
    );
  });

  test("that has one child for many platforms has it judged once", async () => {
    const child = await pushImage("quarantine/once");
    const entries = Array.from({ length: 40 }, (_, at) => ({ ...child, platform: { ...platform, variant: `v${at}` } }));
    const image = await pushIndex("quarantine/once", entries);
    server.requests.length = 0;
    const { outcome } = await enforce(image);
    expect(outcome.verdict).toBe("fail");
    expect(outcome.result.subject?.children).toHaveLength(1);
    expect(server.requests.filter(({ path }) => path.endsWith(child.digest))).toHaveLength(1);
  });
});

describe("JSON", () => {
  test("nested without an end, in a config or a manifest, is an error", async () => {
    const tar = await tarOf(Buffer.from("srv/readme.txt"), "hello");
    const config = (levels: number): string =>
      `{"os":"linux","architecture":"amd64","x":${deep(levels)},"rootfs":{"type":"layers","diff_ids":["${digestOf(tar)}"]}}`;
    const at = async (made: Made): Promise<Execution> =>
      enforce(`${server.host}/quarantine/deep@${(await pushImage("quarantine/deep", made)).digest}`);
    expect(errorOf(await at({ tar, config: config(100_000) }))).toBe("config-invalid");
    expect(errorOf(await at({ tar, config: config(30) }))).toBeUndefined();
    expect(errorOf(await at({ tar, more: { annotations: { a: "b" }, x: JSON.parse(deep(500)) } }))).toBe(
      "manifest-invalid",
    );
    expect(errorOf(await at({ tar, more: { annotations: { a: "b" }, x: JSON.parse(deep(30)) } }))).toBeUndefined();
  });

  test("nested without an end, in the lifecycle's label, says nothing about the base, and is no crash", async () => {
    for (const levels of [100_000, 3]) {
      const image = await pushImage("quarantine/label", {
        labels: { "io.buildpacks.lifecycle.metadata": deep(levels) },
      });
      const { outcome } = await enforce(`${server.host}/quarantine/label@${image.digest}`);
      expect(outcome.verdict).toBe("fail");
    }
  });

  test("nested without an end, in a list of referrers, is an error; of evidence, it is no evidence", async () => {
    const stand = await openStand();
    try {
      const image = await stand.stageImage();
      const list = (levels: number): string =>
        `{"schemaVersion":2,"mediaType":"${mediaTypes.ociIndex}","x":${deep(levels)},"manifests":[]}`;
      const serve = (levels: number) => {
        const headers = { "Content-Type": mediaTypes.ociIndex };
        stand.quarantine.faults = [
          { path: `/referrers/`, action: { kind: "status", status: 200, body: list(levels), headers } },
        ];
      };
      serve(100_000);
      expect((await stand.promote(image)).outcome.result.error?.code).toBe("manifest-invalid");
      serve(30);
      expect((await stand.promote(image)).outcome).toMatchObject({ verdict: "fail" });
    } finally {
      await stand.close();
    }
  });

  test("nested without an end, in a result file, a login or a policy, is refused by the file's name", async () => {
    const image = `${server.host}/quarantine/files@${(await pushImage("quarantine/files")).digest}`;
    expect(errorOf(await run(reportVerb, { results: "scan.json" }, { "scan.json": deep(100_000) }))).toBe(
      "result-invalid",
    );
    expect(errorOf(await enforce(image, { "policy.yaml": `a: ${"[".repeat(100_000)}` }))).toBe("policy-invalid");
    server.faults = [asksForLogin];
    expect(errorOf(await enforce(image, { "config.json": deep(100_000) }))).toBe("docker-config-invalid");
    expect(errorOf(await enforce(image, { "config.json": '{"auths":{}}' }))).toBe("registry-unauthorized");
  });
});

describe("a file that is read whole", () => {
  test.each([
    ["policy.yaml", 1024 * 1024, "policy-invalid"],
    ["config.json", 4 * 1024 * 1024, "docker-config-invalid"],
  ])("%s is refused over %i bytes", async (file, most, code) => {
    const image = `${server.host}/quarantine/large@${(await pushImage("quarantine/large")).digest}`;
    server.faults = [asksForLogin];
    expect(errorOf(await enforce(image, { [file]: " ".repeat(most + 1) }))).toBe(code);
    expect(errorOf(await enforce(image, { "config.json": " ".repeat(1024 * 1024) }))).toBe("registry-unauthorized");
  });

  test("a result of gigabytes is refused, and nothing of it read", async () => {
    const file = join(directory, "large.json");
    writeFileSync(file, "");
    truncateSync(file, 8 * 1024 * 1024 * 1024);
    expect(errorOf(await run(reportVerb, { results: file }))).toBe("result-invalid");
  });
});

/** A server that answers in pieces of so many bytes, each after so many milliseconds. */
async function serveSlowly(bytes: Uint8Array, piece: number, every: number): Promise<string> {
  const plain = createServer((_request, response: ServerResponse) => {
    response.writeHead(200, { "content-type": mediaTypes.ociManifest, "content-length": bytes.byteLength });
    let at = 0;
    const timer = setInterval(() => {
      response.write(bytes.subarray(at, at + piece));
      at += piece;
      if (at >= bytes.byteLength) {
        clearInterval(timer);
        response.end();
      }
    }, every);
    response.on("close", () => clearInterval(timer));
  });
  plains.push(plain);
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(plain.address() as AddressInfo).port}`;
}

describe("an answer that comes a byte now and then", () => {
  const manifest = encode({
    schemaVersion: 2,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf("x"), size: 1 },
    layers: [],
    x: "y".repeat(20_000),
  });

  test.each([
    ["is given up, although something always moves", 1, false],
    ["is read where it gets on", 2_000, true],
  ])("of a manifest %s", async (_what, piece, isRead) => {
    const registry = await serveSlowly(manifest, piece, 40);
    const own = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1, stallTimeout: 300 });
    try {
      const reading = own.fetchManifest({ registry, name: "a/b", digest: digestOf(manifest) });
      if (isRead) expect((await reading).digest).toBe(digestOf(manifest));
      else await expect(reading).rejects.toMatchObject({ code: "registry-unreachable" });
    } finally {
      await own.close();
    }
  });

  test.each([
    ["is given up", 1, false],
    ["is read where it gets on", 2_000, true],
  ])("of a tool %s", async (_what, piece, isRead) => {
    const content = Buffer.alloc(20_000, "t");
    const url = `http://${await serveSlowly(content, piece, 40)}/tool`;
    const options = {
      label: "a tool",
      sha256s: [digestOf(content).slice("sha256:".length)],
      ports: silentPorts(),
      env: {},
      stallTimeout: 300,
    };
    const download = downloadTool({ url }, join(directory, `tool-${piece}`), options);
    if (isRead) await download;
    else await expect(download).rejects.toMatchObject({ code: "tool-download-failed" });
  });
});

describe("patterns of an application", () => {
  test.each([`${"*a".repeat(400)}b`, `${"**/".repeat(300)}b`, `${"[".repeat(900)}`])(
    "of whatever kind take no longer than their length: %.20s…",
    (pattern) => {
      // Whoever tried each way would take hours, and the test its time limit.
      expect(createMatcher([pattern], "a file")("a/".repeat(1_000) + "a".repeat(1_000), false)).toBe(false);
      expect(createMatcher([pattern, "*a*"], "a file")("xay", false)).toBe(true);
    },
  );
});

test("an application is in the checkout, whatever links lead to it", async () => {
  const checkout = join(directory, "checkout");
  mkdirSync(join(checkout, "app"), { recursive: true });
  mkdirSync(join(directory, "outside"));
  for (const folder of [join(checkout, "app"), join(directory, "outside")]) writeFileSync(join(folder, "index.js"), "");
  symlinkSync(join(directory, "outside"), join(checkout, "link"));
  symlinkSync("app", join(checkout, "good"));
  await expect(readSource("link", checkout, checkout)).rejects.toMatchObject({ code: "context-outside" });
  await expect(readSource("../outside", checkout, checkout)).rejects.toMatchObject({ code: "context-outside" });
  expect((await readSource("good", checkout, checkout)).survey.files).toEqual(["index.js"]);
});

test("a file in an image may have a name that is no UTF-8: it is scanned as any other", async () => {
  const content = JSON.stringify({ name: "lodash", version: "4.17.20" });
  for (const name of ["caf\xe9", "cafe"]) {
    const tar = await tarOf(Buffer.from(`${name}/node_modules/lodash/package.json`, "latin1"), content);
    const image = await pushImage("quarantine/latin1", { tar });
    const { outcome } = await run(
      scanVerb,
      { image: `${server.host}/quarantine/latin1@${image.digest}`, database },
      { "package-lock.json": "{}" },
    );
    expect(outcome.result.error, name).toBeUndefined();
    expect(outcome.result.violations.map(({ thing }) => thing).join(), name).toContain("GHSA-35jh-r3h4-6jhm");
  }
});
