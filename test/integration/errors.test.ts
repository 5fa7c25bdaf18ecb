import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatStageResult, parseStageResult, type StageResult } from "@goldenpath/core/result";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { pushImage, type TestImage } from "@goldenpath/testing/chain";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../support/servers.ts";

// What goes wrong, as somebody at a command line sees it: in a process of its own, by its exit code and by what it
// prints.
const root = fileURLToPath(new URL("../../", import.meta.url));

let stand: Stand;
let image: TestImage;
/** Of an image of which nothing is signed. */
let bare: TestImage;
let everything: Awaited<ReturnType<Stand["quarantine"]["snapshot"]>>;
beforeAll(async () => {
  stand = await openStand();
  image = await stand.stageImage();
  bare = await pushImage(stand.client, `${stand.from}/shop`, "bare");
  everything = await stand.quarantine.snapshot();
});
afterAll(() => stand.close());

interface Run {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line in an empty folder, with nothing of this process's environment that would make it another. */
async function goldenpath(...args: string[]): Promise<Run> {
  const cwd = await mkdtemp(join(stand.directory, "run-"));
  return runProcess(
    join(root, "node_modules/.bin/node"),
    ["--conditions=goldenpath-source", join(root, "packages/cli/bin/goldenpath.mjs"), ...args],
    { cwd, env: { PATH: process.env["PATH"], HOME: cwd, DOCKER_CONFIG: cwd, TMPDIR: cwd }, timeoutMs: 120_000 },
  );
}

interface Printed {
  verdict: string;
  resultFile: string;
  outputs: Record<string, string>;
  result: StageResult;
}

/** What `--json` printed: all of standard output, and the same as in the result file. */
async function printed(run: Run): Promise<Printed> {
  const json: Printed = JSON.parse(run.stdout);
  expect(json.verdict).toBe(json.result.verdict);
  expect(parseStageResult(await readFile(json.resultFile, "utf8"), json.resultFile)).toEqual(
    parseStageResult(JSON.stringify(json.result), "x"),
  );
  return json;
}

/**
 * An error as it has to be: its code, exit code 2, verdict `error` everywhere; and in no registry has anything changed.
 */
async function expectError(args: readonly string[], code: string): Promise<NonNullable<StageResult["error"]>> {
  const run = await goldenpath(...args, "--json");
  const { verdict, outputs, result } = await printed(run);
  expect({ verdict, code: result.error?.code, exitCode: run.exitCode }).toEqual({
    verdict: "error",
    code,
    exitCode: 2,
  });
  expect(result.violations).toEqual([]);
  expect(outputs).toEqual({});
  expect(await stand.quarantine.snapshot()).toEqual(everything);
  return result.error ?? expect.unreachable();
}

/** Each verb with everything that it asks for, over one image and under one policy. */
function commands(facts: { image: string; policy: string }): Record<string, string[]> {
  const { keys, to } = stand;
  const common = ["--image", facts.image, "--policy", facts.policy];
  const signer = ["--policy-signer", keys.platform.publicKeyFile];
  return {
    enforce: ["enforce", ...common],
    scan: ["scan", ...common],
    attest: ["attest", ...common, "--key", keys.build.file],
    verify: ["verify", ...common, "--environment", "production"],
    promote: [
      "promote",
      ...common,
      ...signer,
      "--environment",
      "production",
      "--to",
      `${to}/shop`,
      "--tags",
      "1.0.0",
      "--key",
      keys.promote.file,
    ],
    report: ["report", ...common],
  };
}
const verbs = ["enforce", "scan", "attest", "verify", "promote", "report"] as const;
const command = (verb: string, facts: Partial<{ image: string; policy: string }> = {}): string[] =>
  commands({ image: image.reference, policy: stand.policy.file, ...facts })[verb] ?? expect.unreachable(verb);

describe("a policy with a mistake in it", () => {
  async function policyWith(wrong: string, right: string): Promise<string> {
    const text = await readFile(stand.policy.file, "utf8");
    expect(text).toContain(right);
    const file = join(await mkdtemp(join(stand.directory, "policy-")), "mistaken.yaml");
    await writeFile(file, text.replace(right, wrong));
    return file;
  }

  test.each([...verbs, "build"])("%s says where it is and what was meant", async (verb) => {
    const policy = await policyWith("failsOn: high", "failOn: high");
    const args =
      verb === "build" ? ["build", "--policy", policy, "--tags", `${stand.from}/shop:1`] : command(verb, { policy });
    const { message, wayOut } = await expectError(args, "policy-invalid");
    const line = (await readFile(policy, "utf8")).split("\n").findIndex((text) => text.includes("failsOn")) + 1;
    expect(message).toContain(`mistaken.yaml:${line}:3: scan.failsOn: unknown key; did you mean \`failOn\`?`);
    expect(message).toContain(`${line} |   failsOn: high`);
    expect(wayOut).toContain("docs/policy.md");
  });

  test("a value that is not one", async () => {
    const { message } = await expectError(
      command("promote", { policy: await policyWith("stage: scam", "stage: scan") }),
      "policy-invalid",
    );
    expect(message).toMatch(
      /mistaken\.yaml:\d+:\d+: environments\.production\.requires\[2\]\.stage: .*did you mean `scan`\?/,
    );
  });

  test("no file at all", async () => {
    const { message } = await expectError(command("promote", { policy: "nowhere.yaml" }), "policy-not-found");
    expect(message).toContain("nowhere.yaml");
  });

  test("a tag in the place of a digest", async () => {
    await expectError(command("promote", { policy: `oci://${stand.from}/policy:latest` }), "policy-not-pinned");
  });
});

describe("an image that does not exist", () => {
  test.each(verbs)("%s names it", async (verb) => {
    const missing = `${stand.from}/shop@sha256:${"0".repeat(64)}`;
    const { message, wayOut } = await expectError(command(verb, { image: missing }), "image-not-found");
    expect(message).toBe(`image ${missing} does not exist`);
    expect(wayOut).toContain(`docker login ${stand.quarantine.host}`);
  });

  test("nor its tag, nor its repository", async () => {
    await expectError(command("promote", { image: `${stand.from}/shop:nothing` }), "image-not-found");
    await expectError(command("promote", { image: `${stand.from}/nothing:at-all` }), "image-not-found");
  });
});

describe("a registry that is down", () => {
  // Each tries again for some seconds, so they do it side by side.
  test("each verb says which one, and how often it tried", async () => {
    const host = `localhost:${await freePort()}`;
    const policy = `oci://${host}/policy@sha256:${"1".repeat(64)}`;
    await Promise.all([
      ...verbs.map(async (verb) => {
        const { message } = await expectError(
          command(verb, { image: `${host}/quarantine/shop:1` }),
          "registry-unreachable",
        );
        expect(message).toContain(`registry ${host} cannot be reached`);
        expect(message).toContain("ECONNREFUSED");
        expect(message).toMatch(/tried 5 times/);
      }),
      expectError(command("verify", { policy }), "registry-unreachable"),
    ]);
  });

  test("the vetted one: nothing is signed for what could not be written", async () => {
    const host = `localhost:${await freePort()}`;
    const text = await readFile(stand.policy.file, "utf8");
    const policy = join(await mkdtemp(join(stand.directory, "policy-")), "policy.yaml");
    await writeFile(
      policy,
      text
        .replace(`to: ["${stand.to}"]`, `to: ["${host}/vetted"]`)
        .replace("serial: 5", `serial: 6\naccepts: [{ serial: 5, digest: "${digestOf(text)}" }]`),
    );
    const args = command("promote", { policy }).map((argument) =>
      argument === `${stand.to}/shop` ? `${host}/vetted/shop` : argument,
    );
    const { message } = await expectError(args, "registry-unreachable");
    expect(message).toContain(host);
  });

  test("one that answers, and only with its own errors", async () => {
    stand.quarantine.faults = [
      { path: "/v2/quarantine/shop/", action: { kind: "status", status: 503, headers: { "Retry-After": "0" } } },
    ];
    try {
      const run = await goldenpath(...command("promote"), "--json");
      const { result } = await printed(run);
      expect({ code: result.error?.code, exitCode: run.exitCode }).toEqual({ code: "registry-error", exitCode: 2 });
      expect(result.error?.message).toContain("503");
    } finally {
      stand.quarantine.faults = [];
    }
  });
});

describe("a result file that cannot be signed", () => {
  const result = (): StageResult => ({
    schemaVersion: "1.0",
    stage: "scan",
    verdict: "pass",
    subject: {
      repository: `${stand.from}/shop`,
      digest: image.digest,
      mediaType: image.image.mediaType,
      children: [
        {
          platform: { os: "linux", architecture: "amd64" },
          digest: image.digest,
          mediaType: image.image.mediaType,
          verdict: "pass",
        },
      ],
    },
    violations: [],
    predicateType: predicateTypes.vulnerabilities,
    predicate: { scanner: { uri: "pkg:test/scanner", version: "1", result: { matches: [] } } },
    policy: { uri: stand.policy.uri, digest: stand.policy.digest, serial: 5 },
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: new Date(Date.now() - 5000).toISOString(),
    finishedAt: new Date(Date.now() - 1000).toISOString(),
  });
  async function write(text: string): Promise<string[]> {
    const file = join(await mkdtemp(join(stand.directory, "result-")), "scan.json");
    await writeFile(file, text);
    return [
      "--image",
      image.reference,
      "--policy",
      stand.policy.file,
      "--results",
      file,
      "--key",
      stand.keys.scan.file,
    ];
  }

  test.each<[string, (text: string) => string, string, RegExp]>([
    ["cut in half", (text) => text.slice(0, text.length / 2), "result-invalid", /ends in the middle/],
    ["empty", () => "", "result-invalid", /it is empty/],
    [
      "of a later major version",
      (text) => text.replace('"schemaVersion": "1.0"', '"schemaVersion": "2.0"'),
      "result-version",
      /2\.0/,
    ],
    [
      "that contradicts itself",
      (text) => text.replace('"verdict": "pass"', '"verdict": "fail"'),
      "result-invalid",
      /no violation says why/,
    ],
    ["about another image", (text) => text.replaceAll(image.digest, bare.digest), "result-not-signable", /it is about/],
    [
      "made under another policy",
      (text) => text.replace('"serial": 5', '"serial": 4'),
      "result-not-signable",
      /serial 4/,
    ],
  ])("%s", async (_what, change, code, message) => {
    const text = formatStageResult(result());
    expect(change(text)).not.toBe(text);
    expect((await expectError(["sign", ...(await write(change(text)))], code)).message).toMatch(message);
  });

  test("of a stage that ended in an error", async () => {
    const errored = { ...result(), verdict: "error" as const, error: { code: "x", message: "the scanner broke" } };
    expect(
      (await expectError(["sign", ...(await write(formatStageResult(errored)))], "result-not-signable")).message,
    ).toContain("the scanner broke");
  });

  test("report does not show half a result either", async () => {
    const [, , , , , file = ""] = await write(formatStageResult(result()).slice(0, 400));
    await expectError(["report", "--policy", stand.policy.file, "--results", file], "result-invalid");
    await expectError(["report", "--policy", stand.policy.file, "--results", "nowhere.json"], "result-missing");
  });

  test("whole, it is signed", async () => {
    const run = await goldenpath("sign", ...(await write(formatStageResult(result()))), "--json");
    expect(run.exitCode).toBe(0);
    const { outputs } = await printed(run);
    expect(JSON.parse(outputs["attestations"] ?? "")).toHaveLength(2);
    everything = await stand.quarantine.snapshot();
  });
});

describe("the policy's no is not an error", () => {
  test.each(["verify", "promote"])("%s exits 1, with the rules and what to do", async (verb) => {
    const run = await goldenpath(...command(verb, { image: bare.reference }), "--json");
    const { verdict, result } = await printed(run);
    expect({ verdict, exitCode: run.exitCode, error: result.error }).toEqual({
      verdict: "fail",
      exitCode: 1,
      error: undefined,
    });
    expect(result.violations.map(({ rule }) => rule)).toEqual(["gate.missing", "gate.missing", "gate.missing"]);
    expect(await stand.quarantine.snapshot()).toEqual(everything);
  });

  test("for people each violation has its rule and its way out, and no stack", async () => {
    const run = await goldenpath(...command("promote", { image: bare.reference }));
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toMatch(/^promote: fail/);
    expect(run.stdout.match(/→ /g)).toHaveLength(3);
    expect(run.stdout + run.stderr).not.toMatch(/^\s+at /m);
  });

  test("a build that the policy forbids", async () => {
    const run = await goldenpath("build", "--policy", stand.policy.file, "--tags", `${stand.to}/shop:1`, "--json");
    const { verdict, result } = await printed(run);
    expect({ verdict, exitCode: run.exitCode }).toEqual({ verdict: "fail", exitCode: 1 });
    expect(result.violations.map(({ rule }) => rule)).toEqual(["build.quarantine"]);
    expect(await stand.quarantine.snapshot()).toEqual(everything);
  });
});

describe("bad input", () => {
  test("an input that is missing is named", async () => {
    const { message } = await expectError(
      ["promote", "--policy", stand.policy.file, "--image", image.reference],
      "input-invalid",
    );
    for (const name of ["to", "environment"])
      expect(message).toContain(`input '${name}' is required and was not given`);
  });

  test("a value is shown, but never a key's", async () => {
    const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    const args = command("promote").slice(0, -2);
    const run = await goldenpath(
      ...args,
      `--key=-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`,
      "--json",
    );
    expect(run.exitCode).toBe(2);
    expect((await printed(run)).result.error?.code).toBe("key-invalid");
    expect(run.stdout + run.stderr).not.toContain(secret);
  });

  test("an option that no verb has", async () => {
    const run = await goldenpath(...command("promote"), "--force");
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain("--force");
    expect(await stand.quarantine.snapshot()).toEqual(everything);
  });
});

test("at the end, everything being as it should be, it is promoted, and exits 0", async () => {
  const run = await goldenpath(...command("promote"), "--json");
  expect(run.exitCode).toBe(0);
  const { verdict, outputs } = await printed(run);
  expect(verdict).toBe("pass");
  expect(outputs["image"]).toBe(`${stand.to}/shop@${image.digest}`);
  expect((await stand.vettedState())["vetted/shop"]?.tags["1.0.0"]).toBe(image.digest);
});
