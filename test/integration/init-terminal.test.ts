import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireCommand } from "../support/tools.ts";

// A person at a terminal: util-linux's `script` makes one.

const root = join(import.meta.dirname, "../..");
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-init-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Answers each question as it comes: the first of the conversation whose words it has. */
async function converse(args: string, conversation: readonly (readonly [asked: string, answer: string])[]) {
  const program = `${process.execPath} --conditions=goldenpath-source ${join(root, "packages/cli/bin/goldenpath.mjs")}`;
  const child = spawn(await requireCommand("script"), ["-qec", `${program} init ${args}`, "/dev/null"], {
    cwd: folder,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const left = [...conversation];
  let said = "";
  let answeredTo = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    const [next] = left;
    const at = next === undefined ? -1 : said.indexOf(next[0], answeredTo);
    if (next === undefined || at < 0 || !said.slice(at).includes(": ")) return;
    answeredTo = at + next[0].length;
    left.shift();
    child.stdin.write(`${next[1]}\r`);
  });
  const [code] = (await once(child, "close")) as [number];
  return { code, said, unasked: left.map(([asked]) => asked) };
}

const questions = [
  ["The server", ""],
  ["The organisation", "acme--"],
  ["The organisation", ""],
  ["The organisation", "acme"],
  ["Where builds are pushed to", "ghcr.io/acme"],
  ["Where only promoted images are", "ghcr.io/acme/vetted"],
  ["Where only promoted images are", "registry.acme.example/vetted"],
  ["Where golden bases that are made here are kept", ""],
  ["What applications are written in", "nodej"],
  ["What applications are written in", "nodejs java"],
  ["The environments", ""],
  ["How stages sign", "maybe"],
  ["How stages sign", ""],
  ["The runners' label", ""],
  ["The label of the runners that build", ""],
  ["Who reviews a change", "@acme/platform"],
  ["The name of the platform repository", ""],
] as const;

test("what can't be is asked again at once, with the reason, and what was answered stays", async () => {
  const { code, said, unasked } = await converse("platform --offline", questions);
  expect({ code, unasked }).toEqual({ code: 0, unasked: [] });
  for (const reason of [
    "--organisation is 'acme--': expected a GitHub login",
    "it has to be answered",
    "the one is in the other",
    "--languages is 'nodej': expected one of the languages, such as 'nodejs'",
    "--signing is 'maybe': expected keyless or keys",
  ])
    expect(said).toContain(reason);
  expect(said).toContain("written to platform");
  expect(await readdir(join(folder, "platform"))).toContain("policy.yaml");
}, 60_000);

test("an option that can't be is an error before anything is asked", async () => {
  const { code, said } = await converse("other --offline --signing=maybe", []);
  expect(code).toBe(2);
  expect(said).toContain("--signing is 'maybe': expected keyless or keys");
  expect(said).not.toContain("The server, ");
  await expect(readdir(join(folder, "other"))).rejects.toMatchObject({ code: "ENOENT" });
}, 60_000);
