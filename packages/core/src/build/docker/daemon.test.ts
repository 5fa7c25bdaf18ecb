import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fakeDigest } from "@goldenpath/testing/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findDaemon } from "./daemon.ts";

// A stand-in that speaks as the daemon does: the real one is in test/slow.
let folder: string;
let server: Server;
let answers: Record<string, { status?: number; body: string }>;
let seen: { path: string; login: string | undefined }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-docker-"));
  seen = [];
  answers = { "GET /version": { body: '{"Version":"20.10.24"}' } };
  server = createServer((asked, answer) => {
    const path = asked.url ?? "";
    seen.push({ path, login: asked.headers["x-registry-auth"] as string | undefined });
    const { status = 200, body } = answers[`${asked.method} ${path.split("?")[0]}`] ?? {
      status: 404,
      body: '{"message":"no"}',
    };
    answer.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(join(folder, "docker.sock"), resolve));
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const find = (host = `unix://${folder}/docker.sock`) =>
  findDaemon({ env: { DOCKER_HOST: host }, signal: new AbortController().signal });
const reference = { registry: "r.test", name: "bases/run", digest: fakeDigest("a") };
const store = (credential?: object) => ({ find: () => Promise.resolve(credential) }) as never;

describe("a daemon that can't be used", () => {
  it.each(["tcp://127.0.0.1:2375", "ssh://builder", "npipe:////./pipe/docker_engine", "unix://relative.sock"])(
    "is one at %s",
    async (host) => {
      await expect(find(host)).rejects.toMatchObject({ name: "UserError", code: "docker-unavailable" });
    },
  );

  it.each([
    ["is not there", () => server.close(), `unix://${tmpdir()}/no-such.sock`],
    ["says no", () => (answers["GET /version"] = { status: 500, body: "oops" }), undefined],
    ["is something else", () => (answers["GET /version"] = { body: "<html>" }), undefined],
    ["answers nothing", () => (answers["GET /version"] = { body: "null" }), undefined],
    ["answers without an end", () => (answers["GET /version"] = { body: "x".repeat(2_000_000) }), undefined],
  ])("%s", async (_what, change, host) => {
    change();
    await expect(find(host)).rejects.toMatchObject({ code: "docker-unavailable" });
  });
});

describe("an image that a daemon fetches", () => {
  it.each([
    ["it is refused at once", { status: 404, body: '{"message":"manifest unknown"}' }, "manifest unknown"],
    [
      "it breaks off",
      { body: '{"status":"Pulling"}\r\n{"errorDetail":{"message":"x"},"error":"denied: \\"no\\""}\r\n' },
      "denied",
    ],
    ["the last line says so", { body: '{"error":"unauthorized"}' }, "unauthorized"],
  ])("is an error where %s", async (_what, answer, message) => {
    answers["POST /images/create"] = answer;
    const daemon = await find();
    await expect(daemon.pull(reference, store())).rejects.toMatchObject({
      name: "InfrastructureError",
      code: "docker-failed",
      message: expect.stringContaining(message),
    });
  });

  it.each([
    [undefined, undefined],
    [
      { kind: "basic", username: "me", password: "pw" },
      { username: "me", password: "pw" },
    ],
    [{ kind: "identity-token", token: "t" }, { identitytoken: "t" }],
    [{ kind: "registry-token", token: "t" }, { registrytoken: "t" }],
  ])("is asked for by its digest, with the login %j", async (credential, login) => {
    answers["POST /images/create"] = { body: '{"status":"Status: Downloaded"}\n' };
    const daemon = await find();
    await daemon.pull(reference, store(credential));
    const { path, login: sent } = seen.at(-1) ?? {};
    expect(new URLSearchParams(path?.split("?")[1])).toEqual(
      new URLSearchParams({ fromImage: "r.test/bases/run", tag: fakeDigest("a") }),
    );
    const read = sent === undefined ? undefined : JSON.parse(Buffer.from(sent, "base64url").toString());
    expect(read).toEqual(login === undefined ? undefined : { ...login, serveraddress: "r.test" });
  });
});

describe("an image in a daemon", () => {
  const name = "goldenpath.invalid/x:built";
  const path = `/images/${encodeURIComponent(name)}`;

  it("is saved to a file, within bounds", async () => {
    answers[`GET ${path}/get`] = { body: "x".repeat(100) };
    const daemon = await find();
    await expect(daemon.save(name, join(folder, "a"), 99)).rejects.toMatchObject({ code: "docker-failed" });
    await daemon.save(name, join(folder, "b"), 100);
    expect(await readFile(join(folder, "b"), "utf8")).toHaveLength(100);
    await expect(daemon.save("other", join(folder, "c"), 100)).rejects.toMatchObject({ code: "docker-failed" });
  });

  it("is there or not", async () => {
    const daemon = await find();
    expect(await daemon.has(name)).toBe(false);
    answers[`GET ${path}/json`] = { body: "{}" };
    expect(await daemon.has(name)).toBe(true);
  });
});

it("is reached by a socket of ours, for as long as that is open", async () => {
  const relay = await (await find()).openRelay(join(folder, "relay.sock"));
  const ask = () =>
    new Promise<number | undefined>((resolve, reject) => {
      request({ socketPath: join(folder, "relay.sock"), path: "/version" }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on("error", reject)
        .end();
    });
  expect(await ask()).toBe(200);
  await relay.close();
  await expect(ask()).rejects.toThrow();
});
