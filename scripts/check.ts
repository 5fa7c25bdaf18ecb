// `npm run check`: lint, types, generated files and unit tests side by side, for the time between two changes. `npm
// test` is what has to pass before one lands.
import { bin, generated, lint, runStep, type Step, types, typesOfTests } from "./steps.ts";

// In workers that are kept from file to file, which is twice as fast; `npm test` gives each file a worker of its own.
const unit: Step = {
  name: "unit tests",
  file: bin("vitest"),
  args: ["run", "--project", "unit", "--no-isolate", "--reporter=dot", ...process.argv.slice(2)],
};

/** The tests' types need those of the workspaces, which the first check writes. */
async function checkTypes(): Promise<boolean> {
  return (await runStep(types, { quiet: true })) && (await runStep(typesOfTests, { quiet: true }));
}

const started = Date.now();
const others = [lint, ...generated, unit].map((step) => runStep(step, { quiet: true }));
const passed = (await Promise.all([checkTypes(), ...others])).every(Boolean);
console.log(`${passed ? "all passed" : "something failed"} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = passed ? 0 : 1;
