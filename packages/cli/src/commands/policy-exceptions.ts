import { readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { isDead, tellExceptionLives } from "@goldenpath/core/policy/exception-life";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { proposeWithout } from "@goldenpath/core/policy/propose-exceptions";
import { describeLives, renderLives } from "@goldenpath/core/policy/render-exceptions";
import { readStrictYaml } from "@goldenpath/core/policy/yaml";
import { isResultFile, type StageResult } from "@goldenpath/core/result";
import { readStageResult } from "@goldenpath/core/verbs/results";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { exitCodes, type Output } from "../output.ts";
import { readPolicyFile } from "./policy-file.ts";

const options = {
  results: { type: "string", multiple: true },
  within: { type: "string" },
  propose: { type: "string" },
  json: { type: "boolean" },
} as const;

const invalid = (message: string): UserError =>
  new UserError(`goldenpath policy exceptions: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath policy --help.",
  });

/**
 * `goldenpath policy exceptions FILE [--results DIR]… [--within 14d] [--propose OUT] [--json]`: until when each
 * exception holds, which end on one day, and which do nothing; and the policy without those.
 */
export async function runExceptions(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [file, ...others] = positionals;
  if (file === undefined || others.length > 0)
    throw invalid("expected FILE [--results DIR]… [--within 14d] [--propose OUT] [--json]");
  const within = readDays(values.within ?? "14d");
  const bytes = await readPolicyFile(file);
  const text = new TextDecoder().decode(bytes);
  const policy = parsePolicy(bytes, file);
  const results = (await Promise.all((values.results ?? []).map(readResults))).flat();
  const lives = tellExceptionLives(policy, results, new Date(), within);
  const facts = { lives, places: locateExceptions(text, file, lives.length), within, results: results.length };
  const { name, serial } = policy;
  if (values.json === true)
    output.out(`${stringifyJson({ policy: { name, serial, digest: digestOf(bytes) }, ...describeLives(facts) }, 2)}\n`);
  else output.out(renderLives(facts));
  if (values.propose === undefined) return exitCodes.pass;
  const dead = new Set(lives.filter(isDead).map(({ index }) => index));
  if (dead.size === 0) output.err(`nothing to take out: ${values.propose} is not written\n`);
  else {
    await writeFile(values.propose, proposeWithout(text, dead, file));
    output.err(`${values.propose}: serial ${serial + 1}, without ${dead.size} of ${lives.length} exceptions\n`);
  }
  return exitCodes.pass;
}

/** `14d` → 14 */
function readDays(text: string): number {
  const [, days] = /^(\d{1,4})d$/.exec(text) ?? [];
  if (days === undefined) throw invalid(`--within is '${text}': expected days, such as 14d`);
  return Number(days);
}

/** The result files of a folder and of those in it: artifacts of many runs lie side by side. */
async function readResults(directory: string): Promise<StageResult[]> {
  let names: string[];
  try {
    names = await readdir(directory, { recursive: true });
  } catch (error) {
    throw new UserError(`--results names '${directory}', which cannot be read as a folder`, {
      code: "result-missing",
      cause: error,
      wayOut: "Name the folder that the runs' result files were downloaded to.",
    });
  }
  const files = names.filter((name) => isResultFile(basename(name))).toSorted();
  if (files.length === 0) throw invalid(`--results names '${directory}', which has no result files (scan-….json)`);
  const results: StageResult[] = [];
  for (const name of files) results.push(await readStageResult(join(directory, name), "."));
  return results;
}

function locateExceptions(text: string, file: string, count: number): string[] {
  const read = readStrictYaml(text);
  return Array.from({ length: count }, (_, index) =>
    "problems" in read ? file : `${file}:${read.yaml.locate(["exceptions", index], "value").line}`,
  );
}
