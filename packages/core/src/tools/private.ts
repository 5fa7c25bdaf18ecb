import type { Context } from "@goldenpath/foundation/ports";
import { type FindToolOptions, type FoundTool, findTool, prefetchTools } from "./find.ts";
import { type LockedTool, productionTools } from "./lock.ts";

/** By invocation: a tool is copied, hashed and found once in each. */
const found = new WeakMap<Context, Map<string, Promise<FoundTool>>>();

/** A name in the lock, or what a guest brings: a program with its own entry. */
export type WantedTool = string | LockedTool;

/**
 * {@link findTool} for a verb: what it runs is a copy in the invocation's own folder, hashed there, and removed with
 * the folder.
 */
export function findPrivateTool(wanted: WantedTool, context: Context): Promise<FoundTool> {
  const tools = toolsOf(context);
  const name = nameOf(wanted);
  const known = tools.get(name);
  if (known !== undefined) return known;
  const finding = findTool(name, optionsOf(context, [wanted]));
  tools.set(name, finding);
  return finding;
}

/**
 * {@link prefetchTools} for a verb, beside what `work` does until it waits for them; {@link findPrivateTool} then waits
 * for the same ones. When `work` is done, whatever came of it, nothing is on its way any more.
 * @param work its argument has the tools, in the order of `wanted`
 */
export async function withPrivateTools<T>(
  wanted: readonly WantedTool[],
  context: Context,
  work: (ready: Promise<FoundTool[]>) => Promise<T>,
): Promise<T> {
  const stopped = new AbortController();
  const signal = AbortSignal.any([context.signal, stopped.signal]);
  const names = wanted.map(nameOf);
  const known = names.flatMap((name) => toolsOf(context).get(name) ?? []);
  // Work around this one has them on their way, or has had them.
  if (known.length === names.length) {
    const there = Promise.all(known);
    there.catch(() => undefined);
    return work(there);
  }
  const ready = prefetchTools(names, { ...optionsOf(context, wanted), signal });
  // Whoever waits for them is told; work that fails before it does has something else to say.
  const settled = ready.catch(() => undefined);
  for (const name of names) {
    const one = ready.then(
      (tools) => tools.find((tool) => tool.name === name) ?? Promise.reject(new TypeError(`${name} was asked for`)),
    );
    one.catch(() => undefined);
    toolsOf(context).set(name, one);
  }
  try {
    return await work(ready);
  } finally {
    stopped.abort();
    await settled;
  }
}

function nameOf(wanted: WantedTool): string {
  return typeof wanted === "string" ? wanted : wanted.name;
}

function toolsOf(context: Context): Map<string, Promise<FoundTool>> {
  const tools = found.get(context) ?? new Map<string, Promise<FoundTool>>();
  found.set(context, tools);
  return tools;
}

function optionsOf(
  { ports, env, signal, temporaryDirectory }: Context,
  wanted: readonly WantedTool[],
): FindToolOptions {
  const brought = wanted.filter((tool) => typeof tool !== "string");
  return { ports, env, signal, privateDirectory: temporaryDirectory, lock: [...brought, ...productionTools] };
}
