// `npm test`: everything that has to hold on every change, cheapest first. `npm run test:part NAME`: one part of its
// tests, as CI runs them side by side. `npm run test:slow`: the tests of test/slow alone, which take too long for that.
// All end with the plain line `N passed, N failed`.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import {
  bin,
  dist,
  generated,
  lint,
  parts,
  planLanes,
  root,
  runStep,
  type Step,
  toolsOfTests,
  types,
  typesOfTests,
} from "./steps.ts";

const steps = [lint, types, typesOfTests, ...generated];

/** A skipped test is a failed one. */
const requiresTools = process.env["GOLDENPATH_REQUIRE_TOOLS"] === "1";

let passed = 0;
let failed = 0;
/** What failed and how, said once more at the end: of a long log, that is often all that is kept. */
const failures: string[] = [];

async function run(step: Step, how: { quiet?: boolean } = {}): Promise<void> {
  if (await runStep(step, how)) {
    passed += 1;
    return;
  }
  failed += 1;
  failures.push(step.name);
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numFailedTestSuites: number;
  testResults: {
    name: string;
    /** Why the file itself could not be run; empty otherwise. */
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

/** The tests and files that failed, and the skipped ones where none may be, each with the first lines of its error. */
function listFailures({ testResults }: VitestReport): string[] {
  const describe = (name: string, message = "") => `${name}\n${message.split("\n").slice(0, 30).join("\n")}`;
  return testResults.flatMap(({ name, message, assertionResults }) => [
    ...(message === "" ? [] : [describe(relative(root, name), message)]),
    ...assertionResults
      .filter(({ status }) => status === "failed" || (requiresTools && status !== "passed"))
      .map(({ fullName, status, failureMessages }) =>
        describe(`${relative(root, name)}: ${fullName}`, failureMessages[0] ?? status),
      ),
  ]);
}

/** Runs vitest, showing what it says as it comes or, `later`, when it has ended: two at once could not be read. */
async function runTests(args: readonly string[], { later = false } = {}): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-test-"));
  const report = join(directory, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const child = spawn(bin("vitest"), ["run", ...reporters, ...args], {
    cwd: root,
    stdio: later ? ["ignore", "pipe", "pipe"] : "inherit",
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => said.push(chunk));
  const status = await new Promise<number | null>((resolve) => {
    child.on("error", () => resolve(null));
    child.on("close", resolve);
  });
  process.stdout.write(Buffer.concat(said));
  try {
    const counts = JSON.parse(readFileSync(report, "utf8")) as VitestReport;
    passed += counts.numPassedTests;
    // A file that could not even be loaded has no tests that failed, and a run that ended badly with none is no pass
    // either.
    const tests = counts.numFailedTests;
    failed += tests === 0 && status !== 0 ? Math.max(1, counts.numFailedTestSuites) : tests;
    failures.push(...listFailures(counts));
    if (counts.numPendingTests > 0) console.log(`${counts.numPendingTests} skipped: each says what it would need`);
    if (requiresTools) failed += counts.numPendingTests;
  } catch {
    console.error("vitest left no report");
    failed += 1;
    failures.push(`vitest ${args.join(" ")}: left no report`);
  }
  rmSync(directory, { recursive: true, force: true });
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--part") {
  const [name = "", ...args] = rest;
  const part = Object.hasOwn(parts, name) ? parts[name as keyof typeof parts] : undefined;
  if (part === undefined) throw new Error(`there is no part '${name}': it is one of ${Object.keys(parts).join(", ")}`);
  if (name !== "unit") await run({ ...toolsOfTests, args: [...toolsOfTests.args, `test/${name}`] });
  await runTests([...part, ...args]);
} else if (first === "--slow") {
  await run(toolsOfTests);
  // And those that take minutes to compile, which no other test asks for.
  await run({ ...toolsOfTests, args: [...toolsOfTests.args, "test/slow"] });
  await runTests(["--project=slow", ...rest]);
} else {
  for (const step of steps) await run(step);
  await run(toolsOfTests);
  const args = process.argv.slice(2);
  if (args.length > 0) {
    await run(dist);
    await runTests(["--project=!slow", ...args]);
  } else
    await Promise.all(
      planLanes().map(async (runs, index) => {
        for (const one of runs) {
          if ("file" in one) await run(one, { quiet: true });
          else await runTests(one, { later: index > 0 });
        }
      }),
    );
}
for (const failure of failures) console.log(`\n✘ ${failure}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
