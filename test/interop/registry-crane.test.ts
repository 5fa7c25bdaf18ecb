import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type RegistryOptions, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { useTools } from "../support/tools.ts";

const run = promisify(execFile);
const tools = useTools("crane", "cosign");
const users = { joe: "secret" };
const signingConfig = JSON.stringify({ mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json" });

let directory: string;
let layer: string;
let server: RegistryServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "registry-crane-"));
  await writeFile(join(directory, "signing-config.json"), signingConfig);
  await writeFile(join(directory, "content"), Buffer.alloc(5_000_000, "0123456789"));
  layer = join(directory, "layer.tar");
  await run("tar", ["--create", "--file", layer, "--directory", directory, "content"]);
});
afterAll(() => rm(directory, { recursive: true, force: true }));
afterEach(() => server.close());

/** The environment of a client with a login, or without any. */
async function logIn(password?: string): Promise<NodeJS.ProcessEnv> {
  const config = await mkdtemp(join(directory, "docker-"));
  const auth =
    password === undefined ? {} : { [server.host]: { auth: Buffer.from(`joe:${password}`).toString("base64") } };
  await mkdir(config, { recursive: true });
  await writeFile(join(config, "config.json"), JSON.stringify({ auths: auth }));
  return { ...process.env, DOCKER_CONFIG: config, COSIGN_PASSWORD: "" };
}

async function crane(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  return (await run(tools.crane, args, { env })).stdout.trim();
}

describe("crane", () => {
  it.each<[string, RegistryOptions]>([
    ["a wrong password (basic)", { auth: { kind: "basic", users } }],
    ["a wrong password (bearer)", { auth: { kind: "bearer", users } }],
    ["a read-only repository", { readOnlyPrefixes: ["quarantine"] }],
  ])("is refused for %s, and nothing changes", async (_what, options) => {
    server = await startRegistry(options);
    const env = await logIn("wrong");
    await expect(
      crane(env, "append", "--new_layer", layer, "--new_tag", `${server.host}/quarantine/shop:v1`),
    ).rejects.toThrow(/401 Unauthorized|UNAUTHORIZED|DENIED/);
    expect(await server.snapshot()).toEqual({});
  });

  it("finds corrupted content", async () => {
    server = await startRegistry();
    const env = await logIn();
    const image = `${server.host}/shop:v1`;
    await crane(env, "append", "--new_layer", layer, "--new_tag", image);
    server.faults = [{ method: "GET", path: "/blobs/", action: { kind: "corrupt", at: 10 } }];
    await expect(crane(env, "validate", "--remote", image)).rejects.toThrow(/error verifying sha256|mismatched/);
  });

  it.each<[string, Omit<RegistryOptions, "directory">, boolean]>([
    ["in memory", {}, false],
    ["in a folder", {}, true],
    ["with small pages", { pageSize: 1 }, false],
    ["with basic authentication", { auth: { kind: "basic", users } }, false],
    ["with bearer authentication", { auth: { kind: "bearer", users } }, false],
    [
      "that is unavailable for a moment",
      { faults: [{ times: 1, path: "/blobs/", action: { kind: "status", status: 503 } }] },
      false,
    ],
  ])("pushes to a registry %s, copies by mounting, lists, validates and deletes", async (_what, options, inFolder) => {
    server = await startRegistry(
      inFolder ? { ...options, directory: await mkdtemp(join(directory, "contents-")) } : options,
    );
    const env = await logIn(users.joe);
    const quarantine = `${server.host}/quarantine/shop`;
    const vetted = `${server.host}/vetted/shop`;
    await crane(env, "append", "--new_layer", layer, "--new_tag", `${quarantine}:v1`);
    const digest = await crane(env, "digest", `${quarantine}:v1`);
    server.requests.length = 0;
    await crane(env, "copy", `${quarantine}@${digest}`, `${vetted}:v1`);
    const mounts = server.requests.filter(({ query, status }) => query.includes("mount=") && status === 201);
    expect(mounts).toHaveLength(2);
    await crane(env, "tag", `${vetted}:v1`, "v2");
    expect(await crane(env, "digest", `${vetted}:v1`)).toBe(digest);
    expect((await crane(env, "ls", vetted)).split("\n")).toEqual(["v1", "v2"]);
    expect((await crane(env, "catalog", server.host)).split("\n")).toEqual(["quarantine/shop", "vetted/shop"]);
    await crane(env, "validate", "--remote", `${vetted}:v1`);
    await crane(env, "delete", `${vetted}@${digest}`);
    expect((await server.snapshot())["vetted/shop"]).toMatchObject({ manifests: [], tags: {} });
    await expect(crane(env, "digest", `${vetted}:v1`)).rejects.toThrow("404");
  });
});

describe("cosign", () => {
  it.each([true, false])("signs an image and verifies it by its key alone (referrers API: %s)", async (referrers) => {
    server = await startRegistry({ referrers });
    const env = await logIn();
    await crane(env, "append", "--new_layer", layer, "--new_tag", `${server.host}/shop:v1`);
    const image = `${server.host}/shop@${await crane(env, "digest", `${server.host}/shop:v1`)}`;
    const keys = await mkdtemp(join(directory, "keys-"));
    const cosign = (...args: string[]) => run(tools.cosign, args, { env, cwd: keys });
    await cosign("generate-key-pair", "--output-key-prefix", "other");
    await cosign("generate-key-pair");
    const verify = (key: string) => cosign("verify", "--key", key, "--insecure-ignore-tlog", image);
    await expect(verify("cosign.pub")).rejects.toThrow("no signatures found");
    await cosign(
      "sign",
      "--key",
      "cosign.key",
      "--signing-config",
      join(directory, "signing-config.json"),
      "--yes",
      image,
    );
    await expect(verify("other.pub")).rejects.toThrow();
    expect(JSON.parse((await verify("cosign.pub")).stdout)).toHaveLength(1);
    const { tags } = (await server.snapshot())["shop"] ?? { tags: {} };
    expect(Object.keys(tags).filter((tag) => tag.startsWith("sha256-"))).toHaveLength(referrers ? 0 : 1);
  });
});
