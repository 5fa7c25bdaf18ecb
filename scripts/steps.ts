import { spawn } from "node:child_process";
import { join } from "node:path";
import { sortIntoLanes } from "../test/lanes.ts";

export const root = join(import.meta.dirname, "..");
export const bin = (name: string): string => join(root, "node_modules", ".bin", name);
/** The workspaces' sources instead of what they are compiled to. */
export const source = ["--conditions=goldenpath-source"];

export interface Step {
  name: string;
  file: string;
  args: string[];
}

export const lint: Step = { name: "lint", file: bin("biome"), args: ["check", "--error-on-warnings", "."] };
export const types: Step = { name: "types", file: bin("tsc"), args: ["--build"] };
export const typesOfTests: Step = {
  name: "types of the tests",
  file: bin("tsc"),
  args: ["--noEmit", "-p", "tsconfig.test.json"],
};
const script = (name: string, path: string): Step => ({ name, file: process.execPath, args: [...source, path] });
/** What is written by a script and has to be what the script writes. */
export const generated: readonly Step[] = [
  script("generated docs", "scripts/docs.ts"),
  script("published schemas and the policy's reference", "scripts/schemas.ts"),
  script("the path's workflows", "scripts/workflows.ts"),
];
export const dist: Step = script("dist is what the sources give", "scripts/check-dist.ts");
export const toolsOfTests: Step = script("tools of the tests", "test/support/prefetch.ts");

/** The parts that CI has its tests in, by what vitest takes for them. */
export const parts = {
  unit: ["--project=unit"],
  integration: ["--project=integration", "test/integration/"],
  interop: ["--project=integration", "test/interop/"],
  faults: ["--project=integration", "test/faults/"],
  attacks: ["--project=integration", "test/attacks/"],
  e2e: ["--project=e2e"],
} as const;

/**
 * What `npm test` runs beside each other, each lane one after another: what builds on this machine after the unit tests,
 * and everything else after the check of dist. So both take about as long.
 */
export function planLanes(): readonly (readonly (Step | readonly string[])[])[] {
  const { builds, others } = sortIntoLanes();
  return [
    [parts.unit, ["--project=integration", ...builds], parts.e2e],
    [dist, ["--project=integration", ...others]],
  ];
}

/** Runs a step, showing what it says as it comes or, `quiet`, only where it fails. True where it passed. */
export async function runStep({ name, file, args }: Step, { quiet = false } = {}): Promise<boolean> {
  const started = Date.now();
  if (!quiet) console.log(`\n▸ ${name}`);
  const child = spawn(file, args, { cwd: root, stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit" });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => said.push(chunk));
  const status = await new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      said.push(Buffer.from(`${error.message}\n`));
      resolve(null);
    });
    child.on("close", resolve);
  });
  if (quiet && status !== 0) process.stdout.write(Buffer.concat(said));
  console.log(`${status === 0 ? "✔" : "✘"} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return status === 0;
}
