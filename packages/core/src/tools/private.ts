import type { Context } from "@goldenpath/foundation/ports";
import { type FindToolOptions, type FoundTool, findTool, prefetchTools } from "./find.ts";

/** By invocation: a tool is copied, hashed and found once in each. */
const found = new WeakMap<Context, Map<string, Promise<FoundTool>>>();

/** {@link findTool} for a verb: what it runs is a copy in the invocation's own folder, hashed there, and removed with the folder. */
export function findPrivateTool(name: string, context: Context): Promise<FoundTool> {
  const tools = toolsOf(context);
  const known = tools.get(name);
  if (known !== undefined) return known;
  const finding = findTool(name, optionsOf(context));
  tools.set(name, finding);
  return finding;
}

/** {@link prefetchTools} for a verb, in the order of `names`; {@link findPrivateTool} then has each of them at once. */
export async function prefetchPrivateTools(names: readonly string[], context: Context): Promise<FoundTool[]> {
  const tools = await prefetchTools(names, optionsOf(context));
  for (const tool of tools) toolsOf(context).set(tool.name, Promise.resolve(tool));
  return tools;
}

function toolsOf(context: Context): Map<string, Promise<FoundTool>> {
  const tools = found.get(context) ?? new Map<string, Promise<FoundTool>>();
  found.set(context, tools);
  return tools;
}

function optionsOf({ ports, env, signal, temporaryDirectory }: Context): FindToolOptions {
  return { ports, env, signal, privateDirectory: temporaryDirectory };
}
