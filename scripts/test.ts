// `npm test`: everything that has to hold on every change, cheapest first. `npm run test:part NAME`: one part of its
// tests, as CI runs them side by side. `npm run test:slow`: the tests of test/slow alone, which take too long for that.
// All end with the plain line `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bin,
  dist,
  generated,
  lint,
  parts,
  root,
  runStep,
  type Step,
  toolsOfTests,
  types,
  typesOfTests,
} from "./steps.ts";

const steps = [lint, types, typesOfTests, ...generated, dist];

let passed = 0;
let failed = 0;

async function run(step: Step): Promise<void> {
  if (await runStep(step)) passed += 1;
  else failed += 1;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numFailedTestSuites: number;
}

function runTests(args: string[]): void {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-test-"));
  const report = join(directory, "report.json");
  const { status } = spawnSync(
    bin("vitest"),
    ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
    {
      cwd: root,
      stdio: "inherit",
    },
  );
  try {
    const counts = JSON.parse(readFileSync(report, "utf8")) as VitestReport;
    passed += counts.numPassedTests;
    // A file that could not even be loaded has no tests that failed, and a run that ended badly with none is no pass
    // either.
    const failures = counts.numFailedTests;
    failed += failures === 0 && status !== 0 ? Math.max(1, counts.numFailedTestSuites) : failures;
    if (counts.numPendingTests > 0) console.log(`${counts.numPendingTests} skipped: each says what it would need`);
    if (process.env["GOLDENPATH_REQUIRE_TOOLS"] === "1") failed += counts.numPendingTests;
  } catch {
    console.error("vitest left no report");
    failed += 1;
  }
  rmSync(directory, { recursive: true, force: true });
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--part") {
  const [name = "", ...args] = rest;
  const part = Object.hasOwn(parts, name) ? parts[name as keyof typeof parts] : undefined;
  if (part === undefined) throw new Error(`there is no part '${name}': it is one of ${Object.keys(parts).join(", ")}`);
  if (name !== "unit") await run({ ...toolsOfTests, args: [...toolsOfTests.args, `test/${name}`] });
  runTests([...part, ...args]);
} else if (first === "--slow") {
  await run(toolsOfTests);
  runTests(["--project=slow", ...rest]);
} else {
  for (const step of steps) await run(step);
  await run(toolsOfTests);
  runTests(["--project=!slow", ...process.argv.slice(2)]);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
