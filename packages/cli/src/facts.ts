import { runProcess } from "@goldenpath/foundation/exec/run";
import type { RunFacts } from "@goldenpath/foundation/ports";
import { runFactsFromGitHub } from "@goldenpath/foundation/run-facts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The facts of a run outside GitHub: the checkout's commit and remote, where there is one. On a runner its own
 * variables hold.
 */
export async function gatherRunFacts(directory: string, env: Environment): Promise<RunFacts> {
  if (env["GITHUB_ACTIONS"] === "true") return runFactsFromGitHub(env);
  const git = async (...args: string[]): Promise<string | undefined> => {
    try {
      const { exitCode, stdout } = await runProcess("git", ["-C", directory, ...args], {
        env: pickGitEnvironment(env),
        timeoutMs: 10_000,
      });
      return exitCode === 0 && stdout.trim() !== "" ? stdout.trim() : undefined;
    } catch {
      // No git, no facts: a build's attestation asks for them and says so.
      return undefined;
    }
  };
  const [commit, remote, ref, head] = await Promise.all([
    git("rev-parse", "HEAD"),
    git("remote", "get-url", "origin"),
    git("symbolic-ref", "-q", "HEAD"),
    // What a clone wrote down of the other side.
    git("symbolic-ref", "-q", "refs/remotes/origin/HEAD"),
  ]);
  const repository = remote === undefined ? undefined : parseRemote(remote);
  return {
    ...(repository === undefined ? {} : { sourceRepository: repository }),
    ...(commit === undefined ? {} : { sourceCommit: commit }),
    ...(ref === undefined ? {} : { sourceRef: ref }),
    ...(head === undefined ? {} : { defaultBranch: head.replace("refs/remotes/origin/", "") }),
    builderId: "local",
  };
}

/**
 * `git@github.com:acme/shop.git` and `https://user:secret@github.com/acme/shop.git` → `https://github.com/acme/shop`; a
 * local path has no public name.
 */
export function parseRemote(remote: string): string | undefined {
  const scp = /^(?:[^@/]+@)?([^:/]+):(?!\/\/)(.+)$/.exec(remote);
  const text = scp === null ? remote : `https://${scp[1]}/${scp[2]}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!["https:", "http:", "ssh:", "git:"].includes(url.protocol) || url.hostname === "") return undefined;
  const path = url.pathname.replace(/\.git$/, "").replace(/\/$/, "");
  return path.length > 1 ? `https://${url.hostname}${path}` : undefined;
}

/** What git needs to find itself and its settings, and nothing that a stage is trusted with. */
function pickGitEnvironment(env: Environment): Environment {
  const names = ["PATH", "HOME", "XDG_CONFIG_HOME", "USERPROFILE", "SYSTEMROOT", "LANG"];
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
