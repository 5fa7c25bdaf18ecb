import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { buildImage, pushBuilt } from "./testing.ts";

let server: RegistryServer;
let client: RegistryClient;
beforeEach(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  for (const name of ["vetted/a", "vetted/b", "other"])
    await pushBuilt(client, { registry: server.host, name }, buildImage({ layers: [name] }));
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const list = async (): Promise<string[]> =>
  (await client.listRepositories({ registry: server.host, name: "vetted" })).map(({ name }) => name);

test.each([401, 403, 404, 405])(
  "an answer of %i says that the list is not to be had, and the way out",
  async (status) => {
    server.faults = [{ path: "_catalog", action: { kind: "status", status } }];
    await expect(list()).rejects.toMatchObject({
      code: "catalog-unavailable",
      wayOut: expect.stringContaining("--rep"),
    });
  },
);

test.each(["[]", '{"repositories":"a"}', '{"repositories":["a"]', "{}"])("%s is no list", async (body) => {
  server.faults = [{ path: "_catalog", action: { kind: "replace", body } }];
  await expect(list()).rejects.toMatchObject({ code: "registry-error" });
});

test("a name that is none is refused, and not asked for", async () => {
  server.faults = [{ path: "_catalog", action: { kind: "replace", body: '{"repositories":["a/../b"]}' } }];
  await expect(list()).rejects.toMatchObject({ code: "reference-invalid" });
});

test("all of them, once; null is none", async () => {
  expect(await list()).toEqual(["other", "vetted/a", "vetted/b"]);
  server.faults = [{ path: "_catalog", action: { kind: "replace", body: '{"repositories":null}' } }];
  expect(await list()).toEqual([]);
});
