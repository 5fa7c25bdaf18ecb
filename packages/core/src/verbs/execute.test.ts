import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InfrastructureError, PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { parseStageResult, type StageResult } from "../result.ts";
import { executeVerb, type Surroundings } from "./execute.ts";
import { commonInputs, requiredText, secretText, secretValues, type Verb, type VerbOutcome } from "./verb.ts";

let directory: string;
let masked: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-execute-"));
  masked = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const inputs = z.object({
  ...commonInputs,
  image: requiredText(),
  key: secretText(),
  "key-passphrase": secretText(),
  secrets: secretValues(),
});
type Run = Verb<typeof inputs>["run"];
const verbOf = (run: Run): Verb => ({ name: "scan", command: "scan", inputs, outputs: ["sbom"], run }) as Verb;

function surroundings(): Surroundings {
  return {
    ports: { ...silentPorts(), mask: (secret) => void masked.push(secret) },
    run: { builderId: "local" },
    workingDirectory: directory,
    temporaryRoot: join(directory, "tmp"),
    defaultResultDirectory: join(directory, "results"),
    env: {},
    signal: new AbortController().signal,
  };
}

const raw = { policy: "policy.yaml", image: "localhost:5000/q/web:1" };
const digest = digestOf("image");
const passed: StageResult = {
  schemaVersion: "1.0",
  stage: "scan",
  verdict: "pass",
  subject: {
    repository: "localhost:5000/q/web",
    digest,
    mediaType: "m",
    children: [{ digest, mediaType: "m", verdict: "pass" }],
  },
  violations: [],
  run: { builderId: "local" },
  tools: [],
  notes: [],
  startedAt: "2026-11-23T10:00:00Z",
  finishedAt: "2026-11-23T10:00:01Z",
};
const outcome = (result: StageResult): VerbOutcome => ({
  verdict: result.verdict,
  result,
  outputs: { sbom: "x" },
  summary: "fine",
});

describe("whatever a verb throws is verdict error, with a result file that says so", () => {
  test.each([
    [
      "a user's error",
      new UserError("no such image", { code: "image-not-found", wayOut: "Push it first." }),
      "image-not-found",
    ],
    [
      "the surroundings' error",
      new InfrastructureError("registry is down", { code: "registry-unreachable" }),
      "registry-unreachable",
    ],
    ["a bug", new TypeError("undefined is not a function"), "unexpected"],
    ["something that is no error", "text", "unexpected"],
  ])("%s", async (_name, thrown, code) => {
    const execution = await executeVerb(
      verbOf(() => Promise.reject(thrown)),
      raw,
      surroundings(),
    );
    expect(execution.outcome).toMatchObject({ verdict: "error", outputs: {} });
    expect(execution.error).toBe(thrown);
    const written = parseStageResult(await readFile(execution.resultFile, "utf8"), execution.resultFile);
    expect(written).toMatchObject({ stage: "scan", verdict: "error", error: { code } });
    expect(execution.outcome.summary).toContain("says nothing about the image");
  });

  test("but the policy's no, which is verdict fail, with its rule and a way out", async () => {
    const thrown = new PolicyViolation("strategy docker is not allowed", {
      code: "build-strategy-not-allowed",
      rule: "build.strategy",
    });
    const execution = await executeVerb(
      verbOf(() => Promise.reject(thrown)),
      raw,
      surroundings(),
    );
    expect(execution.outcome.verdict).toBe("fail");
    const written = parseStageResult(await readFile(execution.resultFile, "utf8"), execution.resultFile);
    expect(written).toMatchObject({
      verdict: "fail",
      violations: [{ rule: "build.strategy", problem: "strategy docker is not allowed" }],
    });
    expect(written.error).toBeUndefined();
    expect(execution.outcome.summary).toContain("build.strategy");
  });

  test("a missing input never reaches the verb", async () => {
    let called = false;
    const verb = verbOf(() => {
      called = true;
      return Promise.reject(new Error("called"));
    });
    const execution = await executeVerb(verb, { policy: "policy.yaml", image: "" }, surroundings());
    expect(called).toBe(false);
    expect(execution.outcome.result.error).toMatchObject({
      code: "input-invalid",
      message: "input 'image' is required and was not given",
    });
  });

  test("a result directory that cannot be made", async () => {
    await writeFile(join(directory, "file"), "");
    const execution = await executeVerb(
      verbOf(async () => outcome(passed)),
      { ...raw, "result-dir": "file/results" },
      surroundings(),
    );
    expect(execution.outcome.result.error?.code).toBe("input-invalid");
    expect(execution.outcome.result.error?.message).toContain("result-dir");
  });
});

test("a result is written under its stage and digest, and the private directory is gone afterwards", async () => {
  let seen = "";
  const verb = verbOf(async (given, context) => {
    seen = context.temporaryDirectory;
    await writeFile(join(seen, "secret"), "x");
    expect(given["result-dir"]).toBe(join(directory, "results"));
    return outcome(passed);
  });
  const execution = await executeVerb(verb, raw, surroundings());
  expect(execution.resultFile).toBe(join(directory, "results", `scan-${digest.slice(7, 19)}.json`));
  expect(parseStageResult(await readFile(execution.resultFile, "utf8"), "r")).toEqual(passed);
  expect(await readdir(join(directory, "results"))).toHaveLength(1);
  expect(seen).not.toBe("");
  expect(await readdir(join(directory, "tmp"))).toEqual([]);
});

test("a relative result-dir is below the working directory", async () => {
  const execution = await executeVerb(
    verbOf(async () => outcome(passed)),
    { ...raw, "result-dir": "out/here" },
    surroundings(),
  );
  expect(execution.resultFile.startsWith(join(directory, "out/here"))).toBe(true);
});

test("secrets among the inputs are masked before the verb runs; paths and names of variables are not secrets", async () => {
  const verb = verbOf(async () => {
    expect(masked).toContain("MIGHAgEAMBMGByqGSM49");
    return outcome(passed);
  });
  const pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";
  await executeVerb(verb, { ...raw, key: pem, "key-passphrase": "correct horse" }, surroundings());
  expect(masked).toEqual(["MIGHAgEAMBMGByqGSM49", "correct horse"]);
  masked.length = 0;
  await executeVerb(
    verbOf(async () => outcome(passed)),
    { ...raw, key: "./keys/scan.key" },
    surroundings(),
  );
  await executeVerb(
    verbOf(async () => outcome(passed)),
    { ...raw, key: "env://SCAN_KEY" },
    surroundings(),
  );
  expect(masked).toEqual([]);
});

test("each secret of a list is masked by its value alone, however short", async () => {
  const secrets = "npm=abc\ntoken=t0ken=with=equals\nkey=env://KEY\n";
  await executeVerb(
    verbOf(() => Promise.resolve(outcome(passed))),
    { ...raw, secrets },
    surroundings(),
  );
  expect(masked).toEqual(expect.arrayContaining(["abc", "t0ken=with=equals"]));
  expect(masked).not.toContain("env://KEY");
});

test("a secret that is no pair is refused without being repeated", async () => {
  const { outcome: ended } = await executeVerb(
    verbOf(() => Promise.resolve(outcome(passed))),
    { ...raw, secrets: "hunter2hunter2" },
    surroundings(),
  );
  expect(ended.result.error).toMatchObject({
    code: "input-invalid",
    message: expect.stringContaining("a line is not ID=VALUE"),
  });
  expect(JSON.stringify(ended)).not.toContain("hunter2");
});
