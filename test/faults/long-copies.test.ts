import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describeBytes } from "@goldenpath/registry-client/testing";
import { makeAuthority } from "@goldenpath/registry-client/testing-tls";
import { createTransport } from "@goldenpath/registry-client/transport";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, expect, test } from "vitest";
import { findLeaks, openFaultStand } from "../support/fault-stand.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The tokens that a server was shown, each once. */
function tokensAt(requests: readonly { path: string; headers: { authorization?: string | undefined } }[]): Set<string> {
  return new Set(
    requests
      .flatMap(({ path, headers }) => (path === "/token" ? [] : [headers.authorization ?? ""]))
      .filter((each) => each !== ""),
  );
}

test("a copy outlives the tokens of both registries, and takes up where it was", async () => {
  const bytes = Buffer.alloc(3 * 1024 * 1024, "goldenpath");
  const blob = describeBytes(bytes, mediaTypes.ociLayerTar);
  // The client takes a token to live for a second at least; these die before, while it waits to try again.
  const stand = await openFaultStand({
    auth: "bearer",
    hasSource: true,
    hasOthers: false,
    tokenLifetime: 0.8,
    sleep: () => sleep(900),
  });
  cleanups.push(() => stand.close());
  const { registry, source, client } = stand;
  await source?.putBlob("shop", blob.digest, bytes);
  for (const { requests } of stand.servers) requests.length = 0;
  if (source !== undefined) {
    source.server.faults = [
      { method: "GET", path: "/blobs/", after: 1, times: 1, action: { kind: "reset-body", afterBytes: 1024 * 1024 } },
    ];
  }
  registry.server.faults = [
    {
      method: ["PUT", "PATCH"],
      path: "/blobs/uploads/",
      times: 1,
      action: { kind: "reset-request", afterBytes: 2 * 1024 * 1024 },
    },
  ];
  const from = { registry: source?.server.host ?? "", name: "shop" };
  expect(await client.copyBlob(from, { registry: registry.server.host, name: "shop" }, blob)).toBe("copied");
  expect(findLeaks(stand, undefined)).toEqual([]);
  // Both had to be asked for another one.
  expect(tokensAt(registry.server.requests).size).toBeGreaterThan(1);
  expect(tokensAt(source?.server.requests ?? []).size).toBeGreaterThan(1);
  expect(source?.server.requests.some(({ headers, status }) => headers.range !== undefined && status === 206)).toBe(
    true,
  );
  expect(digestOf(await registry.read("shop", "blobs", blob.digest))).toBe(blob.digest);
});

test.each(["GET", "HEAD", "PUT", "POST", "DELETE"] as const)(
  "no %s follows from https down to http, login or not",
  async (method) => {
    const pair = await (await makeAuthority("Own")).issue(["IP:127.0.0.1"]);
    const plain = await startRegistry();
    cleanups.push(() => plain.close());
    const seen: (string | undefined)[] = [];
    const server = createServer(pair, (request, response) => {
      seen.push(request.headers.authorization);
      request.resume();
      response.writeHead(307, { location: `${plain.url}${request.url}` }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const transport = createTransport({
      ports: silentPorts(),
      env: {},
      hosts: { [host]: { skipVerify: true } },
      sleep: async () => undefined,
    });
    cleanups.push(() => transport.close());
    const request = {
      method,
      url: new URL(`https://${host}/v2/`),
      headers: { authorization: "Basic c2VjcmV0" },
      ...(method === "PUT" ? { body: new Uint8Array(3) } : {}),
    };
    await expect(transport.send(request)).rejects.toMatchObject({
      code: "redirect-refused",
      message: expect.stringContaining("plain http"),
    });
    expect(seen).toEqual(["Basic c2VjcmV0"]);
    expect(plain.requests).toEqual([]);
  },
);
