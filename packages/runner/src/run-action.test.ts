import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "goldenpath-runner-"));
  mkdirSync(join(directory, "temp"));
  writeFileSync(join(directory, "output"), "");
  writeFileSync(join(directory, "summary"), "");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/**
 * Runs a verb, written as the body of its `run`, through the door as the runner would start it: a process, its
 * environment, its files.
 */
function runAsAction(body: string, env: Record<string, string> = {}) {
  const file = join(directory, "action.ts");
  const module = (path: string): string => JSON.stringify(join(root, path));
  writeFileSync(
    file,
    `import { runAction } from ${module("packages/runner/src/run-action.ts")};
import { choice, commonInputs, requiredText } from ${module("packages/core/src/verbs/verb.ts")};
import { buildErrorResult } from ${module("packages/core/src/verbs/outcome.ts")};
import { InfrastructureError, UserError } from ${module("packages/foundation/src/errors.ts")};
import { z } from ${module("node_modules/zod/index.js")};
const digest = "sha256:" + "a".repeat(64);
const result = (verdict, violations) => ({ schemaVersion: "1.0", stage: "scan", verdict, violations, notes: [], tools: [], run: { builderId: "x" },
  startedAt: "2026-01-01T00:00:00Z", finishedAt: "2026-01-01T00:00:00Z", subject: { repository: "r/q", digest, mediaType: "m", children: [{ digest, mediaType: "m", verdict }] } });
const violation = { rule: "scan.severity", thing: "lodash 4.17.20", problem: "High.", wayOut: "Update it." };
await runAction({ name: "scan", command: "scan", inputs: z.object({ ...commonInputs, image: requiredText(), mode: choice(["enforce", "audit"], "enforce") }), outputs: ["sbom", "counts"],
  run: async (inputs, context) => { ${body} } });
`,
  );
  const run = spawnSync(process.execPath, ["--conditions=goldenpath-source", file], {
    cwd: root,
    encoding: "utf8",
    env: {
      PATH: process.env["PATH"],
      RUNNER_TEMP: join(directory, "temp"),
      GITHUB_WORKSPACE: directory,
      GITHUB_OUTPUT: join(directory, "output"),
      GITHUB_STEP_SUMMARY: join(directory, "summary"),
      INPUT_POLICY: "p.yaml",
      INPUT_IMAGE: "r/q:1",
      ...env,
    },
  });
  const text = readFileSync(join(directory, "output"), "utf8");
  const outputs = Object.fromEntries(
    [...text.matchAll(/^(\S+)<<(\S+)\n([\s\S]*?)\n?\2$/gm)].map((match) => [match[1], match[3]]),
  );
  return {
    status: run.status,
    log: run.stdout + run.stderr,
    outputs,
    summary: readFileSync(join(directory, "summary"), "utf8"),
  };
}

const pass = `return { verdict: "pass", result: result("pass", []), outputs: { sbom: "s.json" }, summary: "### all good" };`;
const fail = `return { verdict: "fail", result: result("fail", [violation]), outputs: {}, summary: "### no", enforced: inputs.mode === "enforce" };`;

describe("verdict and exit code", () => {
  test("fail fails the step, with the rule, the thing and the way out as an annotation", () => {
    const { status, log, outputs } = runAsAction(fail);
    expect(status).toBe(1);
    expect(outputs["verdict"]).toBe("fail");
    expect(log).toContain("::error title=scan.severity::lodash 4.17.20: High.%0A→ Update it.");
    expect(log).toContain("::error::scan: fail, 1 violation of the policy");
  });

  test("annotations are at the file and line that a violation has, the many that one change mends are one, and no more than ten", () => {
    const { log } = runAsAction(
      `const many = Array.from({ length: 40 }, (_, at) => ({ ...violation, thing: "CVE-" + at, wayOut: "Update " + (at % 20) + "." }));
      const place = { file: "package-lock.json", line: 12 };
      return { verdict: "fail", result: result("fail", [...many, { ...violation, thing: "last", place }]), outputs: {}, summary: "", enforced: true };`,
    );
    const told = log.split("\n").filter((line) => line.startsWith("::error"));
    expect(told).toHaveLength(10);
    expect(told[0]).toBe("::error title=scan.severity,file=package-lock.json,line=12::last: High.%0A→ Update it.");
    expect(told[1]).toBe("::error title=scan.severity::CVE-0: High.%0AAlso: CVE-20.%0A→ Update 0.");
  });

  test("audit reports a fail and lets the step pass; the verdict stays", () => {
    const { status, log, outputs } = runAsAction(fail, { INPUT_MODE: "audit" });
    expect(status).toBe(0);
    expect(outputs["verdict"]).toBe("fail");
    expect(log).toContain("::warning title=scan.severity::");
    expect(log).toContain("not enforced here");
  });

  test("an error fails the step also in audit mode, and is told apart", () => {
    const { status, log, outputs, summary } = runAsAction(
      `throw new InfrastructureError("the registry is down", { code: "registry-unreachable", wayOut: "Try again." });`,
      {
        INPUT_MODE: "audit",
      },
    );
    expect(status).toBe(1);
    expect(outputs["verdict"]).toBe("error");
    expect(JSON.parse(readFileSync(outputs["result"] ?? "", "utf8"))).toMatchObject({
      verdict: "error",
      error: { code: "registry-unreachable" },
    });
    expect(log).toContain("::error::scan: the registry is down%0A  → Try again.");
    expect(summary).toContain("says nothing about the image");
  });

  test("an error that is about lines of the application is shown there, and no line of it is a command", () => {
    const places = `[{ file: "src/Main.java", line: 3, message: "';' expected\\n::error::forged" }, { file: "a,line=9::b", message: "x" }]`;
    const { status, log } = runAsAction(
      `throw new UserError("it does not compile", { code: "input-invalid", places: ${places} });`,
    );
    expect(status).toBe(1);
    expect(log).toContain("::error file=src/Main.java,line=3::';' expected%0A::error::forged\n");
    expect(log).toContain("::error file=a%2Cline=9%3A%3Ab::x\n");
    expect(log).toContain("::error::scan: it does not compile");
  });

  test("a verb that tells of another stage's error, and enforces nothing, fails no step", () => {
    const told = `const result = buildErrorResult(context, "report", new Date(0), new UserError("stage scan ended in an error", { code: "stage-error" }));`;
    const reported = runAsAction(
      `${told} return { verdict: "error", result, outputs: {}, summary: "", enforced: false };`,
    );
    expect(reported.status).toBe(0);
    expect(reported.outputs["verdict"]).toBe("error");
    expect(reported.log).toContain("::warning::scan: stage scan ended in an error");
    expect(runAsAction(`${told} return { verdict: "error", result, outputs: {}, summary: "" };`).status).toBe(1);
  });

  test("a stranger's text in the log is never a command", () => {
    const { log } = runAsAction(
      `context.ports.log.info("type x\\n::add-mask::linux\\r::error::forged\\n  ::stop-commands::t\\n##[group]g"); ${pass}`,
    );
    expect(log).toContain("| ::add-mask::linux");
    for (const line of log.split("\n"))
      expect(line).not.toMatch(/^\s*::(?:add-mask|stop-commands|error::forged)|##\[group/);
  });

  test("a bug keeps its stack", () => {
    const { status, log, outputs } = runAsAction(`throw new TypeError("boom");`);
    expect(status).toBe(1);
    expect(outputs["verdict"]).toBe("error");
    expect(log).toMatch(/TypeError: boom\s+at /);
  });

  test("a missing input is an error, without running", () => {
    const { status, log } = runAsAction(pass, { INPUT_IMAGE: "" });
    expect(status).toBe(1);
    expect(log).toContain("input 'image' is required and was not given");
  });

  test("pass sets every output, and writes the summary", () => {
    const { status, outputs, summary } = runAsAction(pass);
    expect(status).toBe(0);
    expect(outputs).toMatchObject({ verdict: "pass", sbom: "s.json", counts: "" });
    expect(summary).toContain("### all good");
  });

  test("a summary beyond the runner's limit is cut, and says so", () => {
    const { status, summary } = runAsAction(pass.replace('"### all good"', '"é".repeat(700_000)'));
    expect(status).toBe(0);
    expect(Buffer.byteLength(summary)).toBeLessThan(1024 * 1024);
    expect(summary).toContain("cut off");
  });
});
