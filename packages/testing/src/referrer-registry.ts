import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { buildImage, buildReferrer, pushBuilt } from "@goldenpath/registry-client/testing";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach } from "vitest";

export let server: RegistryServer;
export let repository: { registry: string; name: string };
export let clients: RegistryClient[];

export async function start(options: Parameters<typeof startRegistry>[0]): Promise<RegistryClient> {
  server = await startRegistry(options);
  repository = { registry: server.host, name: "team/shop" };
  return newClient();
}

export function newClient(): RegistryClient {
  const client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 2, sleep: async () => undefined });
  clients.push(client);
  return client;
}

/** Opens and closes what {@link start} and {@link newClient} make. */
export function useReferrerRegistry(): void {
  beforeEach(() => {
    clients = [];
  });
  afterEach(async () => {
    for (const client of clients) await client.close();
    await server.close();
  });
}

export const image = buildImage();
export const subject = image.descriptor;
/** Something that another client lists there. */
export const other = buildImage({ layers: ["of another client"] });
export const referrer = (name: string, annotations: Record<string, string> = {}) =>
  buildReferrer(subject, `application/vnd.example.${name}`, annotations);
export const digestsOf = (descriptors: Descriptor[]): Digest[] => descriptors.map((each) => each.digest).sort();
export const calls = (path: RegExp, method = "GET") =>
  server.requests.filter((request) => request.method === method && path.test(request.path));

export async function pushReferrers(client: RegistryClient, count: number): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let at = 0; at < count; at++)
    digests.push((await pushBuilt(client, repository, referrer(`t${at}`, { at: `${at}` }))).digest);
  return digests.sort();
}
