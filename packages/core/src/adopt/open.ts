import { createHash } from "node:crypto";
import { describeError } from "@goldenpath/foundation/errors";
import {
  type AdoptRow,
  callerPath,
  type FoundPull,
  type ListedRepository,
  type OpenDoor,
  type OpenedCaller,
  RateLimited,
} from "./facts.ts";

/** The branch that callers are proposed by, in every repository. */
export const adoptBranch = "goldenpath/adopt";

/** What is proposed to repositories. */
export interface Proposal {
  /** The caller workflow. */
  caller: string;
  /** The policy's name, for the pull request's words. */
  policy: string;
  /** Whether what somebody closed is opened again. */
  reopen: boolean;
}

/** What git calls a file of these bytes. */
export function blobSha(content: string): string {
  const bytes = Buffer.from(content, "utf8");
  return createHash("sha1").update(`blob ${bytes.byteLength}\0`).update(bytes).digest("hex");
}

/**
 * Proposes a caller to a repository that the policy has nothing against, by one pull request of a branch with one file.
 * Run again, it brings an open one up to date, and leaves alone what somebody closed, put in its place, or added to the
 * branch.
 * @returns what became of it; never throws but for `signal`
 */
export async function openCaller(
  row: AdoptRow,
  proposal: Proposal,
  door: OpenDoor,
  signal: AbortSignal,
): Promise<OpenedCaller> {
  const sha = blobSha(proposal.caller);
  if (row.callerSha === sha) return { state: "there" };
  try {
    // The row may be of hours ago, and a proposal merged since.
    const standing = await door.findFile(repositoryOf(row), callerPath, row.branch);
    if (standing === sha) return { state: "there" };
    if (standing !== undefined)
      return { state: "held", why: `it has another ${callerPath} on ${row.branch}: compare them by hand` };
    return await propose(row, sha, proposal, door);
  } catch (error) {
    signal.throwIfAborted();
    return { state: "failed", why: error instanceof RateLimited ? error.message : describeError(error) };
  }
}

async function propose(row: AdoptRow, sha: string, proposal: Proposal, door: OpenDoor): Promise<OpenedCaller> {
  const repository = repositoryOf(row);
  const pulls = await door.findPulls(repository, adoptBranch);
  const open = pulls.find(({ state }) => state === "open");
  if (open === undefined && pulls[0] !== undefined && !proposal.reopen) return tellClosed(pulls[0]);
  const at = await door.findBranch(repository, adoptBranch);
  if (at === undefined) {
    const base = await door.findBranch(repository, row.branch);
    if (base === undefined) return { state: "failed", why: `its default branch ${row.branch} is not there` };
    await door.createBranch(repository, adoptBranch, base);
  } else {
    const [other] = (await door.listChanged(repository, row.branch, adoptBranch)).filter((path) => path !== callerPath);
    if (other !== undefined)
      return {
        ...{ state: "held", why: `branch ${adoptBranch} changes ${other} as well: merge it, or delete the branch` },
        ...(open === undefined ? {} : { url: open.url }),
      };
  }
  const replaces = at === undefined ? undefined : await door.findFile(repository, callerPath, adoptBranch);
  if (replaces !== sha)
    await door.writeFile(repository, {
      ...{ path: callerPath, content: proposal.caller, branch: adoptBranch, replaces },
      message: "Take the image along the golden path",
    });
  if (open !== undefined) return { state: replaces === sha ? "unchanged" : "updated", url: open.url };
  const url = await door.openPull(repository, {
    ...{ branch: adoptBranch, title: "Take the image along the golden path" },
    body: describePull(row, proposal),
  });
  return { state: "opened", url };
}

function tellClosed({ state, url }: FoundPull): OpenedCaller {
  return {
    ...{ state: "closed", url },
    why: `its pull request was ${state}, and the caller is not there: --reopen opens another one`,
  };
}

/** Only of a repository that is looked at, and so is none of these. */
function repositoryOf({ repository, branch }: AdoptRow): ListedRepository {
  const [owner = "", repo = ""] = repository.split("/");
  return { owner, repo, branch, isArchived: false, isFork: false, isDisabled: false };
}

/** Names of the repository's own files stand in backticks, without any of their own. */
function describePull({ applications }: AdoptRow, { policy }: Proposal): string {
  const quote = (text: string): string => `\`${text.replaceAll(/[`\p{C}]/gu, "?").slice(0, 200)}\``;
  const built = applications.map(
    ({ folder, module, strategy }) =>
      `- ${quote(module === "" ? folder : `${folder}/${module}`)}: by ${quote(strategy ?? "none")}`,
  );
  return [
    `This adds ${quote(callerPath)}: on each push to the default branch the image is built, held to policy ${quote(policy)}, scanned, signed and promoted.`,
    "",
    "The policy has nothing against this repository as it is. It would be built so:",
    "",
    ...built,
    "",
    "Nothing else is changed. The same command writes this file anew while the pull request is open; closed, it stays so.",
  ].join("\n");
}
