import { join } from "node:path";
import { stagePackage } from "../../scripts/release/package.ts";
import { root } from "../../scripts/steps.ts";

/** The same program, which takes longer to start: for who measures nothing by it. */
export const fromSources: readonly string[] = [
  process.execPath,
  "--conditions=goldenpath-source",
  join(root, "packages", "cli", "bin", "goldenpath.mjs"),
];

/** A program and its first arguments, where a bench is not to make the package. */
export interface CommandLine {
  cli?: readonly string[];
}

/** `goldenpath` as its npm package has it, which is what users run; put into a folder of the bench. */
export function stageCommandLine(
  { cli, say }: CommandLine & { say(message: string): void },
  directory: string,
): readonly string[] {
  if (cli !== undefined) return cli;
  say("bundling the command line");
  const folder = join(directory, "package");
  stagePackage(folder);
  return [process.execPath, join(folder, "bin", "goldenpath.mjs")];
}
