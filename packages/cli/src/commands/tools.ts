import { parseArgs } from "node:util";
import { prefetchTools } from "@goldenpath/core/tools/find";
import { productionTools } from "@goldenpath/core/tools/lock";
import { listTools, planTools } from "@goldenpath/core/tools/plan";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { createTerminalPorts } from "../ports.ts";
import { abortOnInterrupt } from "./verbs.ts";

/** `goldenpath tools [list|prefetch] [NAME…] [--json]`: which program each tool would be, from where, and why not from an earlier source. */
export async function runToolsCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: { json: { type: "boolean" } }, allowPositionals: true });
  const [action = "list", ...names] = positionals;
  const options = { ports: createTerminalPorts({ out: process.stderr }), env: process.env, signal: abortOnInterrupt() };
  if (action === "list") {
    const plans = names.length === 0 ? await listTools(options) : await planTools(names, options);
    if (values.json === true) output.out(`${stringifyJson(plans, 2)}\n`);
    else {
      for (const plan of plans) {
        output.out(
          `${plan.name.padEnd(10)} ${plan.version.padEnd(9)} ${(plan.source ?? "nowhere").padEnd(11)} ${plan.path ?? plan.origin ?? ""}\n`,
        );
        for (const { source, reason } of plan.rejected) output.out(`${" ".repeat(21)}not from ${source}: ${reason}\n`);
      }
    }
    return plans.every((plan) => plan.source !== undefined) ? exitCodes.pass : exitCodes.error;
  }
  if (action === "prefetch") {
    const found = await prefetchTools(names.length === 0 ? productionTools.map((tool) => tool.name) : names, options);
    if (values.json === true) output.out(`${stringifyJson(found, 2)}\n`);
    else for (const tool of found) output.out(`${tool.name.padEnd(10)} ${tool.version.padEnd(9)} ${tool.source.padEnd(11)} ${tool.path}\n`);
    return exitCodes.pass;
  }
  throw new UserError(`goldenpath tools: '${action}' is not known; expected list or prefetch`, { code: "arguments-invalid" });
}
