import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { parseJson } from "@goldenpath/foundation/text/json";

/** What is asked of GitHub, by its own command line. */
export interface Github {
  isDry: boolean;
  /** A user's or an organisation's number: what a policy names instead of the name, which can be taken over. */
  ownerId(owner: string): Promise<string>;
  createRepository(repository: string): Promise<void>;
  deleteRepository(repository: string): Promise<void>;
  createEnvironment(repository: string, name: string): Promise<void>;
  /** A secret of the repository, or of an environment of it. Its value is on no command line. */
  setSecret(repository: string, name: string, value: string, environment?: string): Promise<void>;
  /** Commits one file to the default branch; answers with the commit. */
  putFile(repository: string, path: string, content: Uint8Array): Promise<string>;
  /** The newest run for a commit, once there is one and it has ended. */
  awaitRun(repository: string, commit: string): Promise<{ conclusion: string; url: string }>;
}

interface Options {
  env: Readonly<Record<string, string | undefined>>;
  say(line: string): void;
  isDry: boolean;
  /** Milliseconds between two looks at a run, and how long one may take. */
  pollMs?: number;
  longestMs?: number;
}

/** @throws UserError where there is no `gh`, or where it is not logged in */
export async function openGithub({
  env,
  say,
  isDry,
  pollMs = 15_000,
  longestMs = 3_600_000,
}: Options): Promise<Github> {
  const gh = await findInPath("gh", env);
  if (gh === undefined && !isDry)
    throw new UserError("there is no gh in PATH", {
      code: "tool-missing",
      wayOut: "Install GitHub's command line (https://cli.github.com) and log in: gh auth login --scopes workflow",
    });
  const run = async (args: readonly string[], input?: string): Promise<string> => {
    say(`  $ gh ${args.join(" ")}${input === undefined ? "" : " < (not shown)"}`);
    if (isDry || gh === undefined) return "";
    const result = await runProcess(gh, args, { env, timeoutMs: 120_000, ...(input === undefined ? {} : { input }) });
    if (result.exitCode === 0) return result.stdout.trim();
    throw new InfrastructureError(`gh ${args.slice(0, 2).join(" ")} failed: ${result.stderr.trim()}`, {
      code: "process-failed",
      wayOut: "Look at `gh auth status`: the scopes are repo and workflow, and delete_repo for --clean.",
    });
  };
  await run(["auth", "status"]);
  return {
    isDry,
    ownerId: async (owner) => (isDry ? "0" : run(["api", `users/${owner}`, "--jq", ".id"])),
    async createRepository(repository) {
      await run(["repo", "create", repository, "--public", "--description", "goldenpath, to try: delete me"]);
    },
    async deleteRepository(repository) {
      await run(["repo", "delete", repository, "--yes"]);
    },
    async createEnvironment(repository, name) {
      await run(["api", "--method", "PUT", `repos/${repository}/environments/${name}`, "--silent"]);
    },
    async setSecret(repository, name, value, environment) {
      const where = environment === undefined ? [] : ["--env", environment];
      await run(["secret", "set", name, "--repo", repository, ...where], value);
    },
    async putFile(repository, path, content) {
      const body = { message: `Add ${path}`, content: Buffer.from(content).toString("base64") };
      const args = [
        "api",
        "--method",
        "PUT",
        `repos/${repository}/contents/${path}`,
        "--input",
        "-",
        "--jq",
        ".commit.sha",
      ];
      const commit = await run(args, JSON.stringify(body));
      return isDry ? "0".repeat(40) : commit;
    },
    async awaitRun(repository, commit) {
      const fields = "status,conclusion,url";
      const args = ["run", "list", "--repo", repository, "--commit", commit, "--limit", "1", "--json", fields];
      if (isDry) {
        await run(args);
        return { conclusion: "", url: "" };
      }
      for (const end = Date.now() + longestMs; Date.now() < end; await pause(pollMs)) {
        const [found] = parseJson(await run(args)) as { status: string; conclusion: string; url: string }[];
        if (found?.status === "completed") return found;
      }
      throw new InfrastructureError(
        `the run of ${commit} in ${repository} has not ended in ${longestMs / 60_000} min`,
        {
          code: "process-timeout",
          wayOut: `Look at https://github.com/${repository}/actions`,
        },
      );
    },
  };
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
