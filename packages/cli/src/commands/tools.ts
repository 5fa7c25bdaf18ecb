import { parseArgs } from "node:util";
import { prefetchTools } from "@goldenpath/core/tools/find";
import { productionTools, type ToolPlatform } from "@goldenpath/core/tools/lock";
import { listTools, planTools } from "@goldenpath/core/tools/plan-tools";
import { publishTools } from "@goldenpath/core/tools/publish";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { formatReference, parseReference, type Reference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { createTerminalPorts } from "../ports.ts";
import { abortOnInterrupt } from "./context.ts";

interface Surroundings {
  find: { ports: ReturnType<typeof createTerminalPorts>; env: NodeJS.ProcessEnv; signal: AbortSignal };
  json: boolean;
  output: Output;
}

/**
 * `goldenpath tools [list|prefetch] [NAME…] [--json]`, `publish oci://HOST/NAME[:TAG] [NAME…] [--platform OS-ARCH]…
 * [--json]`.
 */
export async function runToolsCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean" }, platform: { type: "string", multiple: true } },
    allowPositionals: true,
  });
  const [action = "list", ...names] = positionals;
  if (values.platform !== undefined && action !== "publish") {
    throw new UserError(`goldenpath tools ${action}: --platform is an option of tools publish`, {
      code: "arguments-invalid",
    });
  }
  const find = { ports: createTerminalPorts({ out: process.stderr }), env: process.env, signal: abortOnInterrupt() };
  const surroundings: Surroundings = { find, json: values.json === true, output };
  if (action === "list") return listCommand(names, surroundings);
  if (action === "prefetch") return prefetchCommand(names, surroundings);
  if (action === "publish") return publishCommand(names, (values.platform ?? []) as ToolPlatform[], surroundings);
  throw new UserError(`goldenpath tools: '${action}' is not known; expected list, prefetch or publish`, {
    code: "arguments-invalid",
  });
}

/** Which program each tool would be, from where, and why not from an earlier source. */
async function listCommand(names: readonly string[], { find, json, output }: Surroundings): Promise<number> {
  const plans = names.length === 0 ? await listTools(find) : await planTools(names, find);
  if (json) output.out(`${stringifyJson(plans, 2)}\n`);
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

async function prefetchCommand(names: readonly string[], { find, json, output }: Surroundings): Promise<number> {
  const found = await prefetchTools(names.length === 0 ? productionTools.map((tool) => tool.name) : names, find);
  if (json) output.out(`${stringifyJson(found, 2)}\n`);
  else
    for (const tool of found)
      output.out(`${tool.name.padEnd(10)} ${tool.version.padEnd(9)} ${tool.source.padEnd(11)} ${tool.path}\n`);
  return exitCodes.pass;
}

async function publishCommand(
  [target = "", ...names]: readonly string[],
  platforms: readonly ToolPlatform[],
  { find, json, output }: Surroundings,
): Promise<number> {
  const { registry, name, tag } = parseTarget(target);
  const published = await withRegistryClient(find, (client) =>
    publishTools(client, { registry, name }, { ...find, names, platforms, ...(tag === undefined ? {} : { tag }) }),
  );
  const reference = `oci://${formatReference(published.reference)}`;
  if (json) output.out(`${stringifyJson({ ...published, reference }, 2)}\n`);
  else {
    for (const file of published.files)
      output.out(`${file.name.padEnd(10)} ${file.version.padEnd(9)} ${file.platform.padEnd(11)} ${file.file}\n`);
    for (const { name: tool, platform, reason } of published.left)
      output.out(`${tool.padEnd(10)} ${"".padEnd(9)} ${platform.padEnd(11)} left out: ${reason}\n`);
    output.out(`GOLDENPATH_TOOL_MIRROR=${reference}\n`);
  }
  return exitCodes.pass;
}

function parseTarget(target: string): Reference {
  const invalid = (): UserError =>
    new UserError(`goldenpath tools publish: '${target}' is not oci://HOST/NAME or oci://HOST/NAME:TAG`, {
      code: "arguments-invalid",
    });
  if (!target.startsWith("oci://")) throw invalid();
  const reference = parseReference(target.slice("oci://".length), "where the tools go");
  if (reference.digest !== undefined) throw invalid();
  return reference;
}
