// `npm run mutants`: Stryker changes what decides, one thing at a time, and the unit tests have to fail at each change.
// Whoever survives is listed with the reason in mutants/accepted.ts, or the run fails.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepted } from "./mutants/accepted.ts";
import { judgeSurvivors, listSurvivors, listUntried, type MutationReport } from "./mutants/survivors.ts";
import { root } from "./steps.ts";

/** What decides, and the tests beside it: only fast ones, as each runs once for every mutant that it covers. */
const mutated = [
  "packages/core/src/gate/binding.ts",
  "packages/core/src/gate/decide.ts",
  "packages/core/src/gate/judge-build.ts",
  "packages/core/src/gate/judge-origin.ts",
  "packages/core/src/gate/judge-verdict.ts",
  "packages/core/src/gate/layers.ts",
  "packages/core/src/gate/match-run.ts",
  "packages/core/src/gate/match-source.ts",
  "packages/core/src/gate/problems.ts",
  "packages/core/src/gate/signed-view.ts",
  "packages/core/src/gate/withdrawn.ts",
  "packages/core/src/signing/certificate.ts",
  "packages/core/src/signing/collect.ts",
  "packages/core/src/signing/extensions.ts",
  "packages/core/src/signing/judge-signed.ts",
  "packages/core/src/signing/notary/judge-envelope.ts",
  "packages/core/src/signing/run-differences.ts",
  "packages/core/src/signing/signer-times.ts",
  "packages/core/src/signing/validity.ts",
  "packages/core/src/signing/workflow-identity.ts",
];
const tests = [
  "packages/core/src/gate/*.test.ts",
  "packages/core/src/signing/{certificate,collect,judge-signed,run-differences,signer-times,validity,workflow-identity,notary/judge-envelope}.test.ts",
];

const wanted = process.argv.slice(2);
const files = mutated.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
if (files.length === 0) throw new Error(`nothing of what is mutated is called ${wanted.join(" or ")}`);

const copy = mkdtempSync(join(tmpdir(), "mutants-"));
try {
  copyTree(copy);
  const { status, error } = spawnSync(process.execPath, [join(copy, "node_modules/.bin/stryker"), "run"], {
    cwd: copy,
    stdio: "inherit",
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`stryker ends with ${status}`);
  const report = JSON.parse(readFileSync(join(copy, "report.json"), "utf8")) as MutationReport;
  const listed = accepted.filter(({ file }) => files.includes(file));
  const problems = [...listUntried(files, report), ...judgeSurvivors(listSurvivors(report), listed)];
  for (const problem of problems) console.log(problem);
  const count = Object.values(report.files).reduce((sum, { mutants }) => sum + mutants.length, 0);
  console.log(`${count} mutants in ${files.length} files, ${problems.length} problems`);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

/** Stryker writes over the sources, and the workspaces are found through links: so in a copy, with links of its own. */
function copyTree(to: string): void {
  cpSync(join(root, "packages"), join(to, "packages"), { recursive: true });
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
  const conditions = ["goldenpath-source", "node", "import", "default"];
  const vitest = { resolve: { conditions }, ssr: { resolve: { conditions } }, test: { include: tests } };
  writeFileSync(join(to, "vitest.config.mjs"), `export default ${JSON.stringify(vitest)};\n`);
  const stryker = {
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "vitest.config.mjs", related: false },
    mutate: files,
    inPlace: true,
    concurrency: 1,
    coverageAnalysis: "perTest",
    reporters: ["json"],
    jsonReporter: { fileName: "report.json" },
    allowConsoleColors: false,
  };
  writeFileSync(join(to, "stryker.config.json"), JSON.stringify(stryker));
}
