import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lookAtOwner } from "@goldenpath/core/adopt/execute";
import type { AdoptReport, AdoptRow } from "@goldenpath/core/adopt/facts";
import { rulesOfPolicy } from "@goldenpath/core/base/context/rules";
import { openPlaces } from "@goldenpath/core/fleet/gather-places";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { silentPorts } from "@goldenpath/foundation/ports";
import { openAdoption } from "@goldenpath/runner/adopt";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { runMain } from "../support/cli.ts";
import { type GithubStand, startGithub } from "../support/github-api.ts";
import type { MockRepository } from "../support/github-owned.ts";

// What adopt says of an owner's repositories, by the real client to the stand-in that holds requests to GitHub's own
// description of its API: GitHub itself can't run here. Refused ones first, each beside what passes.

const hex = (digit: string): string => `sha256:${digit.repeat(64)}`;
const base = "registry.acme.test/bases/run";
const pinned = `${base}@${hex("2")}`;
const policy = `version: 1
name: acme
serial: 3
bases:
  - { name: run, image: ${base}, digests: ["${hex("2")}"] }
build:
  strategies: [dockerfile]
  environments: [container]
  sources: ["https://github.com/acme/*"]
  builders:
    - { kind: dockerfile, name: files, bases: [run] }
`;

let directory: string;
let policyFile: string;
let github: GithubStand;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-adopt-"));
  policyFile = join(directory, "policy.yaml");
  await writeFile(policyFile, policy);
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  github = await startGithub();
  vi.stubEnv("GITHUB_TOKEN", "a-token");
  vi.stubEnv("GITHUB_SERVER_URL", "https://github.com");
  vi.stubEnv("GITHUB_API_URL", github.url);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await github.close();
  expect(github.faults).toEqual([]);
});

function add(name: string, files: Readonly<Record<string, string>>, more: Partial<MockRepository> = {}): void {
  github.owned.push({ name: `acme/${name}`, ...more });
  for (const [path, text] of Object.entries(files)) github.files.set(`acme/${name}/${path}`, text);
}
const good = { Dockerfile: `FROM ${pinned}\n`, ".github/CODEOWNERS": "* @acme/shop\n" };

async function adopt(...options: string[]) {
  const { code, out, err } = await runMain("adopt", "acme", "--policy", policyFile, "--json", ...options);
  const report = out === "" ? undefined : (JSON.parse(out) as AdoptReport);
  const row = (name: string): AdoptRow | undefined => report?.rows.find((each) => each.repository === `acme/${name}`);
  return { code, err, report, row };
}

/** By a client whose waits are short. */
async function look(signal = new AbortController().signal): Promise<AdoptRow[]> {
  const context = { ports: silentPorts(), env: { GITHUB_API_URL: github.url }, signal };
  const { door, shut } = openAdoption("a-token", context, 1);
  const parsed = parsePolicy(Buffer.from(policy), "policy.yaml");
  try {
    return await lookAtOwner("acme", { build: parsed, images: rulesOfPolicy(parsed, new Date()) }, door, context);
  } finally {
    await shut();
  }
}

test("a foreign base, a strategy that is forbidden and a file that can't be read are refused, an approved base is ready", async () => {
  add("foreign", { Dockerfile: "# ours\nFROM docker.io/evil/base:1\n" });
  add("forbidden", { "package.json": '{"name":"x","scripts":{"start":"node ."}}', "package-lock.json": "{}" });
  add("hidden", { Dockerfile: "ARG BASE\nFROM $BASE\n" });
  add("broken", { "package.json": "{" });
  add("linked", { ...good, "package.json": "../../etc/passwd" });
  github.modes.set("acme/linked/package.json", "120000");
  add("below", {
    ...good,
    "web/Dockerfile": "../other",
    "docker-bake.hcl": "x",
    "docs/link": "x",
    "vendor/pom.xml": "x",
  });
  for (const file of ["web/Dockerfile", "docker-bake.hcl", "docs/link", "vendor/pom.xml"])
    github.modes.set(`acme/below/${file}`, "120000");
  add("good", good);
  const { code, err, row } = await adopt();
  expect([code, err]).toEqual([1, ""]);
  expect(row("foreign")).toMatchObject({
    verdict: "refused",
    applications: [{ folder: ".", strategy: "dockerfile" }],
    bases: [{ file: "Dockerfile", line: 2, name: "docker.io/evil/base:1" }],
    problems: [{ file: "Dockerfile", line: 2, wayOut: `Build on one of: ${pinned} (run).` }],
    missing: [expect.stringContaining("CODEOWNERS")],
  });
  expect(row("forbidden")).toMatchObject({
    verdict: "refused",
    problems: [{ file: "package.json", line: 1, problem: expect.stringContaining("policy 'acme' allows: dockerfile") }],
  });
  expect(row("hidden")).toMatchObject({ verdict: "refused", problems: [{ file: "Dockerfile", line: 2 }] });
  expect(row("linked")).toMatchObject({ verdict: "refused", problems: [{ file: "package.json" }] });
  expect(row("below")?.problems.map(({ file }) => file)).toEqual(["web/Dockerfile", "docker-bake.hcl"]);
  expect(row("broken")?.verdict).toBe("refused");
  expect(row("good")).toMatchObject({
    verdict: "ready",
    bases: [{ name: pinned }],
    problems: [],
    missing: [],
  });
  expect(github.requests.filter((each) => !each.startsWith("GET "))).toEqual([]);
});

test("applications side by side are told each by itself; nothing to build is said; what stands apart is not asked for", async () => {
  add("many", { "api/Dockerfile": `FROM ${pinned}\n`, "web/Dockerfile": "FROM nginx:1\n" });
  add("notes", { "README.md": "words" });
  add("old", good, { archived: true });
  add("copy", good, { fork: true });
  add("off", good, { disabled: true });
  add("new", {}, { isEmpty: true });
  const { code, row, report } = await adopt();
  expect(code).toBe(1);
  expect(row("many")).toMatchObject({
    verdict: "refused",
    applications: [
      { folder: "api", strategy: "dockerfile" },
      { folder: "web", strategy: "dockerfile" },
    ],
    problems: [{ file: "web/Dockerfile", line: 1 }],
  });
  expect(row("notes")).toMatchObject({ verdict: "nothing", missing: [expect.any(String), expect.any(String)] });
  const apart = report?.rows
    .filter(({ verdict }) => verdict === "apart")
    .map(({ repository, why }) => [repository, why]);
  expect(apart).toEqual([
    ["acme/copy", "it is a fork"],
    ["acme/new", "it is empty"],
    ["acme/off", "it is disabled"],
    ["acme/old", "it is archived"],
  ]);
  expect(github.requests.filter((each) => /acme\/(?:old|copy|off)\b/.test(each))).toEqual([]);
});

test("owners that a link or an empty file would name are missing", async () => {
  const dockerfile = { Dockerfile: good.Dockerfile };
  add("link", { ...dockerfile, CODEOWNERS: "docs/owners" });
  github.modes.set("acme/link/CODEOWNERS", "120000");
  add("nobody", { ...dockerfile, CODEOWNERS: "" });
  add("owned", { ...dockerfile, CODEOWNERS: "* @acme/shop\n" });
  const { row } = await adopt();
  for (const name of ["link", "nobody"])
    expect(row(name)?.missing, name).toEqual([expect.stringContaining("CODEOWNERS")]);
  expect(row("owned")?.missing).toEqual([]);
});

test("a conflict that is not an empty repository is unknown", async () => {
  add("busy", good);
  github.intercept = ({ template }) =>
    template.includes("/git/trees/") ? { status: 409, body: { message: "Try again later" } } : undefined;
  expect(await look()).toMatchObject([{ verdict: "unknown", why: expect.stringContaining("Try again later") }]);
});

test("a tree that is cut off and a repository that is not shown are unknown, by exit code 2", async () => {
  add("cut", good, { isTruncated: true });
  add("gone", {});
  add("good", good);
  const { code, row } = await adopt();
  expect(code).toBe(2);
  expect(row("cut")).toMatchObject({ verdict: "unknown", why: expect.stringContaining("only a part of its list") });
  expect(row("gone")).toMatchObject({ verdict: "unknown" });
  expect(row("good")).toMatchObject({ verdict: "ready" });
});

test("a list of files that is cut off, or a file without its bytes, says nothing of a fleet's owners either", async () => {
  add("cut", { CODEOWNERS: "* @acme/cut\n" }, { isTruncated: true });
  add("large", { CODEOWNERS: `* @acme/large\n${"#".repeat(1024 ** 2)}` });
  add("shop", { CODEOWNERS: "* @acme/shop\n" });
  const env = { GITHUB_API_URL: github.url, GITHUB_SERVER_URL: "https://github.com", GITHUB_TOKEN: "a-token" };
  const signal = new AbortController().signal;
  const places = openPlaces({ isOnline: true }, { ports: silentPorts(), env, signal });
  const ownerOf = (name: string) =>
    places.findOwner({ repository: `https://github.com/acme/${name}`, commit: "a".repeat(40) }, undefined);
  expect(await ownerOf("cut")).toBeUndefined();
  expect(await ownerOf("large")).toBeUndefined();
  expect(places.problems).toEqual([
    expect.stringContaining("only a part of its list of files"),
    expect.stringContaining("does not give the bytes of CODEOWNERS"),
  ]);
  expect(await ownerOf("shop")).toBe("@acme/shop");
});

test("a file that GitHub refuses makes its repository unknown, whatever else is in it", async () => {
  add("shop", { ...good, "package.json": "{}" });
  github.intercept = ({ template }) =>
    template.includes("/git/blobs/") ? { status: 403, body: { message: "no" } } : undefined;
  expect(await look()).toMatchObject([{ verdict: "unknown", why: expect.stringContaining("no") }]);
});

test("an owner that is not there is an error; a secondary limit is waited for", async () => {
  add("shop", good);
  let asked = 0;
  github.intercept = ({ template }) =>
    template.includes("/git/trees/") && ++asked === 1
      ? { status: 403, body: { message: "You have exceeded a secondary rate limit" }, headers: { "retry-after": "1" } }
      : undefined;
  expect(await look()).toMatchObject([{ verdict: "ready" }]);
  expect(asked).toBe(2);
  github.intercept = ({ template }) =>
    template === "/users/{username}" ? { status: 404, body: { message: "Not Found" } } : undefined;
  const { code, err } = await adopt();
  expect(code).toBe(2);
  expect(err).toContain("the repositories of acme can't be had: Not Found");
});

test("all pages are read, of an organisation and of a person", async () => {
  for (let index = 0; index < 201; index++) add(`r${index}`, {}, { archived: true });
  expect(await look()).toHaveLength(201);
  github.ownerType = "User";
  expect(await look()).toHaveLength(201);
  expect(github.requests.filter((each) => each.includes("page=3"))).toEqual([
    "GET /orgs/acme/repos?per_page=100&page=3",
    "GET /users/acme/repos?per_page=100&page=3",
  ]);
});

test("names and contents of strangers neither steer a terminal nor break a table", async () => {
  add("evil|<b>\u001b[2J", { "\u001b[31mDockerfile": "x", "a/../../Dockerfile": "FROM nginx:1\n" });
  add("__proto__", { "__proto__/Dockerfile": "FROM nginx:1 # |\n" });
  const plain = await runMain("adopt", "acme", "--policy", policyFile);
  expect(plain.out).not.toContain("\u001b");
  const { out } = await runMain("adopt", "acme", "--policy", policyFile, "--markdown");
  expect(out).not.toContain("\u001b");
  expect(out).not.toContain("<b>");
  const rows = out.split("\n").filter((line) => line.startsWith("| "));
  expect(rows).toHaveLength(4);
  for (const row of rows) expect(row.replaceAll("\\|", "").match(/\|/g)).toHaveLength(6);
  expect(out).toContain("\\_\\_proto\\_\\_");
});

test("it prints a table that says what to do", async () => {
  add("shop", { Dockerfile: "FROM docker.io/evil/base:1\n" });
  add("api", good);
  add("old", good, { archived: true });
  const { code, out } = await runMain("adopt", "acme", "--policy", policyFile);
  expect(code).toBe(1);
  expect(out).toMatchInlineSnapshot(`
    "acme: 3 repositories by policy 'acme' (serial 3): 1 ready, 1 refused, 0 with nothing to build, 0 unknown, 1 apart

    repository  verdict  strategy    base today
    acme/api    ready    dockerfile  registry.acme.test/bases/run@sha256:2222…
    acme/shop   refused  dockerfile  docker.io/evil/base:1

    acme/shop
      Dockerfile:1: refused: docker.io/evil/base:1 is no approved base. Build on one of: registry.acme.test/bases/run@sha256:2222222222222222222222222222222222222222222222222222222222222222 (run).
      missing: it has no CODEOWNERS: nobody is asked to review a change of its path

    Apart:
      acme/old: it is archived
    "
  `);
});

test.each<[string, string[], string]>([
  ["no owner", ["--policy", "p"], "expected one OWNER"],
  ["two owners", ["a", "b", "--policy", "p"], "expected one OWNER"],
  ["a repository", ["acme/shop", "--policy", "p"], "'acme/shop' is no owner"],
  ["no policy", ["acme"], "expected --policy"],
  ["two forms", ["acme", "--policy", "p", "--json", "--markdown"], "two ways"],
])("%s is refused", async (_what, args, says) => {
  const { code, err } = await runMain("adopt", ...args);
  expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  expect(github.requests).toEqual([]);
});

test("without a token nothing is asked; a server of one's own is asked by its API", async () => {
  add("shop", good);
  vi.stubEnv("GITHUB_TOKEN", "");
  vi.stubEnv("GH_TOKEN", "");
  const { code, err } = await adopt();
  expect([code, err]).toEqual([2, expect.stringContaining("it needs GITHUB_TOKEN")]);
  expect(github.requests).toEqual([]);
  vi.stubEnv("GH_TOKEN", "a-token");
  vi.stubEnv("GITHUB_API_URL", `${github.url}/api/v3`);
  vi.stubEnv("GITHUB_SERVER_URL", github.url);
  expect((await adopt()).row("shop")?.verdict).toBe("ready");
  expect(github.requests[0]).toBe("GET /api/v3/users/acme");
});
