import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { mediaTypes } from "./oci/manifest.ts";
import { describeBytes, encodeText } from "./testing.ts";

// What is small enough is read at once; blobs.test.ts and download.test.ts have what is read as a stream.
let server: RegistryServer;
let client: RegistryClient;
let repository: { registry: string; name: string };

const connect = (attempts: number) =>
  createRegistryClient({ ports: silentPorts(), env: {}, attempts, stallTimeout: 500, sleep: async () => undefined });

beforeEach(async () => {
  server = await startRegistry();
  client = connect(3);
  repository = { registry: server.host, name: "team/shop" };
  await client.pushBlob(repository, small, () => bytes);
  server.requests.length = 0;
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const blobGet = { method: "GET", path: "/blobs/sha256:" };
const ranges = () => server.requests.map(({ headers }) => headers.range);
const bytes = encodeText("a config".repeat(100));
const small = describeBytes(bytes, mediaTypes.ociConfig);

test("wrong bytes are refused, and not asked for again", async () => {
  server.faults = [{ ...blobGet, action: { kind: "corrupt", at: 10 } }];
  await expect(client.fetchBlob(repository, small)).rejects.toMatchObject({
    code: "digest-mismatch",
    message: expect.stringContaining("its bytes have the digest sha256:"),
  });
  expect(ranges()).toHaveLength(1);
  server.faults = [];
  expect(await client.fetchBlob(repository, small)).toEqual(bytes);
});

test.each(["reset-body", "truncate", "stall"] as const)("what breaks off (%s) is asked for anew", async (kind) => {
  server.faults = [{ ...blobGet, times: 1, action: { kind, afterBytes: 300 } }];
  expect(await client.fetchBlob(repository, small)).toEqual(bytes);
  expect(ranges()).toEqual([undefined, undefined]);
});

test("what always breaks off is an error in the end", async () => {
  server.faults = [{ ...blobGet, action: { kind: "reset-body", afterBytes: 0 } }];
  await expect(client.fetchBlob(repository, small)).rejects.toMatchObject({
    code: "registry-unreachable",
    attempts: 3,
  });
  expect(ranges()).toHaveLength(3);
});

test("where it is tried once, what breaks off is not asked for again", async () => {
  await client.close();
  client = connect(1);
  server.faults = [{ ...blobGet, action: { kind: "truncate", afterBytes: 10 } }];
  await expect(client.fetchBlob(repository, small)).rejects.toMatchObject({ attempts: 1 });
  expect(ranges()).toHaveLength(1);
});

test.each([
  ["longer", Buffer.concat([bytes, bytes]), "digest-mismatch"],
  ["shorter", bytes.subarray(1), "registry-unreachable"],
])("an answer without a length that is %s is refused", async (_what, sent, code) => {
  const odd = createServer((_request, response) => {
    response.write(sent);
    response.end();
  });
  await new Promise<void>((resolve) => odd.listen(0, "127.0.0.1", resolve));
  const there = { registry: `127.0.0.1:${(odd.address() as AddressInfo).port}`, name: "shop" };
  await expect(client.fetchBlob(there, small)).rejects.toMatchObject({ code });
  odd.close();
});
