import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { type LocatedCase, parseCases } from "@goldenpath/core/policy/cases";
import { judgeCase } from "@goldenpath/core/policy/judge-cases";
import { maxPolicyBytes, parsePolicy } from "@goldenpath/core/policy/parse";
import { type PlacedAnswer, renderCases } from "@goldenpath/core/policy/render-cases";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { exitCodes, type Output } from "../output.ts";
import { readPolicyFile } from "./policy-file.ts";

const ending = ".cases.yaml";

/**
 * `goldenpath policy test POLICY [CASES…] [--json]`: what the policy says to cases that are kept beside it, by the
 * stages' own judges, and which are not as expected.
 */
export async function runTest(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean" } },
    allowPositionals: true,
  });
  const [file, ...given] = positionals;
  if (file === undefined)
    throw new UserError("goldenpath policy test: expected POLICY [CASES…] [--json]", {
      code: "arguments-invalid",
      wayOut: "See goldenpath policy --help.",
    });
  const bytes = await readPolicyFile(file);
  const loaded: LoadedPolicy = { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes) };
  const cases = (await Promise.all((given.length > 0 ? given : await listBeside(file)).map(readCases))).flat();
  const now = new Date();
  const answers = cases.flatMap(({ what, place }) =>
    judgeCase(what, loaded, now).map((answer): PlacedAnswer => ({ place, name: what.name, ...answer })),
  );
  const { name, serial } = loaded.policy;
  if (values.json === true)
    output.out(`${stringifyJson({ policy: { name, serial, digest: loaded.digest }, answers }, 2)}\n`);
  else output.out(renderCases(answers));
  return answers.every(({ holds }) => holds) ? exitCodes.pass : exitCodes.fail;
}

async function listBeside(policy: string): Promise<string[]> {
  const folder = dirname(policy);
  const names = (await readdir(folder)).filter((name) => name.endsWith(ending)).toSorted();
  // Nothing to test is no pass: the file may have another name, or be gone.
  if (names.length === 0)
    throw new UserError(`goldenpath policy test: beside ${policy} is no file that ends in ${ending}`, {
      code: "input-invalid",
      wayOut: `Write cases there (docs/policy.md says what they have), or name their files after the policy.`,
    });
  return names.map((name) => join(folder, name));
}

async function readCases(file: string): Promise<LocatedCase[]> {
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(await readBoundedFile(file, maxPolicyBytes));
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      code: "input-invalid",
      cause: error,
    });
  }
  return parseCases(content, file);
}
