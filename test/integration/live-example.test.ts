import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
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
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-live-"));
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
  const given = { owner: "Acme", commit: "c".repeat(40), goldenpath: "goldenpath-ci/goldenpath", token: "the-token" };
  return runLive(
    { ...given, clean: false, directory: root, registry: server.host, ...change },
    {
      ...{ github, ports, say, env },
      buildImages: async () => ({ golden: image("golden"), other: image("other"), buildpack: image("buildpack") }),
      createClient: (environment) => createRegistryClient({ ports, env: environment, attempts: 1 }),
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
])("nothing is asked for with %s", async (_what, change) => {
  await writeGh("success");
  await expect(run(change)).rejects.toMatchObject({ code: "arguments-invalid" });
  expect((await readCalls()).map(({ args }) => args)).toEqual([["auth", "status"]]);
});

test("a run that is dry says what it would do, needs neither gh nor a token, and writes nothing", async () => {
  expect(await run({ token: "" }, true)).toBe(0);
  expect(said.filter((line) => line.includes("gh repo create"))).toHaveLength(2);
  expect(said.join("\n")).toContain("gh secret set VETTED_PASSWORD");
  expect(await readCalls()).toEqual([]);
  expect(server.requests).toEqual([]);
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
    /bases:[\s\S]*?image: (\S+)\/platform\/base/.exec(await readFile(join(root, "policy.yaml"), "utf8"))?.[1] ?? "";
  const policy = parsePolicy(await readFile(join(root, "policy.yaml")), "policy.yaml");
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
    "policy-signer": await readFile(join(root, "keys/policy.pub"), "utf8"),
    vetted: `${place}/vetted/\${{ github.event.repository.name }}`,
    "vetted-registry": server.host,
  });
  const caller = fileOf(calls, "-application/contents/.github/workflows/golden-path.yml");
  expect(parse(caller).jobs["golden-path"].uses).toMatch(/^Acme\/goldenpath-live-\w+-platform\/.*@d{40}$/);
  // The token is in no argument, and vetted's login is in the environment of the job that promotes.
  expect(JSON.stringify(calls.map(({ args }) => args))).not.toContain("the-token");
  const secrets = calls.filter(({ args }) => args[0] === "secret").map(({ args }) => [args[2], args.at(-1)]);
  expect(secrets).toContainEqual(["VETTED_PASSWORD", "goldenpath-promote"]);
  expect(secrets).toContainEqual(["QUARANTINE_PASSWORD", expect.stringMatching(/-application$/)]);
  // The caller comes last, since it starts the run.
  const puts = calls.filter(({ args }) => args[2] === "PUT").map(({ args }) => args[3]);
  expect(puts.at(-1)).toMatch(/-application\/contents\/\.github\/workflows\/golden-path\.yml$/);
});
