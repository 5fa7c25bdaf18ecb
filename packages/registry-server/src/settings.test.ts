import { afterEach, describe, expect, it } from "vitest";
import { type RegistryOptions, type RegistryServer, startRegistry } from "./server.ts";
import { createRateLimit, createSettings } from "./settings.ts";
import { digestOf, errorCodes, putBlob, putImage, sendManifest } from "./testing.ts";

let server: RegistryServer | undefined;
const start = async (options: RegistryOptions): Promise<RegistryServer> => {
  server = await startRegistry(options);
  return server;
};
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const upload = (url: string, name: string, query: string) =>
  fetch(`${url}/v2/${name}/blobs/uploads/?${query}`, { method: "POST" });
const locate = (url: string, answer: Response) => new URL(answer.headers.get("Location") ?? "", url);

describe("immutableTags", () => {
  it.each([
    [undefined, 403, "DENIED", /immutable/],
    ["ecr" as const, 400, "TAG_INVALID", /cannot be overwritten because the tag is immutable/],
    ["harbor" as const, 412, "PRECONDITION", /'shop:v1' configured as immutable/],
    ["acr" as const, 405, "REGISTRY_DISALLOWED_OPERATION", /operation is disallowed/],
    ["quay" as const, 409, "TAG_ALREADY_EXISTS", /already pushed/],
    ["nexus" as const, 400, "BLOB_UPLOAD_INVALID", /does not allow updating assets/],
  ])("cannot be moved (as %s has it: %d %s)", async (like, status, code, words) => {
    const { url } = await start({
      immutableTags: [{ match: "^vetted/.*:v", ...(like === undefined ? {} : { like }) }],
    });
    const first = await putImage(url, "vetted/shop", "v1");
    const other = JSON.stringify({ ...JSON.parse(first.manifest), annotations: { other: "1" } });
    const refused = await sendManifest(url, "vetted/shop", "v1", other);
    const body = await refused.text();
    expect({ status: refused.status, code: JSON.parse(body).errors[0].code }).toEqual({ status, code });
    expect(body).toMatch(words);
    expect((await sendManifest(url, "vetted/shop", `${digestOf(other)}?tag=v1`, other)).status).toBe(status);
    expect((await fetch(`${url}/v2/vetted/shop/manifests/v1`, { method: "DELETE" })).status).toBe(status);
    expect((await fetch(`${url}/v2/vetted/shop/manifests/${first.digest}`, { method: "DELETE" })).status).toBe(status);
    expect((await server?.snapshot())?.["vetted/shop"]?.tags).toEqual({ v1: first.digest });
  });

  it("can be set once, again to the same, and moved where the rule does not reach", async () => {
    const { url, settings } = await start({ immutableTags: [{ match: /^vetted\/.*:v/ }] });
    const first = await putImage(url, "vetted/shop", "v1");
    const other = JSON.stringify({ ...JSON.parse(first.manifest), annotations: { other: "1" } });
    for (const tag of ["v1", "latest"])
      expect((await sendManifest(url, "vetted/shop", tag, first.manifest)).status).toBe(201);
    expect((await sendManifest(url, "vetted/shop", "latest", other)).status).toBe(201);
    settings.immutableTags = [];
    expect((await sendManifest(url, "vetted/shop", "v1", other)).status).toBe(201);
  });
});

describe("quotas", () => {
  it("refuse blobs, mounts and manifests that do not fit, in Harbor's words", async () => {
    const { url } = await start({ quotas: [{ prefix: "vetted", bytes: 21 }] });
    const blob = await putBlob(url, "quarantine/shop", "x".repeat(30));
    const refused = await fetch(`${url}/v2/vetted/shop/blobs/uploads/?digest=${blob.digest}`, {
      method: "POST",
      body: "x".repeat(30),
    });
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain(
      "adding 30 B of storage resource, which when updated to current usage of 0 B will exceed",
    );
    expect((await upload(url, "vetted/shop", `mount=${blob.digest}&from=quarantine/shop`)).status).toBe(403);
    await expect(putImage(url, "vetted/shop", "v1")).rejects.toThrow("manifest: 403");
    expect((await server?.snapshot())?.["vetted/shop"]?.manifests).toEqual([]);
  });

  it("count what is in several repositories once", async () => {
    const { url } = await start({ quotas: [{ prefix: "vetted", bytes: 30 }] });
    const blob = await putBlob(url, "vetted/a", "x".repeat(30));
    expect((await upload(url, "vetted/b", `mount=${blob.digest}&from=vetted/a`)).status).toBe(201);
    await putBlob(url, "vetted/c", "x".repeat(30));
    await expect(putBlob(url, "vetted/c", "y")).rejects.toThrow("403");
    await putBlob(url, "vetted2/c", "y");
  });
});

it("readOnly refuses every write with 405 while it lasts, and no reading", async () => {
  const { url, settings } = await start({});
  const image = await putImage(url, "shop", "v1");
  settings.readOnly = true;
  const writes = [
    sendManifest(url, "shop", "v2", image.manifest),
    upload(url, "shop", ""),
    fetch(`${url}/v2/shop/manifests/v1`, { method: "DELETE" }),
  ];
  for (const answer of await Promise.all(writes)) {
    expect({ status: answer.status, allow: answer.headers.get("Allow") }).toEqual({ status: 405, allow: "GET, HEAD" });
    expect(await errorCodes(answer)).toEqual(["UNSUPPORTED"]);
  }
  expect((await fetch(`${url}/v2/shop/manifests/v1`)).status).toBe(200);
  settings.readOnly = false;
  expect((await sendManifest(url, "shop", "v2", image.manifest)).status).toBe(201);
});

it("mount: false starts an upload instead", async () => {
  const { url } = await start({ mount: false });
  const blob = await putBlob(url, "a", "blob");
  const answer = await upload(url, "b", `mount=${blob.digest}&from=a`);
  expect(answer.status).toBe(202);
  const put = await fetch(`${locate(url, answer)}?digest=${blob.digest}`, { method: "PUT", body: "blob" });
  expect(put.status).toBe(201);
});

it("ranges: false sends the whole blob", async () => {
  const { url } = await start({ ranges: false });
  const blob = await putBlob(url, "a", "0123456789");
  const answer = await fetch(`${url}/v2/a/blobs/${blob.digest}`, { headers: { Range: "bytes=5-" } });
  expect({ status: answer.status, body: await answer.text(), accepts: answer.headers.get("Accept-Ranges") }).toEqual({
    status: 200,
    body: "0123456789",
    accepts: null,
  });
});

it("uploadResume: false forgets an upload that broke off, and does not tell where one is", async () => {
  const { url } = await start({
    uploadResume: false,
    faults: [{ method: "PATCH", times: 1, action: { kind: "reset-request", afterBytes: 4 } }],
  });
  const location = locate(url, await upload(url, "a", ""));
  expect((await fetch(location)).status).toBe(405);
  await expect(fetch(location, { method: "PATCH", body: "0123456789" })).rejects.toThrow();
  expect((await fetch(location, { method: "PATCH", body: "456789" })).status).toBe(404);
  const whole = locate(url, await upload(url, "a", ""));
  expect((await fetch(whole, { method: "PATCH", body: "0123456789" })).status).toBe(202);
  expect((await fetch(`${whole}?digest=${digestOf("0123456789")}`, { method: "PUT" })).status).toBe(201);
});

it("conditions: false writes whatever If-Match says, etags: false sends none", async () => {
  const { url, settings } = await start({ conditions: false });
  const image = await putImage(url, "shop", "v1");
  const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
  const put = (more: Record<string, string>) =>
    sendManifest(url, "shop", "v1", image.manifest, { ...headers, ...more });
  expect((await put({ "If-Match": '"other"' })).status).toBe(201);
  expect((await put({ "If-None-Match": "*" })).status).toBe(201);
  expect((await fetch(`${url}/v2/shop/manifests/v1`)).headers.get("ETag")).toBe(`"${image.digest}"`);
  settings.etags = false;
  for (const path of ["manifests/v1", `blobs/${digestOf("a layer")}`])
    expect((await fetch(`${url}/v2/shop/${path}`)).headers.get("ETag")).toBeNull();
  settings.conditions = true;
  expect((await put({ "If-Match": '"other"' })).status).toBe(412);
});

it("requestsPerSecond answers what is too much with 429", () => {
  const isOneTooMany = createRateLimit(createSettings({ requestsPerSecond: 2 }));
  expect([0, 500, 999, 1000, 1001, 1002].map(isOneTooMany)).toEqual([false, false, true, false, false, true]);
  expect([0, 1, 2].map(createRateLimit(createSettings({})))).toEqual([false, false, false]);
});

it("a limited request gets Retry-After and does nothing", async () => {
  const { url } = await start({ requestsPerSecond: 0 });
  const answer = await upload(url, "a", "");
  expect({ status: answer.status, after: answer.headers.get("Retry-After"), codes: await errorCodes(answer) }).toEqual({
    status: 429,
    after: "1",
    codes: ["TOOMANYREQUESTS"],
  });
});

it("record: false keeps no requests", async () => {
  const { url, requests } = await start({ record: false, latency: 1 });
  expect((await fetch(`${url}/v2/`)).status).toBe(200);
  expect(requests).toEqual([]);
});
