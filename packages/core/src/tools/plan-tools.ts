import { type Inspection, inspectCached } from "./cached.ts";
import { productionTools } from "./lock.ts";
import { inspectPath } from "./path.ts";
import { type FindToolOptions, type RejectedSource, type Search, startSearch, type ToolSource } from "./search.ts";
import { hasGo, listSources, nothingKnown } from "./sources.ts";

/** What `findTool` would do, found out without downloading, building or changing anything. */
export interface ToolPlan {
  name: string;
  version: string;
  /** Undefined where no source can give the tool. */
  source?: ToolSource;
  /** The program, or an archive that has it, where it is here already. */
  path?: string;
  /** The URL or the Go module that it would come from. */
  origin?: string;
  rejected: RejectedSource[];
}

/** The plan for each of the named tools of the lock, in that order. */
export async function planTools(names: readonly string[], options: FindToolOptions): Promise<ToolPlan[]> {
  const plans: ToolPlan[] = [];
  for (const name of names) plans.push(await planTool(startSearch(name, options)));
  return plans;
}

/** The plan for every tool of the lock. */
export function listTools(options: FindToolOptions): Promise<ToolPlan[]> {
  return planTools(
    (options.lock ?? productionTools).map((tool) => tool.name),
    options,
  );
}

async function planTool(search: Search): Promise<ToolPlan> {
  const { tool } = search;
  const rejected: RejectedSource[] = [];
  const plan = { name: tool.name, version: tool.version, rejected };
  const inPath = await inspectPath(search);
  if ("path" in inPath) return { ...plan, source: "path", path: inPath.path };
  rejected.push({ source: "path", reason: inPath.reason });
  const cached = await lookInCache(search);
  if ("path" in cached) return { ...plan, source: "cache", path: cached.path };
  rejected.push({ source: "cache", reason: cached.reason });
  for (const offer of listSources(search)) {
    if ("reason" in offer) rejected.push(offer);
    else if (offer.source === "build" && !(await hasGo(search)))
      rejected.push({ source: "build", reason: "no go in PATH" });
    else return { ...plan, source: offer.source, origin: offer.origin };
  }
  return plan;
}

async function lookInCache(search: Search): Promise<Inspection> {
  const reasons: string[] = [];
  for (const file of search.files) {
    const inspected = await inspectCached(search, file);
    if ("path" in inspected) return inspected;
    reasons.push(inspected.reason);
  }
  return { reason: reasons.join("; ") || nothingKnown(search) };
}
