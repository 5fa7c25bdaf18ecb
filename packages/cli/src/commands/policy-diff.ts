import { parseArgs } from "node:util";
import { type DiffedPolicy, diffPolicies } from "@goldenpath/core/policy/diff";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { countDirections, renderPolicyDiff } from "@goldenpath/core/policy/render-diff";
import { readStrictYaml } from "@goldenpath/core/policy/yaml";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { exitCodes, type Output } from "../output.ts";
import { readPolicyFile } from "./policy-file.ts";

const options = { json: { type: "boolean" }, "refuse-widening": { type: "boolean" } } as const;

/**
 * `goldenpath policy diff OLD NEW [--refuse-widening] [--json]`: what a change of the policy lets in and shuts out, each
 * at its line of the newer file.
 */
export async function runDiff(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [older, newer, ...others] = positionals;
  if (older === undefined || newer === undefined || others.length > 0)
    throw new UserError("goldenpath policy diff: expected OLD NEW [--refuse-widening] [--json]", {
      code: "arguments-invalid",
      wayOut: "See goldenpath policy --help.",
    });
  const [before, after] = [await readPolicy(older), await readPolicy(newer)];
  const read = readStrictYaml(after.text);
  // The line of what is there; of what is gone, of what it was in.
  const lineOf = (path: readonly PropertyKey[]): number =>
    "problems" in read ? 1 : read.yaml.locate(path, "value").line;
  const changes = diffPolicies(before, after)
    .toSorted((a, b) => lineOf(a.path) - lineOf(b.path))
    .map(({ path, ...change }) => ({ ...change, place: `${newer}:${lineOf(path)}` }));
  const counts = countDirections(changes);
  if (values.json === true)
    output.out(`${stringifyJson({ old: nameOf(before), new: nameOf(after), counts, changes }, 2)}\n`);
  else output.out(renderPolicyDiff(changes));
  if (values["refuse-widening"] !== true || counts.widening + counts.unknown === 0) return exitCodes.pass;
  output.err("refused: --refuse-widening lets pass only what narrows the policy, or neither\n");
  return exitCodes.fail;
}

async function readPolicy(file: string): Promise<DiffedPolicy & { text: string }> {
  const bytes = await readPolicyFile(file);
  return { policy: parsePolicy(bytes, file), digest: digestOf(bytes), text: new TextDecoder().decode(bytes) };
}

function nameOf({ policy: { name, serial }, digest }: DiffedPolicy): object {
  return { name, serial, digest };
}
