import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain as run } from "../../../test/support/cli.ts";
import { parseVerbArguments, verbLoaders } from "./commands/verbs.ts";
import { createTerminalPorts } from "./ports.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-cli-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const policyTemplate = join(import.meta.dirname, "../../../examples/golden-platform/policy.yaml");

describe("what is wrong exits 2 and says what is allowed", () => {
  test.each([
    [["deploy"], "'deploy' is not a command\n  → goldenpath help lists the commands."],
    [["detect-and-build"], "'detect-and-build' is the action's name; the command is 'build'."],
    [["enforce-golden-base", "--help"], "the command is 'enforce'."],
    [["promot"], "Did you mean 'promote'?"],
    [["enforce-golden-bse"], "Did you mean 'enforce'?"],
    [["polcy", "check"], "Did you mean 'policy'?"],
    [["constructor"], "'constructor' is not a command"],
    [["help", "deploy"], "'deploy' is not a command"],
    [["tools", "--imagine"], "See goldenpath tools --help."],
    [["policy", "check", policyTemplate, "--previous", "/nowhere/policy.yaml"], "/nowhere/policy.yaml cannot be read"],
    [
      ["policy", "publish", policyTemplate, "localhost:1/policy", "--previous", policyTemplate],
      "--previous is an option of policy check",
    ],
    [["policy"], "expected check FILE"],
    [["policy", "check", "/nowhere/policy.yaml"], "cannot be read"],
    [["policy", "publish", policyTemplate], "expected FILE HOST/NAME"],
    [["keys", "old"], "expected new DIR"],
    [["tools", "install"], "expected list, prefetch or publish"],
    [["tools", "list", "vim"], "vim"],
    [["registry", "serve", "--port", "high"], "expected a whole number"],
    [["registry", "stop"], "expected serve"],
    [["scan", "--imagine", "x"], "goldenpath scan: Unknown option '--imagine'"],
    [["registry", "serve", "--verbose-ish"], "Unknown option"],
  ])("goldenpath %j", async (args, message) => {
    const { code, err } = await run(...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test("a policy with a typo, with its line and column", async () => {
    const file = join(directory, "policy.yaml");
    await writeFile(file, (await readFile(policyTemplate, "utf8")).replace("failOn:", "failsOn:"));
    const { code, err } = await run("policy", "check", file);
    expect(code).toBe(2);
    expect(err).toMatch(/policy\.yaml:\d+:\d+: scan\.failsOn/);
    expect(err).toContain("did you mean");
  });
});

test("help names every command, and each verb's help its action's inputs", async () => {
  const help = await run("help");
  expect(help.code).toBe(0);
  for (const command of [...Object.keys(verbLoaders), "policy check", "keys new", "tools", "registry serve"])
    expect(help.out).toContain(`goldenpath ${command}`);
  expect(help.out).toContain("--log");
  const scan = await run("scan", "--help");
  expect(scan.code).toBe(0);
  for (const option of [
    "--policy",
    "--image (required)",
    "--mode (default: enforce)",
    "--json",
    "--verbose",
    "--quiet",
  ])
    expect(scan.out).toContain(option);
  expect(scan.out).toContain("--result-dir (default: ./goldenpath-results)");
  expect((await run("attest", "--help")).out).toMatch(/--key-passphrase\n/);
});

describe("--help and -h are help on any command, whatever else is there, and do nothing", () => {
  test.each([
    [["-h"], "goldenpath takes a commit"],
    [["scan", "-h"], "goldenpath scan: "],
    [["help", "scan"], "goldenpath scan: "],
    [["promote", "--dry-run", "-h"], "goldenpath promote: "],
    [["keys", "--help"], "goldenpath keys: "],
    [["tools", "list", "--help"], "goldenpath tools: "],
    [["registry", "serve", "-h"], "--log"],
    [["policy", "check", "--help"], "--previous FILE"],
  ])("%j", async (args, message) => {
    const { code, out, err } = await run(...args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain(message);
  });

  test("keys new --help makes no keys", async () => {
    const keys = join(directory, "keys");
    expect((await run("keys", "new", keys, "--help")).code).toBe(0);
    await expect(stat(keys)).rejects.toThrow("ENOENT");
  });
});

test("an unknown command is answered with its own error alone", async () => {
  const { out, err } = await run("deploy");
  expect(out).toBe("");
  expect(err.trim().split("\n")).toHaveLength(2);
});

test("--version is the root package's", async () => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, "../../../package.json"), "utf8"));
  expect(await run("--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
});

describe("policy check --previous", () => {
  async function writePolicy(name: string, change: (text: string) => string): Promise<string> {
    const file = join(directory, name);
    await writeFile(file, change(await readFile(policyTemplate, "utf8")));
    return file;
  }

  test("other content under the same serial is refused, and under a lower one", async () => {
    const same = await writePolicy("same.yaml", (text) => `${text}\n# changed\n`);
    const refused = await run("policy", "check", same, "--previous", policyTemplate);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toContain("Set serial to 2 or more.");
    const higher = await writePolicy("higher.yaml", (text) => text.replace(/^serial: 1$/m, "serial: 2"));
    expect((await run("policy", "check", policyTemplate, "--previous", higher)).err).toContain(
      "Set serial to 3 or more.",
    );
  });

  test("another policy's name is refused", async () => {
    const other = await writePolicy("other.yaml", (text) =>
      text.replace(/^name: .*$/m, "name: other").replace(/^serial: 1$/m, "serial: 2"),
    );
    expect((await run("policy", "check", other, "--previous", policyTemplate)).err).toContain("is 'other'");
  });

  test("the same policy is good, and one with a higher serial", async () => {
    const higher = await writePolicy("higher.yaml", (text) => text.replace(/^serial: 1$/m, "serial: 2"));
    expect(await run("policy", "check", policyTemplate, "--previous", policyTemplate)).toMatchObject({
      code: 0,
      err: "",
    });
    expect((await run("policy", "check", higher, "--previous", policyTemplate)).out).toContain("serial 2");
  });

  test("a good policy that allows much has it noted", async () => {
    const weak = await writePolicy("weak.yaml", (text) => text.replaceAll(/^ *maxAge: .*\n/gm, ""));
    const checked = await run("policy", "check", weak);
    expect(checked.code).toBe(0);
    expect(checked.out).toContain("note: environments.production.requires[0]: build has no maxAge");
  });

  test("what is written by an old name is read, and noted at its line", async () => {
    const old = await writePolicy("old.yaml", (text) => text.replace("  isolation:", "  environments:"));
    const checked = await run("policy", "check", old);
    expect(checked.code).toBe(0);
    const said = "build.environments: is called `isolation` now";
    expect(checked.out).toMatch(new RegExp(`^note: ${old}:\\d+:3: ${said}$`, "m"));
    expect((await run("policy", "check", policyTemplate)).out).not.toContain("is called");
  });
});

test("the example's policy is good, and its schema is the published one", async () => {
  const checked = await run("policy", "check", policyTemplate);
  expect(checked).toMatchObject({ code: 0, err: "" });
  expect(checked.out).toContain("serial 1");
  const schema = await run("policy", "schema");
  expect(JSON.parse(schema.out)).toEqual(
    JSON.parse(await readFile(join(import.meta.dirname, "../../../schemas/policy.v1.json"), "utf8")),
  );
});

test("keys are made for each stage, readable by their owner alone, and never overwritten", async () => {
  const keys = join(directory, "keys");
  expect((await run("keys", "new", keys)).code).toBe(0);
  const before = await readFile(join(keys, "scan.key"), "utf8");
  expect((await stat(join(keys, "scan.key"))).mode & 0o077).toBe(0);
  expect(await readFile(join(keys, "scan.pub"), "utf8")).toContain("BEGIN PUBLIC KEY");
  const again = await run("keys", "new", keys);
  expect(again.code).toBe(2);
  expect(again.err).toContain("exists already");
  expect(await readFile(join(keys, "scan.key"), "utf8")).toBe(before);
  expect((await run("keys", "new", keys, "../out")).code).toBe(2);
});

describe("parseVerbArguments", () => {
  test("an option that is given twice is two lines; --dry-run alone is a yes", async () => {
    const promote = await verbLoaders["promote"]?.();
    if (promote === undefined) throw new Error("no promote");
    expect(parseVerbArguments(promote, ["--tags", "1.0", "--tags=1", "--dry-run", "--json"])).toEqual({
      raw: { tags: "1.0\n1", "dry-run": "true" },
      json: true,
      open: false,
      verbose: false,
      quiet: false,
    });
    expect(parseVerbArguments(promote, ["--dry-run", "false"]).raw).toEqual({ "dry-run": "false" });
    expect(parseVerbArguments(promote, ["--dry-run=false", "--quiet"])).toMatchObject({
      raw: { "dry-run": "false" },
      quiet: true,
    });
  });
});

describe("what a verb takes without a name", () => {
  const parse = async (command: string, ...args: string[]): Promise<Record<string, string>> =>
    parseVerbArguments((await verbLoaders[command]?.()) ?? expect.unreachable(), args).raw;

  test.each<[string, string[], string]>([
    ["a second one", ["alpine:3.20", "debian:13"], "Unexpected argument 'debian:13'"],
    ["one beside the option", ["alpine:3.20", "--image", "debian:13"], "both say which image"],
  ])("%s is refused", async (_what, args, problem) => {
    await expect(parse("scan", ...args)).rejects.toMatchObject({
      code: "arguments-invalid",
      message: expect.stringContaining(problem),
    });
  });

  test("is the image, and what detect-and-build builds", async () => {
    expect(await parse("scan", "alpine:3.20", "--mode", "audit")).toEqual({ image: "alpine:3.20", mode: "audit" });
    for (const command of ["enforce", "attest", "sign", "verify", "promote", "report"])
      expect(await parse(command, "alpine:3.20"), command).toEqual({ image: "alpine:3.20" });
    expect(await parse("build", "shop", "--tags", "x/y:1")).toEqual({ context: "shop", tags: "x/y:1" });
  });
});

/** What a terminal would have shown. */
function recorder(): { write(text: string): void; text(): string } {
  const written: string[] = [];
  return { write: (text) => void written.push(text), text: () => written.join("") };
}

describe("the terminal's ports", () => {
  test("a masked secret is in no output, progress included", () => {
    const out = recorder();
    const ports = createTerminalPorts({ out });
    ports.mask("hunter2");
    ports.log.info("the key is hunter2");
    ports.log.error("hunter2\nhunter2");
    ports.progress.start("copy hunter2").done("hunter2 done");
    expect(out.text()).not.toContain("hunter2");
    expect(out.text()).toContain("the key is ***");
  });

  test.each([
    ["that begins another", ["hunter", "hunter2"], "hunter2", "2"],
    ["in two colours", ["hunter2"], "hun\u001b[31mter2", "hun"],
    ["that is printed in another way", ["hunter\t2"], "hunter\t2", "hunter"],
  ])("a masked secret %s is in no output", (_what, secrets, printed, part) => {
    const out = recorder();
    const ports = createTerminalPorts({ out });
    for (const secret of secrets) ports.mask(secret);
    ports.log.info(`the key is ${printed}.`);
    expect(out.text()).not.toContain(part);
    expect(out.text()).toBe("the key is ***.\n");
  });

  test("quiet keeps warnings and errors", () => {
    const out = recorder();
    const ports = createTerminalPorts({ out, quiet: true });
    ports.log.info("info");
    ports.progress.start("work").done();
    ports.log.warning("careful");
    expect(out.text()).toBe("warning: careful\n");
  });
});
