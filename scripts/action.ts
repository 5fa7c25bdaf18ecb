// `npm run action -- NAME INPUT=VALUE …`: one action's bundle, started as a runner starts it, in the folder that npm
// was called in. `INPUT=@FILE` reads the value from a file, as a key has to be: a command's words can be read by every
// process of the machine. It ends with the bundle's own exit code.
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { suggestWord } from "@goldenpath/core/policy/suggest";
import { UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { type BundleEnd, startBundle } from "../examples/demo/bundle.ts";
import { type ActionMetadata, listActions, readAction } from "./docs.ts";
import { root } from "./steps.ts";

/** The words after the action's name, by input. What isn't given has the default of action.yml, as on a runner. */
export function parseInputs(words: readonly string[], action: ActionMetadata, folder: string): Record<string, string> {
  const inputs: Record<string, string> = {};
  for (const [name, { default: fallback }] of Object.entries(action.inputs))
    if (fallback !== undefined) inputs[name] = fallback;
  for (const word of words) {
    const at = word.indexOf("=");
    const [name, value] = at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
    if (value === undefined || !Object.hasOwn(action.inputs, name)) throw badInput(word, name, action);
    inputs[name] = value.startsWith("@") ? readFileSync(resolve(folder, value.slice(1)), "utf8") : value;
  }
  const missing = Object.entries(action.inputs).filter(([name, input]) => input.required === true && !inputs[name]);
  if (missing.length > 0) {
    throw new UserError(`${missing.map(([name]) => name).join(", ")} ${missing.length === 1 ? "is" : "are"} required`, {
      code: "input-invalid",
      wayOut: `Give ${missing.map(([name]) => `${name}=…`).join(" ")}.`,
    });
  }
  return inputs;
}

function badInput(word: string, name: string, action: ActionMetadata): UserError {
  const known = Object.keys(action.inputs);
  const suggestion = suggestWord(name, known);
  const meant = suggestion === undefined ? "" : ` Did you mean ${suggestion}=…?`;
  return new UserError(`${word} is not INPUT=VALUE with an input of ${action.name}`, {
    code: "input-invalid",
    wayOut: `Its inputs are ${known.join(", ")}.${meant}`,
  });
}

/** What a bundle left, to be read: a line an output, and longer ones below their name. */
export function renderEnd({ exitCode, outputs, summary, seconds }: BundleEnd, directory: string): string {
  const width = Math.max(0, ...Object.keys(outputs).map((name) => name.length));
  const lines = Object.entries(outputs).map(([name, value]) =>
    value.includes("\n")
      ? `  ${name}\n${value.replaceAll(/^/gm, "    ")}`
      : `  ${name.padEnd(width)}  ${value === "" ? "(empty)" : value}`,
  );
  return [
    "",
    `outputs${lines.length === 0 ? ": none" : ""}`,
    ...lines,
    ...(summary === "" ? [] : ["", "summary", summary.trimEnd().replaceAll(/^(?=.)/gm, "  ")]),
    "",
    `exit code ${exitCode} after ${seconds.toFixed(1)} s; log, outputs, summary and result are in ${directory}`,
  ].join("\n");
}

async function main([name = "", ...words]: readonly string[]): Promise<number> {
  const folder = process.env["INIT_CWD"] ?? process.cwd();
  if (!listActions().includes(name)) {
    const what = name === "" ? "an action's name is missing" : `there is no action ${name}`;
    throw new UserError(what, {
      code: "action-unknown",
      wayOut: `npm run action -- NAME INPUT=VALUE …, NAME one of ${listActions().join(", ")}.`,
    });
  }
  if (!existsSync(join(root, "actions", name, "dist/index.js")))
    throw new UserError(`${name} has no bundle`, { code: "bundle-missing", wayOut: `npm run build -- ${name}` });
  const inputs = parseInputs(words, readAction(name), folder);
  const { stdout } = await runProcess("git", ["rev-parse", "HEAD"], { env: { PATH: process.env["PATH"] }, cwd: root });
  const directory = mkdtempSync(join(tmpdir(), `goldenpath-${name}-`));
  const end = await startBundle({
    ...{ action: name, inputs, directory, workspace: folder, commit: stdout.trim(), env: process.env },
    // A runner shows these only where a run is repeated with debug logging.
    onLine: (line) => line.startsWith("::debug::") || console.log(line),
  });
  console.log(renderEnd(end, directory));
  return end.exitCode;
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(`${error.message}\n${error.wayOut}`);
    process.exitCode = 2;
  }
}
