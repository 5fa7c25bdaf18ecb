import { createHash } from "node:crypto";
import type { RunFacts } from "@goldenpath/foundation/ports";
import { isOwnEvent, judgeSource, listSources } from "../../gate/binding.ts";
import { matchesSource } from "../../gate/match-source.ts";
import type { Policy } from "../../policy/schema.ts";
import type { CacheKey } from "./key.ts";

/** What of a run says who writes an entry. */
export type CacheRun = Pick<
  RunFacts,
  "sourceRepository" | "sourceRef" | "event" | "callerId" | "builderId" | "defaultBranch"
>;

/**
 * Who wrote an entry, in its tags: `protected`, or what stands for one other ref. A run reads its own entries and those
 * of `protected`, and writes its own: so what a pull request leaves is read by itself alone.
 */
export function nameWriter(run: CacheRun, policy: Policy): string {
  if (isProtected(run, policy)) return protectedWriter;
  const { sourceRepository = "", sourceRef = "" } = run;
  return createHash("sha256").update(`${sourceRepository}\n${sourceRef}`).digest("hex").slice(0, 12);
}

export const protectedWriter = "protected";

/**
 * Whether a run builds what nobody alone decides on: a source of the policy, by an event that whoever may only propose
 * can't start, on a ref that the policy names for that source or, where it names none, on the default branch.
 */
export function isProtected(run: CacheRun, policy: Policy): boolean {
  const { sourceRepository, sourceRef, event, defaultBranch } = run;
  if (sourceRepository === undefined || sourceRef === undefined || event === undefined) return false;
  // A policy may take builds of pull requests, by `events` and `refs`: to be judged, and not for others to build on.
  if (!isOwnEvent(event)) return false;
  if (judgeSource(policy, { ...run, sourceRepository }, undefined).length > 0) return false;
  if (defaultBranch !== undefined && sourceRef === `refs/heads/${defaultBranch}`) return true;
  return listSources(policy).some(
    ({ repository, refs = [] }) =>
      matchesSource(sourceRepository, repository) && refs.some((ref) => matchesSource(sourceRef, ref)),
  );
}

/** The tags of one writer's entries: the one of this very key, and the newest of its group. */
export function nameTags(writer: string, { exact, group }: CacheKey): [exact: string, newest: string] {
  return [`cache-${writer}-${exact.slice(0, 24)}`, `cache-${writer}-${group.slice(0, 24)}-newest`];
}
