import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdoptReport, AdoptRow } from "@goldenpath/core/adopt/facts";
import { adoptBranch } from "@goldenpath/core/adopt/open";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { runMain } from "../support/cli.ts";
import { type GithubStand, type MockAnswer, startGithub } from "../support/github-api.ts";
import type { MockRepository } from "../support/github-owned.ts";

// Callers that adopt proposes to an owner's repositories, by the real client to the stand-in that holds requests to GitHub's
// own description of its API: GitHub itself can't run here. What is left alone first, each beside what is proposed.

const pinned = `registry.acme.test/bases/run@sha256:${"2".repeat(64)}`;
const policy = `version: 1
name: acme
serial: 3
bases:
  - { name: run, image: registry.acme.test/bases/run, digests: ["sha256:${"2".repeat(64)}"] }
build:
  strategies: [dockerfile]
  environments: [container]
  sources: ["https://github.com/acme/*"]
  builders:
    - { kind: dockerfile, name: files, bases: [run] }
`;
const callerPath = ".github/workflows/golden-path.yml";
const example = join(import.meta.dirname, "../../examples/caller", callerPath);
const good = { Dockerfile: `FROM ${pinned}\n`, ".github/CODEOWNERS": "* @acme/shop\n" };

let directory: string;
let policyFile: string;
let caller: string;
let callerFile: string;
let github: GithubStand;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-adopt-open-"));
  policyFile = join(directory, "policy.yaml");
  await writeFile(policyFile, policy);
  caller = (await readFile(example, "utf8")).replace("0".repeat(40), "c".repeat(40));
  callerFile = join(directory, "caller.yml");
  await writeFile(callerFile, caller);
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

function add(name: string, files: Readonly<Record<string, string>>, more: Partial<MockRepository> = {}) {
  const repository: MockRepository = { name: `acme/${name}`, ...more };
  github.owned.push(repository);
  for (const [path, text] of Object.entries(files)) github.files.set(`acme/${name}/${path}`, text);
  return repository;
}

async function adopt(...options: string[]) {
  const { code, out, err } = await runMain("adopt", "acme", "--policy", policyFile, "--json", ...options);
  const report = out === "" ? undefined : (JSON.parse(out) as AdoptReport);
  const row = (name: string): AdoptRow | undefined => report?.rows.find((each) => each.repository === `acme/${name}`);
  return { code, err, report, row, opened: (name: string) => row(name)?.opened };
}
const open = (...options: string[]) => adopt("--open", "--caller", callerFile, ...options);
const writes = (): string[] => github.requests.filter((each) => !each.startsWith("GET "));
const branch = (...files: [string, string][]) => new Map([[adoptBranch, new Map(files)]]);
const closed = { number: 1, branch: adoptBranch, title: "t", body: "b", state: "closed" as const };

test("what is refused, has nothing to build, or stands apart is proposed nothing; what is ready gets one pull request", async () => {
  add("foreign", { Dockerfile: "FROM docker.io/evil/base:1\n" });
  add("notes", { "README.md": "words" });
  add("old", good, { archived: true });
  const shop = add("shop", good);
  const { code, opened } = await open();
  expect(code).toBe(1);
  for (const name of ["foreign", "notes", "old"]) expect(opened(name), name).toBeUndefined();
  expect(opened("shop")).toEqual({ state: "opened", url: "https://github.com/acme/shop/pull/1" });
  expect(shop.branches?.get(adoptBranch)).toEqual(new Map([[callerPath, caller]]));
  expect(shop.proposals).toMatchObject([{ branch: adoptBranch, state: "open" }]);
  expect(shop.proposals?.[0]?.body).toContain("- `.`: by `dockerfile`");
  expect(writes()).toHaveLength(3);
  // Run again it changes nothing; with another caller it brings the open one up to date.
  github.requests.length = 0;
  expect((await open()).opened("shop")).toEqual({ state: "unchanged", url: "https://github.com/acme/shop/pull/1" });
  expect(writes()).toEqual([]);
  const newer = join(directory, "newer.yml");
  await writeFile(newer, caller.replace("c".repeat(40), "d".repeat(40)));
  expect((await adopt("--open", "--caller", newer)).opened("shop")?.state).toBe("updated");
  expect(shop.branches?.get(adoptBranch)?.get(callerPath)).toContain("d".repeat(40));
  expect(shop.proposals).toHaveLength(1);
});

test.each<[what: string, more: Partial<MockRepository>, files: Record<string, string>, state: string, says: string]>([
  ["that somebody closed", { proposals: [closed] }, {}, "closed", "was closed"],
  ["that was merged and taken out again", { proposals: [{ ...closed, isMerged: true }] }, {}, "closed", "was merged"],
  ["whose branch has more", { branches: branch(["README.md", "x"]) }, {}, "held", "changes README.md as well"],
  ["in whose place stands another", {}, { [callerPath]: "on: push\n" }, "held", "another .github"],
])("one %s is left alone", async (_what, more, files, state, says) => {
  const shop = add("shop", { ...good, ...files }, more);
  const { opened, code } = await open();
  expect(opened("shop")).toMatchObject({ state, why: expect.stringContaining(says) });
  expect([code, writes()]).toEqual([0, []]);
  expect(shop.proposals ?? []).toHaveLength(more.proposals?.length ?? 0);
});

test("with --reopen a closed one is proposed again; what was half done is finished; what is there is left", async () => {
  const shop = add("shop", good, { proposals: [closed], branches: branch([callerPath, "older"]) });
  expect((await open("--reopen")).opened("shop")).toEqual({
    ...{ state: "opened", url: "https://github.com/acme/shop/pull/2" },
  });
  expect(shop.branches?.get(adoptBranch)?.get(callerPath)).toBe(caller);
  const half = add("half", good, { branches: branch() });
  const done = add("done", { ...good, [callerPath]: caller });
  const { opened } = await open();
  expect([opened("half")?.state, opened("done")]).toEqual(["opened", { state: "there" }]);
  expect([half.proposals?.length, done.proposals?.length ?? 0]).toEqual([1, 0]);
});

test("what was merged since the file was written is there, and what was put in its place is held", async () => {
  const [shop, till] = [add("shop", good), add("till", good)];
  const file = join(directory, "merged.json");
  expect((await open("--output", file)).opened("shop")?.state).toBe("opened");
  for (const { proposals } of [shop, till]) Object.assign(proposals?.[0] ?? {}, { state: "closed", isMerged: true });
  github.files.set(`acme/shop/${callerPath}`, caller);
  github.files.set(`acme/till/${callerPath}`, "on: push\n");
  github.requests.length = 0;
  for (const reopen of [[], ["--reopen"]]) {
    const { opened } = await open("--output", file, ...reopen);
    expect([opened("shop"), opened("till")?.state]).toEqual([{ state: "there" }, "held"]);
  }
  expect(github.requests.filter((each) => each.includes("/git/trees/"))).toEqual([]);
  expect(writes()).toEqual([]);
});

test("what GitHub does not let be written is failed, by exit code 2, and the others are proposed", async () => {
  add("api", good);
  add("shop", good);
  github.intercept = ({ template, parameters, method }) =>
    method === "PUT" && template.includes("/contents/") && parameters["repo"] === "api"
      ? { status: 403, body: { message: "Resource not accessible by personal access token" } }
      : undefined;
  const { code, opened } = await open();
  expect(code).toBe(2);
  expect(opened("api")).toMatchObject({ state: "failed", why: expect.stringContaining("not accessible") });
  expect(opened("shop")?.state).toBe("opened");
  github.intercept = () => undefined;
  const again = await open();
  expect([again.code, again.opened("api")?.state, again.opened("shop")?.state]).toEqual([0, "opened", "unchanged"]);
});

describe("rings", () => {
  const rings = async (text: string): Promise<string> => {
    const file = join(await mkdtemp(join(directory, "rings-")), "rings.yaml");
    await writeFile(file, text);
    return file;
  };

  test("open up to the one that is asked for, the first that names a repository; the rest is left", async () => {
    for (const name of ["try", "shop", "till", "other.one"]) add(name, good);
    const file = await rings("- [acme/TRY]\n- [acme/s*, acme/try]\n- [acme/till]\n");
    const states = async (...options: string[]) => {
      const { report } = await open("--rings", file, ...options);
      return Object.fromEntries(report?.rows.map(({ repository, opened }) => [repository, opened?.state]) ?? []);
    };
    expect(await states()).toEqual({
      ...{ "acme/try": "opened", "acme/shop": undefined, "acme/till": undefined, "acme/other.one": undefined },
    });
    expect(await states("--ring", "2")).toMatchObject({ "acme/try": "unchanged", "acme/shop": "opened" });
    expect((await states("--ring", "3"))["acme/other.one"]).toBeUndefined();
  });

  test.each<[what: string, text: string, options: string[], says: string]>([
    ["that is no list", "acme/shop: 1\n", [], "is no list of rings"],
    ["without a repository", "- []\n", [], "is no list of rings"],
    ["of a name alone", "- [shop]\n", [], "expected OWNER/NAME"],
    ["with an alias", "- &a [acme/shop]\n- *a\n", [], "is no list of rings"],
    ["of fewer than is asked for", "- [acme/shop]\n", ["--ring", "2"], "there is 1 ring"],
    ["that is none", "- [acme/shop]\n", ["--ring", "0"], "expected a number from 1"],
  ])("%s are refused before anything is asked", async (_what, text, options, says) => {
    const { code, err } = await open("--rings", await rings(text), ...options);
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
    expect(github.requests).toEqual([]);
  });
});

test.each<[what: string, edit: (text: string) => string, says: string]>([
  ["whose commit is to be filled in", (text) => text.replace("c".repeat(40), "0".repeat(40)), "has to be filled in"],
  ["by a tag", (text) => text.replace("c".repeat(40), "v1"), "no workflow at a full commit"],
  ["with steps of its own", (text) => text.replace(/ {4}uses: .*/, "    steps: []"), "calls no reusable workflow"],
  ["without jobs", () => "name: x\n", "has no jobs"],
  ["that is no YAML", () => "jobs: [", "can't be read"],
])("a caller %s is refused before anything is asked", async (_what, edit, says) => {
  const file = join(await mkdtemp(join(directory, "caller-")), "caller.yml");
  await writeFile(file, edit(caller));
  const { code, err } = await adopt("--open", "--caller", file);
  expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  expect(github.requests).toEqual([]);
});

test.each<[args: string[], says: string]>([
  [["--open"], "--open needs --caller"],
  [["--caller", "x"], "are for --open"],
  [["--reopen"], "are for --open"],
  [["--open", "--caller", "/nowhere.yml"], "can't be read"],
])("%j is refused", async (args, says) => {
  const { code, err } = await adopt(...args);
  expect([code, err]).toEqual([2, expect.stringContaining(says)]);
});

describe("a limit that lasts too long to wait for", () => {
  const limited = (): MockAnswer => ({
    ...{ status: 403, body: { message: "API rate limit exceeded for user ID 1" } },
    headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(Math.floor(Date.now() / 1000) + 3000) },
  });

  test("ends the asking; what is known is in the file, and the next run goes on with the rest", async () => {
    for (let index = 0; index < 8; index++) add(`r${index}`, good);
    const file = join(directory, "report.json");
    let trees = 0;
    github.intercept = ({ template }) => (template.includes("/git/trees/") && ++trees > 4 ? limited() : undefined);
    const first = await adopt("--output", file);
    expect(first.code).toBe(2);
    const unknown = first.report?.rows
      .filter(({ verdict }) => verdict === "unknown")
      .map(({ repository }) => repository);
    expect(unknown).toHaveLength(4);
    expect(Date.parse(first.report?.resumeAfter ?? "")).toBeGreaterThan(Date.now());
    // Those that were on their way when the first was refused; then nobody asks.
    expect(trees).toBeLessThanOrEqual(8);
    expect(first.row(unknown?.[0]?.slice(5) ?? "")?.why).toContain("takes no more requests until");
    expect(JSON.parse(await readFile(file, "utf8")).rows).toHaveLength(8);
    github.intercept = () => undefined;
    github.requests.length = 0;
    const second = await adopt("--output", file);
    expect([second.code, second.report?.resumeAfter]).toEqual([0, undefined]);
    const asked = github.requests.flatMap((each) => /repos\/(acme\/[^/]+)\/git\/trees/.exec(each)?.[1] ?? []);
    expect(asked.toSorted()).toEqual(unknown?.toSorted());
    expect(second.report?.rows.every(({ verdict }) => verdict === "ready")).toBe(true);
  });

  test("a report of another policy or owner, or of before yesterday, is looked at anew; what is none is not written over", async () => {
    add("shop", good);
    const file = join(directory, "other.json");
    const asked = (): number => github.requests.filter((each) => each.includes("/git/trees/")).length;
    await adopt("--output", file);
    const report = JSON.parse(await readFile(file, "utf8"));
    for (const [change, trees] of [
      [{}, 0],
      [{ owner: "other" }, 1],
      [{ policy: { ...report.policy, digest: `sha256:${"0".repeat(64)}` } }, 1],
      [{ lookedAt: new Date(Date.now() - 86_500_000).toISOString() }, 1],
      [{ lookedAt: new Date(Date.now() + 86_500_000).toISOString() }, 1],
    ] as const) {
      await writeFile(file, JSON.stringify({ ...report, ...change }));
      github.requests.length = 0;
      expect((await adopt("--output", file)).code).toBe(0);
      expect([change, asked()]).toEqual([change, trees]);
    }
    const [row] = report.rows;
    for (const [change, trees] of [
      [{ branch: "main" }, 0],
      [{ branch: "master" }, 1],
      [{ verdict: "apart", why: "it is archived" }, 1],
    ] as const) {
      await writeFile(file, JSON.stringify({ ...report, rows: [{ ...row, ...change }] }));
      github.requests.length = 0;
      expect((await adopt("--output", file)).row("shop")).toMatchObject({ branch: "main", verdict: "ready" });
      expect([change, asked()]).toEqual([change, trees]);
    }
    for (const text of ["{}", "words", JSON.stringify({ ...report, rows: [{}] })]) {
      await writeFile(file, text);
      expect(await adopt("--output", file)).toMatchObject({ code: 2, err: expect.stringContaining("is no report of") });
      expect(await readFile(file, "utf8")).toBe(text);
    }
  });
});
