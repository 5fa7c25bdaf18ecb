import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const program = ["--conditions=goldenpath-source", join(root, "packages/cli/bin/goldenpath.mjs")];

let stand: Stand;
let directory: string;
beforeEach(async () => {
  stand = await openStand();
  directory = await mkdtemp(join(tmpdir(), "goldenpath-pipes-"));
});
afterEach(async () => {
  await stand.close();
  await rm(directory, { recursive: true, force: true });
});

const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env["PATH"], HOME: directory });

/**
 * Runs a line of shell in which `"$@"` is the command line, whose exit code is the answer, and not that of what reads
 * from it.
 */
async function runInShell(line: string, args: readonly string[]): Promise<number> {
  const status = join(directory, "status");
  const script = line.replace(/"\$@"(?: --\w+)?/, (command) => `{ ${command}; echo $? > ${status}; }`);
  const shell = spawn("sh", ["-c", script, "sh", process.execPath, ...program, ...args], {
    cwd: directory,
    env: environment(),
    stdio: "ignore",
  });
  await once(shell, "close");
  return Number(await readFile(status, "utf8"));
}

/** Starts the command line and closes the ends of its pipes before it has written anything. */
async function runUnread(args: readonly string[]): Promise<number | null> {
  const child = spawn(process.execPath, [...program, ...args], {
    cwd: directory,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  child.stderr.destroy();
  const [code] = await once(child, "exit");
  return code as number | null;
}

const inputs = (image: string): string[] => [
  "--image",
  image,
  "--environment",
  "production",
  "--policy",
  stand.policy.file,
];
const promotion = (image: string): string[] => [
  "promote",
  ...inputs(image),
  "--to",
  `${stand.to}/shop`,
  "--tags",
  "1.0.0",
  "--key",
  stand.keys.promote.file,
  `--policy-signer=${stand.keys.platform.publicKey}`,
];

/** The first line, nothing, standard error alone, more of it, and one long text. */
const readers = [
  '"$@" | head -1',
  '"$@" 2>&1 | head -1',
  '"$@" 2>&1 | true',
  '"$@" 2>&1 >/dev/null | true',
  '"$@" --verbose 2>&1 | head -1',
  '"$@" --json | head -1',
];

describe("a reader who goes", () => {
  test.each(readers)("leaves verify its verdict: %s", async (line) => {
    const image = await stand.stageImage();
    expect(await runInShell(line, ["verify", ...inputs(image.reference)])).toBe(0);
    const bare = await stand.stageImage({ scanVerdict: false }, "another");
    expect(await runInShell(line, ["verify", ...inputs(bare.reference)])).toBe(1);
  });

  test.each(readers)("leaves promote its work: %s", async (line) => {
    const image = await stand.stageImage();
    expect(await runInShell(line, promotion(image.reference))).toBe(0);
    expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
  });

  test("before the first line leaves promote its work as well", async () => {
    const image = await stand.stageImage();
    expect(await runUnread(promotion(image.reference))).toBe(0);
    expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
  });

  test("turns no refusal into another code", async () => {
    const image = await stand.stageImage({ scanVerdict: false });
    expect(await runUnread(["verify", ...inputs(image.reference)])).toBe(1);
    expect(await runUnread(["help"])).toBe(0);
    expect(await runUnread(["verifi"])).toBe(2);
  });
});

describe("a runner that no longer reads the log", () => {
  test("gets the outputs of a promotion that was done", async () => {
    const image = await stand.stageImage();
    const output = join(directory, "output");
    await writeFile(output, "");
    const action = spawn(
      process.execPath,
      ["--conditions=goldenpath-source", join(root, "actions/promote/src/index.ts")],
      {
        cwd: directory,
        env: {
          ...environment(),
          ...{
            RUNNER_TEMP: directory,
            GITHUB_WORKSPACE: directory,
            GITHUB_OUTPUT: output,
            INPUT_IMAGE: image.reference,
          },
          ...{ INPUT_POLICY: stand.policy.file, INPUT_ENVIRONMENT: "production", INPUT_TO: `${stand.to}/shop` },
          ...{
            INPUT_TAGS: "1.0.0",
            INPUT_KEY: stand.keys.promote.file,
            "INPUT_POLICY-SIGNER": stand.keys.platform.publicKey,
          },
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    action.stdout.destroy();
    action.stderr.destroy();
    expect(await once(action, "exit")).toEqual([0, null]);
    expect(await readFile(output, "utf8")).toMatch(/^verdict<<(\S+)\npass\n\1$/m);
    expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
  });
});

describe("output that is lost otherwise", () => {
  test("is an error where the verdict was a pass", async () => {
    const image = await stand.stageImage();
    expect(await runInShell('"$@" --json > /dev/full', ["verify", ...inputs(image.reference)])).toBe(2);
    await writeFile(join(directory, "out"), "");
    expect(await runInShell('"$@" --json > out', ["verify", ...inputs(image.reference)])).toBe(0);
    expect(JSON.parse(await readFile(join(directory, "out"), "utf8"))).toMatchObject({ verdict: "pass" });
  });
});
