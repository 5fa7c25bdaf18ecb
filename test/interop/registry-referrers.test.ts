import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { buildImage, pushBuilt } from "@goldenpath/registry-client/testing";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, describe, expect, it } from "vitest";
import { startDistribution, startOlareg, type TestServer } from "../support/servers.ts";
import { requireCommand, requireTool } from "../support/tools.ts";

const writers = 4;
const referrersEach = 10;
const script = fileURLToPath(import.meta.resolve("@goldenpath/testing/referrer-writer"));

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

async function startEmbedded(options: Parameters<typeof startRegistry>[0]): Promise<TestServer> {
  const server = await startRegistry(options);
  return { host: server.host, stop: () => server.close() };
}

interface Writer {
  ready: Promise<void>;
  begin(): void;
  /** The digests of what it pushed. @throws Error with what it said, where it failed */
  digests: Promise<string[]>;
}

function startWriter(host: string, subject: Descriptor, who: string, together: number): Writer {
  const args = [
    "--conditions=goldenpath-source",
    script,
    host,
    "team/shop",
    JSON.stringify(subject),
    who,
    `${referrersEach}`,
    `${together}`,
  ];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const lines = createInterface({ input: child.stdout });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const output: string[] = [];
  lines.on("line", (line) => output.push(line));
  const ended = once(child, "close").then(([code]) => {
    if (code !== 0) throw new Error(`writer ${who} ended with ${code}: ${said}`);
  });
  return {
    ready: Promise.race([once(lines, "line").then(() => undefined), ended]),
    begin: () => void child.stdin.write("go\n"),
    digests: ended.then(() => JSON.parse(output.at(-1) ?? "") as string[]),
  };
}

/** Each registry as it is met: whether it has the referrers API, and whether it reads If-Match. */
const registries: [string, () => Promise<TestServer>][] = [
  ["CNCF distribution, with neither", async () => startDistribution(await requireCommand("docker-registry"))],
  ["the embedded one without API, with If-Match", () => startEmbedded({ referrers: false })],
  ["the embedded one with neither", () => startEmbedded({ referrers: false, conditions: false, etags: false })],
  ["the embedded one with both", () => startEmbedded({})],
];

async function pushAtOnce(host: string, subject: Descriptor, together: number): Promise<string[]> {
  const started = Array.from({ length: writers }, (_each, at) => startWriter(host, subject, `writer ${at}`, together));
  await Promise.all(started.map((writer) => writer.ready));
  for (const writer of started) writer.begin();
  const pushed = (await Promise.all(started.map((writer) => writer.digests))).flat();
  expect(new Set(pushed).size).toBe(writers * referrersEach);
  return pushed.sort();
}

async function openClient({ host, stop: stopServer }: TestServer): Promise<RegistryClient> {
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  stop = async () => {
    await client.close();
    await stopServer();
  };
  await pushBuilt(client, { registry: host, name: "team/shop" }, image, "v1");
  return client;
}

const image = buildImage();
const digestsOf = (descriptors: readonly Descriptor[]): string[] => descriptors.map((each) => each.digest).sort();

describe.each(registries)("%s: processes that push referrers of one image at once lose none", (_what, start) => {
  it.each([
    ["one by one", 1],
    ["together", referrersEach],
  ])("%s", async (_how, together) => {
    const server = await start();
    const client = await openClient(server);
    const pushed = await pushAtOnce(server.host, image.descriptor, together);
    const repository = { registry: server.host, name: "team/shop" };
    expect(digestsOf(await client.listReferrers(repository, image.descriptor.digest))).toEqual(pushed);
  });
});

it("olareg, whose API itself loses what several processes push at once, lists it when it is pushed again", async () => {
  const server = await startOlareg(await requireTool("olareg"));
  const client = await openClient(server);
  const pushed = await pushAtOnce(server.host, image.descriptor, referrersEach);
  const repository = { registry: server.host, name: "team/shop" };
  const list = async () => digestsOf(await client.listReferrers(repository, image.descriptor.digest));
  const listed = await list();
  const missing = pushed.filter((digest) => !listed.includes(digest)).map((digest) => digest as Digest);
  const manifests = await Promise.all(missing.map((digest) => client.fetchManifest({ ...repository, digest })));
  await client.pushReferrers(repository, manifests);
  expect(await list()).toEqual(pushed);
});
