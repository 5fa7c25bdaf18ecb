import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryOptions, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { createRegistryClient } from "../create.ts";
import { buildImage, pushBuilt } from "../testing.ts";
import { probeRegistry } from "./probe.ts";
import { renderProbe, verdictOf } from "./probe-report.ts";
import { answers, bounds, check, optionsFor, probe } from "./testing.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function registry(options: RegistryOptions = {}): Promise<RegistryServer> {
  const server = await startRegistry(options);
  cleanups.push(() => server.close());
  return server;
}

/** Repositories stay as names; what was in them must not. */
async function contents(server: RegistryServer): Promise<unknown[]> {
  return Object.values(await server.snapshot()).flatMap((each) =>
    Object.values(each).flatMap((part) => (Array.isArray(part) ? part : Object.keys(part ?? {}))),
  );
}

describe("what takes or gives wrong bytes is a finding", () => {
  test.each<[string, RegistryOptions, string]>([
    [
      "a blob under any digest",
      {
        faults: [
          { method: "PUT", path: "/blobs/uploads/", action: { kind: "status", status: 201 }, after: 2, times: 1 },
        ],
      },
      "blob-digest",
    ],
    [
      "a range that is another",
      { faults: [{ method: "GET", path: "/blobs/sha", after: 4, action: { kind: "corrupt", at: 100 } }] },
      "range",
    ],
    [
      "a range with a Content-Range that is a lie",
      {
        faults: [
          { method: "GET", path: "/blobs/sha", action: { kind: "headers", set: { "Content-Range": "bytes 0-9/10" } } },
        ],
      },
      "range",
    ],
    [
      "a mount that is none",
      { faults: [{ method: "POST", path: "mount=", action: { kind: "status", status: 201 } }] },
      "mount",
    ],
    [
      "a manifest under any digest",
      {
        faults: [
          { method: "PUT", path: "/manifests/sha256:", after: 6, times: 1, action: { kind: "status", status: 201 } },
        ],
      },
      "manifest-digest",
    ],
    [
      "a tag that says it has moved",
      {
        faults: [
          { method: "PUT", path: "/manifests/.*-move$", after: 1, times: 1, action: { kind: "status", status: 201 } },
        ],
      },
      "immutable-tags",
    ],
    [
      "an offset that it does not have",
      { faults: [{ method: "GET", path: "/blobs/uploads/", action: { kind: "headers", set: { Range: "0-99" } } }] },
      "upload-resume",
    ],
  ])("%s", async (_what, options, id) => {
    const report = await probe(await registry(options));
    expect(check(report, id)).toMatchObject({ answer: "no", isFinding: true });
    expect(verdictOf(report)).toBe("fail");
    expect(renderProbe(report)).toContain("FINDING");
  });
});

describe("a registry that serves less", () => {
  test.each<[string, RegistryOptions, Record<string, "yes" | "no" | "unknown">]>([
    ["no mount", { mount: false }, { mount: "no" }],
    ["no ranges", { ranges: false }, { range: "no" }],
    ["no conditions", { conditions: false }, { "if-match": "no", "if-none-match": "no" }],
    ["no ETag", { etags: false }, { "conditional-get": "no" }],
    ["no referrers", { referrers: false }, { "referrers-api": "no", "oci-subject": "no", "referrers-listed": "no" }],
    [
      "a subject header, and an empty list",
      { faults: [{ path: "/referrers/", action: { kind: "subject-without-referrers" } }] },
      { "referrers-api": "yes", "oci-subject": "yes", "referrers-listed": "no" },
    ],
    [
      "tags that don't move",
      { immutableTags: [{ match: "." }] },
      { "immutable-tags": "yes", "if-match": "yes", "delete-tag": "unknown" },
    ],
    [
      "tags that don't move, as a condition (Harbor)",
      { immutableTags: [{ match: ":.*-move$", like: "harbor" }] },
      { "immutable-tags": "yes" },
    ],
    [
      "412 for any move of a tag is not about a condition",
      { immutableTags: [{ match: ".", like: "harbor" }], conditions: false },
      { "immutable-tags": "yes", "if-match": "unknown", "if-none-match": "unknown" },
    ],
    [
      "412 for every condition, right or wrong",
      { faults: [{ method: "PUT", path: "-compare$", after: 1, action: { kind: "status", status: 412 } }] },
      { "if-match": "no" },
    ],
    ["no asking where an upload is", { uploadResume: false }, { "upload-resume": "no" }],
    ["chunks of 9 MiB at least", { chunkMinLength: 9 * 1024 * 1024 }, { "upload-chunks": "unknown" }],
    [
      "a server error is no answer",
      { faults: [{ method: "POST", path: "mount=", action: { kind: "status", status: 500 } }] },
      { mount: "unknown" },
    ],
    [
      "nor a 429",
      { faults: [{ path: "/referrers/", action: { kind: "status", status: 429 } }] },
      { "referrers-api": "unknown", "referrers-listed": "unknown" },
    ],
    [
      "nor a reset",
      { faults: [{ path: "tags/list", action: { kind: "reset" } }] },
      { tags: "unknown", "tags-pages": "unknown" },
    ],
    [
      "manifests of 1 MiB at most",
      { faults: [{ method: "PUT", path: "/manifests/", after: 5, times: 1, action: { kind: "status", status: 413 } }] },
      { "manifest-4mib": "no" },
    ],
    [
      "nothing is deleted",
      { faults: [{ method: "DELETE", action: { kind: "status", status: 405 } }] },
      { "delete-tag": "no", "delete-manifest": "no", "delete-blob": "no" },
    ],
  ])("%s", async (_what, options, expected) => {
    const report = await probe(await registry(options));
    expect(answers(report)).toMatchObject(expected);
    expect(verdictOf(report)).toBe("pass");
  });

  test("compare-and-set without an ETag is of no use", async () => {
    const report = await probe(await registry({ etags: false }));
    expect(check(report, "if-match")).toMatchObject({
      answer: "yes",
      seen: expect.stringContaining("no ETag"),
      consequence: expect.stringContaining("can race"),
    });
    expect(check(report, "if-none-match")).toMatchObject({
      answer: "yes",
      consequence: expect.stringContaining("never overwritten"),
    });
  });

  test("nothing can be pushed: the rest is unknown, and not no", async () => {
    const report = await probe(await registry({ readOnly: true }));
    expect(answers(report)).toMatchObject({
      version: "yes",
      upload: "no",
      mount: "unknown",
      "oci-subject": "unknown",
      "if-match": "unknown",
    });
  });
});

test("a registry that serves all of it, and holds nothing of the probe's afterwards", async () => {
  const server = await registry();
  const report = await probe(server, { load: bounds() });
  const open = Object.entries(answers(report)).filter(([, answer]) => answer !== "yes");
  expect(Object.fromEntries(open)).toEqual({ login: "no", redirect: "no", "immutable-tags": "no" });
  expect(report.left).toEqual([]);
  expect(await contents(server)).toEqual([]);
  expect(report).toMatchObject({ schemaVersion: "1.0", write: true, startedAt: "1970-01-01T00:00:00.000Z" });
});

test("what it writes is under its own repository alone", async () => {
  const server = await registry();
  const { target, ...options } = optionsFor(server.host, { load: bounds() });
  await probeRegistry({ target, ...options });
  const written = server.requests.filter(({ method }) => method !== "GET" && method !== "HEAD").map(({ path }) => path);
  expect(written.length).toBeGreaterThan(20);
  const { name } = target.repository;
  expect(written.filter((path) => !path.startsWith(`/v2/${name}/`) && !path.startsWith(`/v2/${name}-from/`))).toEqual(
    [],
  );
});

test("in somebody's repository, what is theirs stays", async () => {
  const server = await registry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  cleanups.push(() => client.close());
  await pushBuilt(client, { registry: server.host, name: "team/app" }, buildImage(), "v1");
  const before = await server.snapshot();
  const report = await probe(server, { repository: "team/app" });
  expect(report.left).toEqual([]);
  expect((await server.snapshot())["team/app"]).toEqual(before["team/app"]);
});

test("what the registry does not delete is said", async () => {
  const server = await registry({ faults: [{ method: "DELETE", action: { kind: "status", status: 405 } }] });
  const report = await probe(server, { load: bounds() });
  expect(report.left.filter(({ kind }) => kind === "tag").length).toBeGreaterThan(3);
  expect(renderProbe(report)).toMatch(/Left behind[\s\S]*blobs in team\/goldenpath-probe-/);
  // What can't be taken away is not pushed by the hundred.
  expect(report.load?.kinds.map(({ kind }) => kind)).toEqual(["GET blob", "GET manifest", "HEAD manifest"]);
});

describe("without --write", () => {
  test("nothing is sent but GET and HEAD, and what they can't tell is unknown", async () => {
    const server = await registry();
    const report = await probe(server, { write: false, load: bounds() });
    expect(new Set(server.requests.map(({ method }) => method))).toEqual(new Set(["GET"]));
    expect(await server.snapshot()).toEqual({});
    expect(answers(report)).toMatchObject({
      version: "yes",
      "referrers-api": "yes",
      mount: "unknown",
      range: "unknown",
      "blob-digest": "unknown",
    });
    expect(check(report, "mount")?.seen).toBe("needs --write");
    expect(report.load?.kinds.map(({ kind }) => kind)).toEqual(["GET /v2/"]);
  });

  test("an image that is there tells more", async () => {
    const server = await registry();
    const client = createRegistryClient({ ports: silentPorts(), env: {} });
    cleanups.push(() => client.close());
    await pushBuilt(
      client,
      { registry: server.host, name: "team/app" },
      buildImage({ layers: ["x".repeat(1000)] }),
      "v1",
    );
    server.requests.length = 0;
    const report = await probe(server, { write: false, repository: "team/app", load: bounds() });
    expect(new Set(server.requests.map(({ method }) => method))).toEqual(new Set(["GET", "HEAD"]));
    expect(answers(report)).toMatchObject({ range: "yes", tags: "yes", "tags-pages": "unknown", mount: "unknown" });
    expect(report.load?.kinds.map(({ kind }) => kind)).toEqual(["GET blob", "GET manifest", "HEAD manifest"]);
  });
});

describe("logins", () => {
  test.each([
    ["bearer", { kind: "bearer", users: { joe: "secret" } } as const],
    ["basic", { kind: "basic", users: { joe: "secret" } } as const],
  ])("%s is offered; nobody is logged in", async (scheme, auth) => {
    const report = await probe(await registry({ auth }), { write: false });
    expect(check(report, "login")).toMatchObject({
      answer: "yes",
      consequence: expect.stringContaining("nobody is logged in"),
    });
    expect(check(report, "login")?.seen).toContain(scheme);
  });

  test.each(["bearer", "basic"] as const)(
    "%s: whoever is logged in writes, and the login is in nothing that is said",
    async (kind) => {
      const server = await registry({ auth: { kind, users: { joe: "a-secret-of-joe" } } });
      const directory = await mkdtemp(join(tmpdir(), "goldenpath-probe-"));
      cleanups.push(() => rm(directory, { recursive: true, force: true }));
      const auth = Buffer.from("joe:a-secret-of-joe").toString("base64");
      await writeFile(join(directory, "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
      // A registry that says back what it was told.
      server.faults = [
        {
          path: "/referrers/",
          action: { kind: "status", status: 400, body: JSON.stringify({ errors: [{ code: "X", message: auth }] }) },
        },
      ];
      const report = await probe(server, { env: { DOCKER_CONFIG: directory }, load: bounds() });
      expect(answers(report)).toMatchObject({
        login: "yes",
        upload: "yes",
        mount: "yes",
        "if-match": "yes",
        "delete-manifest": "yes",
      });
      expect(check(report, "login")?.consequence).toBe("your login is taken");
      expect(report.load).toMatchObject({ errors: {}, clients: 3 });
      expect(check(report, "referrers-api")?.seen).toContain("X ***");
      expect(JSON.stringify(report)).not.toContain(auth);
      expect(await contents(server)).toEqual([]);
    },
  );

  test("a kind that nobody knows is a finding", async () => {
    const faults = [
      {
        path: "^/v2/$",
        action: { kind: "status" as const, status: 401, headers: { "WWW-Authenticate": "Negotiate" } },
      },
    ];
    expect(check(await probe(await registry({ faults }), { write: false }), "login")).toMatchObject({
      isFinding: true,
    });
  });
});

test("a registry that gives no answer is an error, not a table of unknowns", async () => {
  await expect(probeRegistry(optionsFor("localhost:1", { write: false }))).rejects.toMatchObject({
    code: "registry-unreachable",
  });
});

test("nothing that a server says can steer a terminal, or a runner's log", async () => {
  const evil = "\u001b[2Jgone\n::set-output name=x::y";
  const server = createServer((_request, response) => {
    response.writeHead(404, {
      "content-type": "application/json",
      "docker-distribution-api-version": "registry/2.0\u009b2J",
    });
    response.end(JSON.stringify({ errors: [{ code: `X${evil}`, message: evil }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const report = await probeRegistry(optionsFor(`localhost:${(server.address() as AddressInfo).port}`));
  const text = renderProbe(report);
  expect(text).toContain("gone");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(text.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  expect(text).not.toMatch(/^::/m);
});

test("broken off, it cleans up all the same", async () => {
  const stop = new AbortController();
  let manifests = 0;
  const server = await registry({
    log: (line) => {
      if (line.startsWith("PUT") && line.includes("/manifests/") && ++manifests === 9)
        stop.abort(new Error("stopped by a test"));
    },
  });
  await expect(probe(server, { signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });
  expect(manifests).toBeGreaterThanOrEqual(9);
  expect(await contents(server)).toEqual([]);
});

test("broken off in the load, it cleans up all the same", async () => {
  const stop = new AbortController();
  let heads = 0;
  const server = await registry({
    log: (line) => {
      if (line.startsWith("HEAD") && line.includes("/manifests/sha256") && ++heads === 20)
        stop.abort(new Error("stopped by a test"));
    },
  });
  await expect(probe(server, { signal: stop.signal, load: bounds({ maxRequests: 1_000_000 }) })).rejects.toMatchObject({
    code: "aborted",
  });
  expect(await contents(server)).toEqual([]);
});
