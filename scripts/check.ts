// `npm run check`: lint, types, generated files and unit tests side by side, for the time between two changes.
// `npm test` is what has to pass before one lands.
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bin, generated, lint, root, runStep, type Step, types, typesOfTests } from "./steps.ts";

/** Unit tests that replace a module: where workers are kept from file to file, the next file would get it as well. */
const replacing = ["packages", "scripts"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts") && !file.includes("node_modules"))
    .map((file) => `${folder}/${file}`)
    .filter((file) => readFileSync(join(root, file), "utf8").includes("vi.mock(")),
);
const vitest = (name: string, args: readonly string[]): Step => ({
  name,
  file: bin("vitest"),
  // More at once than the machine has cores: much of what these tests do is to wait for a server or a program.
  args: ["run", "--project", "unit", "--reporter=dot", `--maxWorkers=${availableParallelism() * 2}`, ...args],
});
// In workers that are kept, which is twice as fast; `npm test` gives each file a worker of its own.
const wanted = process.argv.slice(2);
const unit = vitest("unit tests", ["--no-isolate", ...replacing.flatMap((file) => ["--exclude", file]), ...wanted]);
const alone = vitest("unit tests that replace a module", replacing);

/** The tests' types need those of the workspaces, which the first check writes. */
async function checkTypes(): Promise<boolean> {
  return (await runStep(types, { quiet: true })) && (await runStep(typesOfTests, { quiet: true }));
}

const started = Date.now();
const steps = [lint, ...generated, unit, ...(replacing.length === 0 || wanted.length > 0 ? [] : [alone])];
const passed = (await Promise.all([checkTypes(), ...steps.map((step) => runStep(step, { quiet: true }))])).every(
  Boolean,
);
console.log(`${passed ? "all passed" : "something failed"} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = passed ? 0 : 1;
