import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { gatherMentionsOf, mayNameImages } from "../base/context/gather.ts";
import type { ContextRules } from "../base/context/judge.ts";
import type { BuildRules } from "../build/plan-strategy.ts";
import { isSurveyed, surveyTree } from "../build/survey/gather.ts";
import { codeownersFiles } from "../fleet/codeowners.ts";
import { type AdoptDoor, type AdoptRow, callerPath, type ListedRepository } from "./facts.ts";
import { judgeRepository } from "./judge.ts";
import { folderOfTree } from "./tree.ts";

/** Repositories that are looked at at once; GitHub asks clients for few requests at a time. */
const concurrency = 4;

export interface AdoptRules {
  build: BuildRules;
  images: ContextRules;
}

/**
 * Looks at every repository of an owner on GitHub, at its default branch, and writes nothing. One that can't be looked
 * at is a row that says so.
 * @param known rows of before, by OWNER/NAME, which are not looked at again while GitHub lists the repository as it was
 * @throws what the door does where the repositories themselves can't be listed, or `signal` is aborted
 */
export async function lookAtOwner(
  owner: string,
  rules: AdoptRules,
  door: AdoptDoor,
  { ports, signal }: { ports: Pick<Ports, "progress">; signal: AbortSignal },
  known: ReadonlyMap<string, AdoptRow> = new Map(),
): Promise<AdoptRow[]> {
  const repositories = await door.list(owner);
  const task = ports.progress.start(`look at ${owner}`, { amount: repositories.length, unit: "items" });
  try {
    const rows = await mapConcurrently(concurrency, repositories, async (repository) => {
      signal.throwIfAborted();
      const row = await lookAt(repository, rules, door, { signal, known });
      task.advance(1);
      return row;
    });
    task.done();
    return rows.toSorted((one, other) => (one.repository < other.repository ? -1 : 1));
  } catch (error) {
    task.failed();
    throw error;
  }
}

async function lookAt(
  repository: ListedRepository,
  rules: AdoptRules,
  door: AdoptDoor,
  { signal, known }: { signal: AbortSignal; known: ReadonlyMap<string, AdoptRow> },
): Promise<AdoptRow> {
  const { owner, repo, branch, isArchived, isFork, isDisabled } = repository;
  const row = { repository: `${owner}/${repo}`, branch, applications: [], bases: [], problems: [], missing: [] };
  const why = isArchived ? "it is archived" : isDisabled ? "it is disabled" : isFork ? "it is a fork" : undefined;
  if (why !== undefined) return { ...row, verdict: "apart", why };
  const earlier = known.get(row.repository);
  // What was seen of another branch says nothing of the one that is the default now.
  if (earlier?.branch === branch && earlier.verdict !== "apart") return earlier;
  try {
    const entries = await door.readTree(repository);
    if (entries === undefined || entries.length === 0) return { ...row, verdict: "apart", why: "it is empty" };
    const source = folderOfTree(entries, (sha) => door.readFile(repository, sha));
    const tree = await surveyTree(source);
    const { found } = await gatherMentionsOf(source, row.repository);
    if (source.failure !== undefined) throw source.failure;
    const links = entries.flatMap(({ path, mode }) =>
      mode === "120000" && (isSurveyed(path) || mayNameImages(path)) ? [path] : [],
    );
    const callerSha = entries.find(({ path }) => path === callerPath)?.sha;
    // As GitHub has it: a file with something in it, and no link or folder of that name.
    const hasCodeowners = entries.some(
      ({ path, mode, size = 0 }) => codeownersFiles.includes(path) && mode.startsWith("100") && size > 0,
    );
    const told = { ...row, ...(callerSha === undefined ? {} : { callerSha }) };
    return { ...told, ...judgeRepository({ tree, found, hasCodeowners, links }, rules.build, rules.images) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...row, verdict: "unknown", why: describeError(error) };
  }
}
