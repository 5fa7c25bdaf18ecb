import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient, RegistryClientOptions } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describeBytes } from "@goldenpath/registry-client/testing";
import {
  type RecordedRequest,
  type RegistryOptions,
  type RegistryServer,
  startRegistry,
} from "@goldenpath/registry-server/server";
import { afterEach, beforeEach } from "vitest";

/**
 * What the tests of uploads and copies stand on: a registry and a client for each test, and a small and a large blob.
 */

export const mebibyte = 1024 * 1024;
export const small = new Uint8Array(randomBytes(300_000));
export const smallBlob = describeBytes(small, mediaTypes.ociLayerTar);
export const large = new Uint8Array(randomBytes(40 * mebibyte));
export const largeBlob = describeBytes(large, mediaTypes.ociLayerTar);

export let server: RegistryServer;
export let client: RegistryClient;
export let repository: { registry: string; name: string };
let directory: string | undefined;

/** To be called once in a test file. */
export function useRegistry(): void {
  beforeEach(async () => {
    await start();
    client = connect();
  });
  afterEach(async () => {
    await client.close();
    await server.close();
    if (directory !== undefined) await rm(directory, { recursive: true });
    directory = undefined;
  });
}

async function start(options: RegistryOptions = {}): Promise<void> {
  server = await startRegistry(options);
  repository = { registry: server.host, name: "team/shop" };
}

/** In the place of the registry that each test has otherwise. */
export async function restart(options: RegistryOptions): Promise<void> {
  await server.close();
  await start(options);
}

const connect = (options: Partial<RegistryClientOptions> = {}): RegistryClient =>
  createRegistryClient({
    ports: silentPorts(),
    env: {},
    attempts: 3,
    stallTimeout: 15_000,
    sleep: async () => undefined,
    ...options,
  });

/** In the place of the client that each test has otherwise. */
export function reconnect(options: Partial<RegistryClientOptions>): void {
  client = connect(options);
}

/** From now on the client has the login of the embedded registry's user joe. */
export async function logIn(): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), "transfers-"));
  const auth = Buffer.from("joe:secret").toString("base64");
  await writeFile(join(directory, "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
  reconnect({ env: { DOCKER_CONFIG: directory } });
}

/** The digests of a repository's blobs. */
export const stored = async (name = repository.name): Promise<readonly string[]> =>
  (await server.snapshot())[name]?.blobs ?? [];
export const methods = (): string[] => server.requests.map(({ method }) => method);
export const requested = (...wanted: string[]): RecordedRequest[] =>
  server.requests.filter(({ method }) => wanted.includes(method));
