// `npm test`: everything that has to hold on every change, cheapest first. `npm run test:slow`: the tests of test/slow alone, which take too long for that.
// Both end with the plain line `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const bin = (name: string): string => join(root, "node_modules", ".bin", name);
const source = ["--conditions=goldenpath-source"];

interface Step {
  name: string;
  file: string;
  args: string[];
}

const steps: Step[] = [
  { name: "lint", file: bin("biome"), args: ["check", "--error-on-warnings", "."] },
  { name: "types", file: bin("tsc"), args: ["--build"] },
  { name: "types of the tests", file: bin("tsc"), args: ["--noEmit", "-p", "tsconfig.test.json"] },
  { name: "generated docs", file: process.execPath, args: [...source, "scripts/docs.ts"] },
  { name: "published schemas and the policy's reference", file: process.execPath, args: [...source, "scripts/schemas.ts"] },
  { name: "the path's workflows", file: process.execPath, args: [...source, "scripts/workflows.ts"] },
  { name: "dist is what the sources give", file: process.execPath, args: [...source, "scripts/check-dist.ts"] },
];

let passed = 0;
let failed = 0;

function run({ name, file, args }: Step): void {
  const started = Date.now();
  console.log(`\n▸ ${name}`);
  const { status } = spawnSync(file, args, { cwd: root, stdio: "inherit" });
  if (status === 0) passed += 1;
  else failed += 1;
  console.log(`${status === 0 ? "✔" : "✘"} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
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
  const { status } = spawnSync(bin("vitest"), ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args], {
    cwd: root,
    stdio: "inherit",
  });
  try {
    const counts = JSON.parse(readFileSync(report, "utf8")) as VitestReport;
    passed += counts.numPassedTests;
    // A file that could not even be loaded has no tests that failed, and a run that ended badly with none is no pass either.
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
const isSlow = first === "--slow";
const args = isSlow ? rest : process.argv.slice(2);
if (!isSlow) for (const step of steps) run(step);
run({ name: "tools of the tests", file: process.execPath, args: [...source, "test/support/prefetch.ts"] });
runTests([isSlow ? "--project=slow" : "--project=!slow", ...args]);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
