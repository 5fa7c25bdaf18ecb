// `npm run mutants`: Stryker changes what decides, one thing at a time, and the unit tests have to fail at each change.
// Whoever survives is listed with the reason in its room's file in mutants/, or the run fails.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { base } from "./mutants/base.ts";
import { gate } from "./mutants/gate.ts";
import { origin } from "./mutants/origin.ts";
import { policy } from "./mutants/policy.ts";
import { signing } from "./mutants/signing.ts";
import { judgeSurvivors, listSurvivors, listUntried, type MutationReport, type Room } from "./mutants/survivors.ts";
import { root } from "./steps.ts";

const rooms: readonly Room[] = [base, gate, origin, policy, signing];

/** On a machine that does other things besides: who is late because of those is no mutant that a test has failed at. */
const testTimeout = 20_000;

const wanted = process.argv.slice(2);
const chosen = rooms
  .map((room) => ({
    room,
    files: room.mutated.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part))),
  }))
  .filter(({ files }) => files.length > 0);
if (chosen.length === 0) throw new Error(`nothing of what is mutated is called ${wanted.join(" or ")}`);
for (const { room, files } of chosen) if (mutate(room, files).length > 0) process.exitCode = 1;

/** Prints each problem, and how many there are. */
function mutate({ tests, accepted }: Room, files: readonly string[]): string[] {
  const copy = mkdtempSync(join(tmpdir(), "mutants-"));
  try {
    copyTree(copy);
    configure(copy, tests, files);
    const stryker = join(copy, "node_modules/.bin/stryker");
    const { status, error } = spawnSync(process.execPath, [stryker, "run"], { cwd: copy, stdio: "inherit" });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`stryker ends with ${status}`);
    const report = JSON.parse(readFileSync(join(copy, "report.json"), "utf8")) as MutationReport;
    const listed = accepted.filter(({ file }) => files.includes(file));
    const problems = [...listUntried(files, report), ...judgeSurvivors(listSurvivors(report), listed)];
    for (const problem of problems) console.log(problem);
    const all = Object.values(report.files).flatMap(({ mutants }) => mutants);
    const late = all.filter((mutant) => mutant.status === "Timeout").length;
    const counts = `${all.length} mutants in ${files.length} files, ${listed.length} listed as survivors`;
    console.log(`${counts}, ${late} that ran into the time limit, ${problems.length} problems`);
    return problems;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Stryker writes over the sources, and the workspaces are found through links: so in a copy, with links of its own. */
function copyTree(to: string): void {
  for (const folder of ["packages", "test/attacks", "test/support"])
    cpSync(join(root, folder), join(to, folder), { recursive: true });
  cpSync(join(root, "package.json"), join(to, "package.json"));
  cpSync(join(root, "tsconfig.base.json"), join(to, "tsconfig.base.json"));
  const own = "@goldenpath";
  mkdirSync(join(to, "node_modules", own), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== own) symlinkSync(join(root, "node_modules", name), join(to, "node_modules", name));
  }
  for (const name of readdirSync(join(to, "packages"))) {
    symlinkSync(join(to, "packages", name), join(to, "node_modules", own, name));
  }
}

function configure(copy: string, tests: readonly string[], files: readonly string[]): void {
  const conditions = ["goldenpath-source", "node", "import", "default"];
  const vitest = { resolve: { conditions }, ssr: { resolve: { conditions } }, test: { include: tests, testTimeout } };
  writeFileSync(join(copy, "vitest.config.mjs"), `export default ${JSON.stringify(vitest)};\n`);
  const stryker = {
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "vitest.config.mjs", related: false },
    mutate: files,
    inPlace: true,
    concurrency: 1,
    coverageAnalysis: "perTest",
    dryRunTimeoutMinutes: 20,
    timeoutMS: testTimeout,
    reporters: ["json"],
    jsonReporter: { fileName: "report.json" },
    allowConsoleColors: false,
  };
  writeFileSync(join(copy, "stryker.config.json"), JSON.stringify(stryker));
}
