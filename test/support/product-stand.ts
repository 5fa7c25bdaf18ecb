import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serverSideSchema } from "@goldenpath/core/policy/schema";
import { planServerSide } from "@goldenpath/core/promote/server-side/plan";
import type { ServerSidePlan } from "@goldenpath/core/promote/server-side/products/product";
import { runServerSide, type ServerSideOutcome } from "@goldenpath/core/promote/server-side/run";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushImage, pushIndex } from "@goldenpath/testing/chain";
import { connect } from "@goldenpath/testing/promotion";
import { afterEach, expect } from "vitest";
import { type ProductServer, startProduct } from "./artifactory-nexus.ts";

/** Against stand-ins that answer as the products' documents say; the products themselves have not been there. */
export let registry: RegistryServer;
export let product: ProductServer;
export let client: RegistryClient;
export let directory: string;
export let image: Manifest;
export let plan: ServerSidePlan;
/** Another plan than the stand's own. */
export function usePlan(other: ServerSidePlan): void {
  plan = other;
}
export let waits: number[];
export let from: Repository;
export let to: Repository;

export const user = { name: "promoter", password: "pass:word" };
export const attempts = 3;

export async function open(kind: "artifactory" | "nexus", { copy = true, index = false } = {}): Promise<void> {
  registry = await startRegistry();
  product = await startProduct({ product: kind, registry, user });
  client = connect();
  directory = await mkdtemp(join(tmpdir(), "goldenpath-products-"));
  waits = [];
  from = parseRepository(`${registry.host}/quarantine-local/team/shop`);
  to = parseRepository(`${registry.host}/prod-local/team/shop`);
  const pushed = await (index ? pushIndex : pushImage)(client, `${from.registry}/${from.name}`);
  image = await client.fetchManifest({ ...from, digest: pushed.digest });
  await pushImage(client, `${from.registry}/${from.name}`, "another build", "2.0.0");
  await pushImage(client, `${to.registry}/${to.name}`, "of long ago", "0.9.0");
  await login({ [product.host]: user });
  plan = makePlan(kind, copy);
}

export function makePlan(kind: "artifactory" | "nexus", copy: boolean, url = product.url): ServerSidePlan {
  const settings = serverSideSchema.parse({
    product: kind,
    url,
    from: { key: "quarantine-local", prefix: `${registry.host}/quarantine-local` },
    to: { key: "prod-local", prefix: `${registry.host}/prod-local` },
    ...(kind === "artifactory" ? { copy } : {}),
  });
  return planServerSide({ settings, from, to, digest: image.digest, tags: ["1.0.0"] });
}

export async function login(
  logins: Record<string, { name: string; password: string } | { identitytoken: string }>,
): Promise<void> {
  const auths = Object.entries(logins).map(([host, entry]) => [
    host,
    "name" in entry ? { auth: Buffer.from(`${entry.name}:${entry.password}`).toString("base64") } : entry,
  ]);
  await writeFile(join(directory, "config.json"), JSON.stringify({ auths: Object.fromEntries(auths) }));
}

export const http = () => ({
  ports: silentPorts(),
  env: { DOCKER_CONFIG: directory },
  attempts,
  sleep: async (milliseconds: number) => void waits.push(milliseconds),
});
export const run = (): Promise<ServerSideOutcome> => runServerSide(plan, image, { client, http: http() });
export const posts = (): number => product.requests.filter(({ method }) => method === "POST").length;
export const tagsOf = async (where: Repository): Promise<Record<string, string>> =>
  (await registry.snapshot())[where.name]?.tags ?? {};

export async function refusal(): Promise<UserError | InfrastructureError> {
  const error = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError) && !(error instanceof InfrastructureError))
    throw new Error("not refused by name", { cause: error });
  expect(error.wayOut).toBeTruthy();
  return error;
}

/** Registers the hooks that open and close what the tests share. */
export function useProduct(): void {
  afterEach(async () => {
    await client.close();
    await product.close();
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  });
}
