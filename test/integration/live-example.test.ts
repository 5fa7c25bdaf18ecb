import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { assembleImage, type BuiltImage } from "../../examples/golden-platform/image.ts";
import { openGithub } from "../../examples/live/github.ts";
import { type LiveInputs, runLive } from "../../examples/live/live.ts";

// examples/live against a stand-in for gh, which writes down what it is asked and answers as gh's documentation has it,
// and an embedded registry. Nobody has run it on github.com: this holds what it asks for, not what GitHub makes of it.

let root: string;
let server: RegistryServer;
let said: string[];
/** What DOCKER_CONFIG was for the registry's client, and the modes of that folder and its file then. */
let login: { folder: string; modes: number[] } | undefined;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-live-"));
  for (const each of ["kept", "temporary"]) await mkdir(join(root, each));
  login = undefined;
  server = await startRegistry();
  said = [];
});
afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true, force: true });
});

interface Call {
  args: string[];
  input: string;
}

async function writeGh(conclusion: string): Promise<void> {
  const file = join(root, "gh");
  const program = `#!${process.execPath}
const fs = require("node:fs");
const args = process.argv.slice(2);
const input = fs.readFileSync(0, "utf8");
fs.appendFileSync(${JSON.stringify(join(root, "calls"))}, JSON.stringify({ args, input }) + "\\n");
if (args[0] === "api" && args[1].startsWith("users/")) console.log("4321");
if (args[0] === "api" && args.includes(".commit.sha")) console.log("d".repeat(40));
const looks = fs.readFileSync(${JSON.stringify(join(root, "calls"))}, "utf8").split('["run","list"').length - 1;
const run = { status: looks > 1 ? "completed" : "in_progress", conclusion: ${JSON.stringify(conclusion)}, url: "https://x" };
if (args[0] === "run") console.log(JSON.stringify([run]));
`;
  await writeFile(file, program);
  await chmod(file, 0o755);
}

const readCalls = async (): Promise<Call[]> => {
  const text = await readFile(join(root, "calls"), "utf8").catch(() => "");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
};

const image = (name: string): BuiltImage => {
  const created = new Date(0);
  return assembleImage({ architecture: "amd64", created, config: { Labels: { name } }, history: name }, []);
};

async function run(change: Partial<LiveInputs> = {}, isDry = false): Promise<number> {
  const env = { PATH: root, HOME: root };
  const ports = silentPorts();
  const say = (line: string): void => void said.push(line);
  const github = await openGithub({ env, say, isDry, pollMs: 10 });
  const tokens = { token: "the-token", pullToken: "the-pull-token" };
  const given = { owner: "Acme", commit: "c".repeat(40), goldenpath: "goldenpath-ci/goldenpath", ...tokens };
  const places = { directory: join(root, "kept"), temporary: join(root, "temporary"), registry: server.host };
  return runLive(
    { ...given, ...places, clean: false, ...change },
    {
      ...{ github, ports, say, env },
      buildImages: async () => ({ golden: image("golden"), other: image("other"), buildpack: image("buildpack") }),
      createClient: (environment) => {
        const folder = environment["DOCKER_CONFIG"] ?? expect.unreachable("no DOCKER_CONFIG");
        const modes = [folder, join(folder, "config.json")].map((each) => statSync(each).mode & 0o777);
        login = { folder, modes };
        return createRegistryClient({ ports, env: environment, attempts: 1 });
      },
    },
  );
}
const fileOf = (calls: readonly Call[], path: string): string => {
  const call = calls.find(({ args }) => args[3]?.endsWith(path) === true) ?? expect.unreachable(path);
  return Buffer.from(JSON.parse(call.input).content, "base64").toString();
};

test.each<[string, Partial<LiveInputs>]>([
  ["an owner that is none", { owner: "acme/x" }],
  ["a commit that is short", { commit: "cccccccc" }],
  ["no token", { token: "" }],
  ["no token that only reads", { pullToken: "" }],
  ["the token that writes as the one that only reads", { pullToken: "the-token" }],
])("nothing is asked for with %s", async (_what, change) => {
  await writeGh("success");
  await expect(run(change)).rejects.toMatchObject({ code: "arguments-invalid" });
  expect((await readCalls()).map(({ args }) => args)).toEqual([["auth", "status"]]);
});

test("a run that is dry says what it would do, needs neither gh nor a token, and writes nothing", async () => {
  expect(await run({ token: "", pullToken: "" }, true)).toBe(0);
  expect(said.filter((line) => line.includes("gh repo create"))).toHaveLength(2);
  expect(said.join("\n")).toContain("gh secret set VETTED_PASSWORD");
  expect(await readCalls()).toEqual([]);
  expect(server.requests).toEqual([]);
  expect(await readdir(root, { recursive: true })).toEqual(["kept", "temporary"]);
});

test("a run that fails ends so, and both repositories are deleted where that was asked for", async () => {
  await writeGh("failure");
  expect(await run({ clean: true })).toBe(1);
  const deleted = (await readCalls()).filter(({ args }) => args[1] === "delete").map(({ args }) => args[2]);
  expect(deleted).toEqual([expect.stringMatching(/-platform$/), expect.stringMatching(/-application$/)]);
});

test("a run that passed is held to the policy from here: what it left without evidence is no pass", async () => {
  await writeGh("success");
  await expect(run()).rejects.toMatchObject({ code: "registry-error" });
  const calls = await readCalls();
  const place =
    /bases:[\s\S]*?image: (\S+)\/platform\/base/.exec(await readFile(join(root, "kept/policy.yaml"), "utf8"))?.[1] ??
    "";
  const policy = parsePolicy(await readFile(join(root, "kept/policy.yaml")), "policy.yaml");
  expect(policy.signers["scan"]).toMatchObject({
    kind: "keyless",
    workflow: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-scan.yml",
    at: ["c".repeat(40)],
    ownerId: "4321",
  });
  const wrapper = parse(fileOf(calls, "-platform/contents/.github/workflows/golden-path.yml")).jobs.path;
  expect(wrapper.uses).toBe(`goldenpath-ci/goldenpath/.github/workflows/golden-path.yml@${"c".repeat(40)}`);
  expect(wrapper.with).toMatchObject({
    policy: `oci://${place}/vetted/goldenpath-policy:in-force`,
    "policy-signer": await readFile(join(root, "kept/keys/policy.pub"), "utf8"),
    vetted: `${place}/vetted/\${{ github.event.repository.name }}`,
    "vetted-registry": server.host,
  });
  const caller = fileOf(calls, "-application/contents/.github/workflows/golden-path.yml");
  expect(parse(caller).jobs["golden-path"].uses).toMatch(/^Acme\/goldenpath-live-\w+-platform\/.*@d{40}$/);
  // No token is in an argument, and vetted's login is in the environment of the job that promotes. The one of the job
  // that builds is the one that only reads.
  expect(JSON.stringify(calls.map(({ args }) => args))).not.toMatch(/the-(pull-)?token/);
  const secrets = calls
    .filter(({ args }) => args[2]?.endsWith("_PASSWORD"))
    .map(({ args, input }) => [args[2], args.at(-1), input]);
  expect(secrets).toEqual([
    ["PULL_PASSWORD", expect.stringMatching(/-application$/), "the-pull-token"],
    ["QUARANTINE_PASSWORD", expect.stringMatching(/-application$/), "the-token"],
    ["VETTED_PASSWORD", "goldenpath-promote", "the-token"],
  ]);
  // The caller comes last, since it starts the run.
  const puts = calls.filter(({ args }) => args[2] === "PUT").map(({ args }) => args[3]);
  expect(puts.at(-1)).toMatch(/-application\/contents\/\.github\/workflows\/golden-path\.yml$/);
});

test.each([
  ["success", (ended: Promise<number>) => expect(ended).rejects.toMatchObject({ code: "registry-error" })],
  ["failure", (ended: Promise<number>) => expect(ended).resolves.toBe(1)],
])("the registry's login is the owner's to read alone, and gone after a run that ended in %s", async (how, judge) => {
  await writeGh(how);
  await judge(run());
  const { folder, modes } = login ?? expect.unreachable("no client was made");
  expect(folder.startsWith(join(root, "temporary"))).toBe(true);
  expect(modes).toEqual([0o700, 0o600]);
  expect(await readdir(join(root, "temporary"))).toEqual([]);
  expect(await filesWith(join(root, "kept"), "the-token")).toEqual([]);
});

/** The files below a folder in which a token is, as it is or in a login of docker's. */
async function filesWith(folder: string, token: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  expect(files).not.toEqual([]);
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  const texts = await Promise.all(paths.map((path) => readFile(path, "latin1")));
  const forms = [token, Buffer.from(`Acme:${token}`).toString("base64")];
  return paths.filter((_path, index) => forms.some((form) => texts[index]?.includes(form)));
}

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "the login is gone after %s, which ends the run as ever",
  async (signal) => {
    const module = join(import.meta.dirname, "../../examples/live/login.ts");
    const program = `import { withLogin } from ${JSON.stringify(module)};
const given = { owner: "Acme", token: "the-token", registry: "r.example", temporary: ${JSON.stringify(root)} };
await withLogin(given, async (folder) => {
  console.log(folder);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});`;
    const args = ["--conditions=goldenpath-source", "--input-type=module", "--eval", program];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [line] = (await Promise.race([once(child.stdout, "data"), once(child, "exit")])) as [unknown];
      const folder = String(line).trim();
      expect(existsSync(join(folder, "config.json"))).toBe(true);
      const exit = once(child, "exit");
      child.kill(signal);
      expect(await exit).toEqual([null, signal]);
      expect(existsSync(folder)).toBe(false);
    } finally {
      child.kill("SIGKILL");
    }
  },
);
