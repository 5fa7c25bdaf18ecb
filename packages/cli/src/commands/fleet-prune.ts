import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { pruneFleet } from "@goldenpath/core/fleet/execute-prune";
import { type RuleKind, renderKeepRules, ruleKinds } from "@goldenpath/core/fleet/keep-rules";
import { describePrune } from "@goldenpath/core/fleet/plan-prune";
import { renderPrune } from "@goldenpath/core/fleet/render-prune";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { fleetOptions, invalid, openFleet, readList } from "./fleet-options.ts";

const options = {
  ...fleetOptions,
  running: { type: "string" },
  rollbacks: { type: "string" },
  "evidence-years": { type: "string" },
  rules: { type: "string" },
  out: { type: "string" },
} as const;

/** `goldenpath fleet prune [HOST/NAME…] --policy POLICY --running FILE [--rules KIND --out DIR]`. Takes nothing away. */
export async function runFleetPrune(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.running === undefined)
    throw invalid(
      "prune: expected --running FILE, a line for each image that runs: HOST/NAME@DIGEST, DIGEST, HOST/NAME:TAG",
    );
  const kind = readKind(values.rules);
  if ((kind === undefined) !== (values.out === undefined)) throw invalid("prune: expected --rules KIND and --out DIR");
  const facts = {
    running: await readList(values.running, "--running"),
    rollbacks: readNumber(values.rollbacks ?? "3", "--rollbacks"),
    evidenceYears: readNumber(values["evidence-years"] ?? "10", "--evidence-years"),
  };
  const { context, policy, named, scope, list } = await openFleet(values, positionals);
  const plan = await withClient(context, policy, async (client) =>
    pruneFleet({ client, policy, now: new Date(), areNamed: named.length > 0 }, await list(client), {
      ...facts,
      prefixes: scope.prefixes,
    }),
  );
  output.out(values.json === true ? `${stringifyJson(describePrune(plan), 2)}\n` : renderPrune(plan));
  if (kind === undefined || values.out === undefined)
    return plan.failures.length > 0 ? exitCodes.error : exitCodes.pass;
  if (plan.failures.length > 0) {
    throw new UserError("no rules are written: of what could not be looked at nobody knows what has to be kept", {
      code: "rules-impossible",
      wayOut: "See to the failures, or leave --rules out.",
    });
  }
  await mkdir(resolve(values.out), { recursive: true });
  for (const [name, rules] of renderKeepRules(plan, kind)) {
    const file = join(resolve(values.out), name);
    await writeFile(file, `${stringifyJson(rules, 2)}\n`);
    output.err(`${file}\n`);
  }
  return exitCodes.pass;
}

function readKind(text: string | undefined): RuleKind | undefined {
  const kind = ruleKinds.find((each) => each === text);
  if (text !== undefined && kind === undefined)
    throw invalid(`prune: --rules is '${text}': expected one of ${ruleKinds.join(", ")}`);
  return kind;
}

function readNumber(text: string, option: string): number {
  if (!/^\d{1,3}$/.test(text)) throw invalid(`prune: ${option} is '${text}': expected a number, 0 to 999`);
  return Number(text);
}
