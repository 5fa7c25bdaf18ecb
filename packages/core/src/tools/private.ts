import type { Context } from "@goldenpath/foundation/ports";
import { type FindToolOptions, type FoundTool, findTool, prefetchTools } from "./find.ts";
import { type LockedTool, productionTools } from "./lock.ts";

/** By invocation: a tool is copied, hashed and found once in each. */
const found = new WeakMap<Context, Map<string, Promise<FoundTool>>>();

/** A name in the lock, or what a guest brings: a program with its own entry. */
export type WantedTool = string | LockedTool;

/** {@link findTool} for a verb: what it runs is a copy in the invocation's own folder, hashed there, and removed with the folder. */
export function findPrivateTool(wanted: WantedTool, context: Context): Promise<FoundTool> {
  const tools = toolsOf(context);
  const name = nameOf(wanted);
  const known = tools.get(name);
  if (known !== undefined) return known;
  const finding = findTool(name, optionsOf(context, [wanted]));
  tools.set(name, finding);
  return finding;
}

/** {@link prefetchTools} for a verb, in the order of `wanted`; {@link findPrivateTool} then has each of them at once. */
export async function prefetchPrivateTools(wanted: readonly WantedTool[], context: Context): Promise<FoundTool[]> {
  const tools = await prefetchTools(wanted.map(nameOf), optionsOf(context, wanted));
  for (const tool of tools) toolsOf(context).set(tool.name, Promise.resolve(tool));
  return tools;
}

function nameOf(wanted: WantedTool): string {
  return typeof wanted === "string" ? wanted : wanted.name;
}

function toolsOf(context: Context): Map<string, Promise<FoundTool>> {
  const tools = found.get(context) ?? new Map<string, Promise<FoundTool>>();
  found.set(context, tools);
  return tools;
}

function optionsOf({ ports, env, signal, temporaryDirectory }: Context, wanted: readonly WantedTool[]): FindToolOptions {
  const brought = wanted.filter((tool) => typeof tool !== "string");
  return { ports, env, signal, privateDirectory: temporaryDirectory, lock: [...brought, ...productionTools] };
}
