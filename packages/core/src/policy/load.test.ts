import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { fakeDigest, samplePolicyText } from "@goldenpath/testing/policy";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fetchGithubFile } from "./github.ts";
import { loadPolicy, parsePolicyUri } from "./load.ts";
import { maxPolicyBytes } from "./parse.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const pinned = `acme/policies//golden/policy.yaml@${commit}`;
let directory = "";
let masked: string[] = [];

function context(env: Record<string, string> = {}): Context {
  return {
    ports: { ...silentPorts(), mask: (secret) => void masked.push(secret) },
    run: { builderId: "local" },
    workingDirectory: directory,
    temporaryDirectory: directory,
    env,
    signal: new AbortController().signal,
    now: () => new Date(),
  };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-policy-"));
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(() => {
  masked = [];
});

describe("a policy that is not pinned, or is nowhere, is refused", () => {
  test.each([
    ["", "policy-uri-invalid", "is empty"],
    ["https://example.com/policy.yaml", "policy-uri-invalid", "a URL of a kind"],
    ["file:///etc/policy.yaml", "policy-uri-invalid", "a URL of a kind"],
    ["acme/policies//policy.yaml", "policy-not-pinned", "names no commit"],
    ["acme/policies//policy.yaml@main", "policy-not-pinned", "names 'main'"],
    ["acme/policies//policy.yaml@v1", "policy-not-pinned", "names 'v1'"],
    [`acme/policies//policy.yaml@${commit.slice(0, 39)}`, "policy-not-pinned", "not a full commit SHA"],
    [`acme/policies//policy.yaml@${commit.toUpperCase()}`, "policy-not-pinned", "not a full commit SHA"],
    [`acme/policies//policy.yaml@${commit}0`, "policy-not-pinned", "not a full commit SHA"],
    [`acme/policies//../other/policy.yaml@${commit}`, "policy-uri-invalid", "has a path that is none"],
    [`acme/policies//a//policy.yaml@${commit}`, "policy-uri-invalid", "has a path that is none"],
    [`acme/policies//@${commit}`, "policy-uri-invalid", "has a path that is none"],
    ["oci://registry.test/policy", "policy-not-pinned", "names no digest"],
    ["oci://registry.test/policy:v1", "policy-not-pinned", "names no digest"],
    ["oci://registry.test/policy@sha256:abc", "reference-invalid", "not an image reference"],
    ["oci://", "reference-invalid", "it is empty"],
  ])("%s", (uri, code, message) => {
    expect(() => parsePolicyUri(uri)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message), wayOut: expect.any(String) }),
    );
  });

  test.each([
    ["missing.yaml", "policy-not-found", "there is no such file"],
    ["folder", "policy-not-found", "is not a file"],
    ["cut.yaml/policy.yaml", "policy-not-found", "there is no such file"],
    ["cut.yaml", "policy-invalid", "expected a map"],
    ["large.yaml", "policy-invalid", "larger than"],
    ["huge.yaml", "policy-invalid", "larger than"],
  ])("%s", async (uri, code, message) => {
    await mkdir(join(directory, "folder"), { recursive: true });
    await writeFile(join(directory, "cut.yaml"), samplePolicyText.slice(0, samplePolicyText.indexOf("  failOn")));
    await writeFile(join(directory, "large.yaml"), "#".repeat(maxPolicyBytes + 1));
    // Holes take no space on the disk; read, they would be more than a buffer holds.
    await writeFile(join(directory, "huge.yaml"), "");
    await truncate(join(directory, "huge.yaml"), 8 * 1024 ** 3);
    await expect(loadPolicy(uri, context())).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

describe("where a policy is", () => {
  test.each([
    ["policy.yaml", { kind: "file", path: "policy.yaml" }],
    ["./acme/policies//policy.yaml", { kind: "file", path: "./acme/policies//policy.yaml" }],
    ["/etc/golden//policy.yaml", { kind: "file", path: "/etc/golden//policy.yaml" }],
    ["policies/golden@2.yaml", { kind: "file", path: "policies/golden@2.yaml" }],
    [pinned, { kind: "github", file: { owner: "acme", repository: "policies", path: "golden/policy.yaml", commit } }],
    [
      `oci://localhost:5000/policy:v1@${fakeDigest("a")}`,
      { kind: "oci", reference: { registry: "localhost:5000", name: "policy", digest: fakeDigest("a") } },
    ],
  ])("%s", (uri, source) => {
    expect(parsePolicyUri(uri)).toEqual(source);
  });
});

test("a file is loaded with its digest", async () => {
  await writeFile(join(directory, "policy.yaml"), samplePolicyText);
  const loaded = await loadPolicy("policy.yaml", context());
  expect(loaded).toMatchObject({
    uri: "policy.yaml",
    digest: digestOf(samplePolicyText),
    policy: { name: "acme", serial: 7 },
  });
});

// GitHub itself can't be had in a test: this server answers as its contents API does, and as it does when something is
// wrong.
describe("a file of a GitHub repository", () => {
  let server: Server;
  let env: Record<string, string>;
  let requests: IncomingMessage[] = [];
  let answer: (response: ServerResponse, count: number) => void;

  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push(request);
      answer(response, requests.length);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    env = { GITHUB_API_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v3/` };
  });
  afterAll(() => new Promise((closed) => server.close(closed)));
  afterEach(() => {
    requests = [];
  });

  const status =
    (code: number, headers: Record<string, string> = {}, body = "") =>
    (response: ServerResponse): void =>
      void response.writeHead(code, headers).end(body);

  test.each([
    ["that is not there", status(404), "policy-not-found", 1],
    ["of a commit that is not there", status(422), "policy-not-found", 1],
    ["that may not be read", status(401), "policy-unauthorized", 1],
    ["that is forbidden", status(403), "policy-unauthorized", 1],
    ["of a repository that moved", status(301, { location: "https://example.com/" }), "policy-moved", 1],
    ["when the rate limit is used up", status(403, { "x-ratelimit-remaining": "0" }), "github-error", 1],
    ["when GitHub wants it slower, and never has enough", status(429, { "retry-after": "0" }), "github-error", 4],
    ["when GitHub is down", status(503, { "retry-after": "0" }), "github-error", 4],
    ["when the answer is none", status(204), "github-error", 1],
    ["that is too large", status(200, {}, "#".repeat(maxPolicyBytes + 1)), "policy-invalid", 1],
    ["that is a folder", status(200, {}, "[]"), "policy-invalid", 1],
    ["that is empty", status(200), "policy-invalid", 1],
  ])("%s", async (_what, answering, code, tries) => {
    answer = answering;
    await expect(loadPolicy(pinned, context(env))).rejects.toMatchObject({ code });
    expect(requests).toHaveLength(tries);
  });

  test("that does not end is not read to its end", async () => {
    const chunk = Buffer.alloc(1024 * 1024, "#");
    answer = (response) => {
      const write = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", write).on("error", () => undefined);
      write();
    };
    await expect(loadPolicy(pinned, context(env))).rejects.toMatchObject({ code: "policy-invalid" });
  });

  test("when nothing answers there", async () => {
    const closed = createServer();
    await new Promise<void>((listening) => closed.listen(0, "127.0.0.1", listening));
    const { port } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    const source = parsePolicyUri(pinned);
    if (source.kind !== "github") throw new Error(`${pinned} is not on GitHub`);
    const waits: number[] = [];
    const asking = fetchGithubFile(
      source.file,
      context({ GITHUB_API_URL: `http://127.0.0.1:${port}` }),
      async (wait) => void waits.push(wait),
    );
    await expect(asking).rejects.toMatchObject({ code: "github-unreachable", attempts: 4 });
    expect(waits).toHaveLength(3);
  });

  test.each(["http://github.example.com/api/v3", "github.example.com", "ftp://localhost"])(
    "from %s, which a token must not go to",
    async (url) => {
      await expect(loadPolicy(pinned, context({ GITHUB_API_URL: url }))).rejects.toMatchObject({
        code: "github-url-invalid",
      });
    },
  );

  test("is asked for at its commit, as raw bytes, with the token", async () => {
    answer = status(200, {}, samplePolicyText);
    const loaded = await loadPolicy(pinned, context({ ...env, GITHUB_TOKEN: "s3cret" }));
    expect(loaded).toMatchObject({ uri: pinned, digest: digestOf(samplePolicyText), policy: { serial: 7 } });
    expect(requests[0]?.url).toBe(`/api/v3/repos/acme/policies/contents/golden/policy.yaml?ref=${commit}`);
    expect(requests[0]?.headers).toMatchObject({
      accept: "application/vnd.github.raw+json",
      authorization: "Bearer s3cret",
    });
    expect(masked).toEqual(["s3cret"]);
  });

  test("is asked for again after a failure, and without a token where there is none", async () => {
    answer = (response, count) =>
      count === 1 ? status(502, { "retry-after": "0" })(response) : status(200, {}, samplePolicyText)(response);
    await expect(loadPolicy(pinned, context(env))).resolves.toMatchObject({ uri: pinned });
    expect(requests).toHaveLength(2);
    expect(requests[1]?.headers.authorization).toBeUndefined();
  });
});
