import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { renderResultText } from "@goldenpath/core/report/terminal";
import { stageRows } from "@goldenpath/core/stages";
import { executeQuestion, executeVerb, type Surroundings } from "@goldenpath/core/verbs/execute";
import { type Answer, inputsThatAre, type Verb } from "@goldenpath/core/verbs/verb";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { gatherRunFacts } from "../facts.ts";
import { openFile } from "../open-file.ts";
import { exitCodes, type Output, reportError } from "../output.ts";
import { createTerminalPorts } from "../ports.ts";
import { abortOnInterrupt } from "./context.ts";

/** The verbs by their commands, each loaded only when it is called: `verbs/COMMAND.ts` has it as `COMMANDVerb`. */
export const verbLoaders: Readonly<Record<string, () => Promise<Verb>>> = Object.fromEntries(
  stageRows.map(({ command }) => [
    command,
    async () => ((await import(`@goldenpath/core/verbs/${command}`)) as Record<string, Verb>)[`${command}Verb`] as Verb,
  ]),
);

/** Options of the command line that are not a verb's inputs. */
const ownOptions = { json: { type: "boolean" }, verbose: { type: "boolean" }, quiet: { type: "boolean" } } as const;

/** Of a verb that leaves a page: to show it. */
const pageOption = { open: { type: "boolean" } } as const;
export const leavesPage = ({ outputs }: Pick<Verb, "outputs">): boolean => outputs.includes("html");

/**
 * Runs one verb: its inputs are options of the same names (`--image …`); an option that is given more than once is a
 * list, one a line in the action. Exits 0 on pass, 1 on fail, 2 on error. `--json` prints the result and the outputs as
 * JSON.
 */
export async function runVerbCommand(verb: Verb, args: readonly string[], output: Output): Promise<number> {
  const { raw, json, verbose, quiet, open } = parseVerbArguments(verb, args);
  const env = { ...process.env };
  const surroundings: Surroundings = {
    ports: createTerminalPorts({ out: process.stderr, verbose, quiet }),
    run: await gatherRunFacts(raw["context"] ?? process.cwd(), env),
    workingDirectory: process.cwd(),
    temporaryRoot: tmpdir(),
    defaultResultDirectory: join(process.cwd(), "goldenpath-results"),
    env,
    signal: abortOnInterrupt(),
  };
  const answer = await executeQuestion(verb, raw, surroundings);
  if (answer !== undefined) return printAnswer(answer, json, output);
  const { outcome, resultFile, error } = await executeVerb(verb, raw, surroundings);
  if (json)
    output.out(
      `${stringifyJson({ verdict: outcome.verdict, resultFile, outputs: outcome.outputs, result: outcome.result }, 2)}\n`,
    );
  else {
    output.out(renderResultText(outcome.result, { color: output.color }));
    for (const [name, value] of Object.entries(outcome.outputs))
      if (value !== "" && !value.includes("\n")) output.out(`  ${name}: ${value}\n`);
    if (resultFile !== "") output.out(`  result: ${resultFile}\n`);
  }
  if (open) await showPage(outcome.outputs["html"] ?? "", env, output);
  if (outcome.result.error?.code === "unexpected" && error instanceof Error) output.err(`${error.stack}\n`);
  if (outcome.verdict === "fail" && outcome.enforced === false) return exitCodes.pass;
  return exitCodes[outcome.verdict];
}

async function showPage(file: string, env: NodeJS.ProcessEnv, output: Output): Promise<void> {
  if (file === "") return;
  const problem = await openFile(file, env);
  if (problem !== undefined) output.err(`the page could not be opened (${problem}): ${file}\n`);
}

function printAnswer({ lines, document, error }: Answer, json: boolean, output: Output): number {
  output.out(json ? `${stringifyJson(document, 2)}\n` : lines.map((line) => `${line}\n`).join(""));
  return error === undefined ? exitCodes.pass : reportError(error, output);
}

interface VerbArguments {
  raw: Record<string, string>;
  json: boolean;
  verbose: boolean;
  quiet: boolean;
  open: boolean;
}

/** @throws UserError `arguments-invalid` */
export function parseVerbArguments(verb: Verb, args: readonly string[]): VerbArguments {
  const names = Object.keys(verb.inputs.shape);
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const, multiple: true }]));
  // A switch alone means yes, as everywhere else on a command line; the action's input has a value.
  const switches = inputsThatAre("flag", verb.inputs).map((name) => `--${name}`);
  const expanded = args.flatMap((argument, index) =>
    switches.includes(argument) && !/^(?:true|false)$/i.test(args[index + 1] ?? "") ? [`${argument}=true`] : [argument],
  );
  try {
    const { values, positionals } = parseArgs({
      args: expanded,
      options: { ...options, ...ownOptions, ...(leavesPage(verb) ? pageOption : {}) },
      strict: true,
      allowPositionals: true,
    });
    const given = values as Record<string, string[] | boolean | undefined>;
    const raw: Record<string, string> = takePositional(verb, positionals, given);
    for (const name of names) {
      const value = given[name];
      if (Array.isArray(value)) raw[name] = value.join("\n");
    }
    const isOn = (name: string): boolean => given[name] === true;
    return { raw, json: isOn("json"), verbose: isOn("verbose"), quiet: isOn("quiet"), open: isOn("open") };
  } catch (error) {
    throw new UserError(`goldenpath ${verb.command}: ${error instanceof Error ? error.message : String(error)}`, {
      code: "arguments-invalid",
      cause: error,
      wayOut: `It takes ${names.map((name) => `--${name}`).join(", ")}, --json, --verbose and --quiet${leavesPage(verb) ? ", and --open" : ""}.`,
    });
  }
}

/** What a verb takes without a name: `goldenpath scan alpine:3.20`. */
function takePositional(
  { positional }: Verb,
  positionals: readonly string[],
  given: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const [first, second] = positionals;
  if (first === undefined) return {};
  if (positional === undefined) throw new Error(`Unexpected argument '${first}'`);
  if (second !== undefined) throw new Error(`Unexpected argument '${second}': one ${positional} is taken`);
  if (given[positional] !== undefined) throw new Error(`'${first}' and --${positional} both say which ${positional}`);
  return { [positional]: first };
}
