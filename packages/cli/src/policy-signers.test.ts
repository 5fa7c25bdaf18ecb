import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { stringify } from "yaml";
import { runMain as run } from "../../../test/support/cli.ts";

const commit = "a".repeat(40);
const where = `goldenpath-ci/goldenpath@${commit}`;
const signers = (...args: string[]) => run("policy", "signers", ...args);

let api: Server;
let asked: (string | undefined)[] = [];
const accounts: Readonly<Record<string, unknown>> = {
  "/users/acme": { login: "Acme", id: 4321 },
  "/users/renamed": { login: "somebody-else", id: 1 },
  "/users/odd": { login: "odd", id: "4321" },
};
beforeAll(async () => {
  // Stands in for GitHub's API, as its documentation has it.
  api = createServer(({ url = "", headers }, response) => {
    asked.push(`${url} ${headers.authorization}`);
    const found = accounts[url];
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(found ?? { message: "Not Found" }));
  });
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
});
afterAll(() => api.close());
afterEach(() => {
  vi.unstubAllEnvs();
  asked = [];
});
function withToken(token = "t0ken"): void {
  vi.stubEnv("GITHUB_TOKEN", token);
  vi.stubEnv("GH_TOKEN", "");
  vi.stubEnv("GITHUB_SERVER_URL", "https://github.com");
  vi.stubEnv("GITHUB_API_URL", `http://127.0.0.1:${(api.address() as AddressInfo).port}`);
}

test.each<[string, string[], string]>([
  ["nothing", [], "expected OWNER/REPO@COMMIT --for OWNER"],
  ["no owner", [where], "expected OWNER/REPO@COMMIT --for OWNER"],
  ["an owner that is none", [where, "--for", "a/b"], "--for is 'a/b', which is no owner"],
  ["no repository", [`goldenpath@${commit}`, "--for", "acme"], "names no repository"],
  ["a branch", ["a/b@main", "--for", "acme", "--owner-id", "1"], "at: expected a full commit"],
  ["a short commit", ["a/b@abcdef", "--for", "acme", "--owner-id", "1"], "at: expected a full commit"],
  ["no version", ["a/b", "--for", "acme", "--owner-id", "1"], "at: expected a full commit"],
  ["an owner's number that is none", [where, "--for", "acme", "--owner-id", "acme"], "ownerId: expected the number"],
  ["a ref that is none", [where, "--for", "acme", "--owner-id", "1", "--ref", "main"], "refs: expected a ref"],
  ["a pattern in a name", [where, "--for", "acme", "--owner-id", "1", "--repository", "s*"], "repositories: expected"],
  ["a stage that is none", [where, "--for", "acme", "--owner-id", "1", "--stage", "sign"], "build, base, scan, judge"],
  ["both", [where, "--for", "acme", "--owner-id", "1", "--stage", "scan", "--compact"], "leave --stage out"],
  ["a server by http", [where, "--for", "acme", "--owner-id", "1", "--server", "http://x"], "expected https://HOST"],
  ["a server with a path", [where, "--for", "acme", "--owner-id", "1", "--server", "https://x/y"], "https://HOST"],
])("%s is refused", async (_what, args, says) => {
  withToken();
  const { code, out, err } = await signers(...args);
  expect({ code, out, err }).toEqual({ code: 2, out: "", err: expect.stringContaining(says) });
  expect(asked).toEqual([]);
});

test("without a token the number is asked of whoever runs it, with where it stands", async () => {
  withToken("");
  vi.stubEnv("GITHUB_API_URL", undefined);
  vi.stubEnv("GITHUB_SERVER_URL", undefined);
  const { code, err } = await signers(where, "--for", "acme");
  expect({ code, err }).toEqual({
    code: 2,
    err: expect.stringMatching(/number of acme is not known[\s\S]*--owner-id: https:\/\/api\.github\.com\/users\/acme/),
  });
  const server = await signers(where, "--for", "acme", "--server", "https://git.acme.example");
  expect(server.err).toContain("https://git.acme.example/api/v3/users/acme");
});

test("another server's API is not asked: a name has another number on each", async () => {
  withToken();
  const { code, err } = await signers(where, "--for", "acme", "--server", "https://git.acme.example");
  expect({ code, err }).toEqual({
    code: 2,
    err: expect.stringContaining("GITHUB_API_URL (https://git.acme.example/api/v3)"),
  });
  vi.stubEnv("GITHUB_SERVER_URL", "https://git.acme.example");
  expect((await signers(where, "--for", "acme")).code).toBe(2);
  expect(asked).toEqual([]);
  expect((await signers(where, "--for", "acme", "--server", "https://git.acme.example")).code).toBe(0);
});

test.each([
  ["nobody", "nobody", "GitHub knows no nobody"],
  ["another name than was asked for", "renamed", "answers for renamed with somebody-else"],
  ["a number that is none", "odd", "something else than documented"],
])("an answer of %s gives no block", async (_what, owner, says) => {
  withToken();
  const { code, out, err } = await signers(where, "--for", owner);
  expect({ code, out, err }).toEqual({ code: 2, out: "", err: expect.stringContaining(says) });
});

const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("@sigstore/tuf/seeds.json"), "utf8"));
const trustedRoot = Buffer.from(
  seeds["https://tuf-repo-cdn.sigstore.dev"].targets["trusted_root.json"],
  "base64",
).toString();

/** The signers of a policy that the block was pasted into. */
function paste(block: string): ReturnType<typeof parsePolicy>["signers"] {
  const before = stringify({
    ...{ version: 1, name: "acme", serial: 1 },
    sigstore: { public: { trustedRoot }, own: { trustedRoot } },
  });
  return parsePolicy(Buffer.from(before + block), "policy.yaml").signers;
}

test("each stage has its own workflow at that commit, for the owner by the number that the API says", async () => {
  withToken();
  const { code, out, err } = await signers(where, "--for", "acme");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(asked).toEqual(["/users/acme Bearer t0ken"]);
  const block = paste(out);
  expect(Object.keys(block)).toEqual(["build", "base", "scan", "promote"]);
  expect(block["scan"]).toMatchObject({
    kind: "keyless",
    sigstore: "public",
    workflow: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-scan.yml",
    at: [commit],
    ownerId: "4321",
    repositories: ["https://github.com/acme/*"],
    refs: ["refs/heads/main"],
  });
  expect(out).toContain("# environments: requires, of scan: signers: [scan]\n");
  expect(out).toContain("# environments: each that it promotes into has promoter: promote\n");
});

test("the compact path has two, of which one speaks for three stages; a server has its own issuer", async () => {
  const args = ["--for", "acme", "--owner-id", "4321", "--compact", "--sigstore", "own"];
  const { out } = await signers(`acme/goldenpath@refs/tags/v1.2.3`, ...args, "--server", "https://git.acme.example/");
  expect(out).toContain("# environments: requires, of build, base, scan: signers: [judge]\n");
  const block = paste(out);
  expect(Object.keys(block)).toEqual(["judge", "promote"]);
  expect(block["judge"]).toMatchObject({
    sigstore: "own",
    issuer: "https://git.acme.example/_services/token",
    workflow: "https://git.acme.example/acme/goldenpath/.github/workflows/stage-judge.yml",
    at: ["refs/tags/v1.2.3"],
    repositories: ["https://git.acme.example/acme/*"],
  });
});

test("what is asked for is in it, as JSON as well", async () => {
  const args = [
    where,
    "--for",
    "acme",
    "--owner-id",
    "1",
    "--stage",
    "scan",
    "--repository",
    "shop",
    "--repository",
    "till",
  ];
  const { out } = await signers(...args, "--ref", "refs/tags/*", "--json");
  expect(JSON.parse(out)).toEqual({
    signers: {
      scan: expect.objectContaining({
        repositories: ["https://github.com/acme/shop", "https://github.com/acme/till"],
        refs: ["refs/tags/*"],
      }),
    },
  });
});
