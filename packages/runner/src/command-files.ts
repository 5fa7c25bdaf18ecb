import { constants } from "node:fs";
import { lstat, open, rm } from "node:fs/promises";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { PolicyViolation } from "@goldenpath/foundation/errors";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Files that a step tells the runner by (GitHub, "Workflow commands"): outputs, the environment and the PATH of later
 * steps, state of the post step, summary, and what was made, by digest (runner#4527).
 */
const commandFiles = [
  "GITHUB_OUTPUT",
  "GITHUB_ENV",
  "GITHUB_PATH",
  "GITHUB_STATE",
  "GITHUB_STEP_SUMMARY",
  "GITHUB_ARTIFACTS",
] as const;

/**
 * A file's identity and times as one text; the time of change can't be set back by who writes. Empty where there is
 * none.
 */
async function lookAt(path: string): Promise<string> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined);
  return stats === undefined ? "" : [stats.dev, stats.ino, stats.mode, stats.size, stats.ctimeNs].join(" ");
}

/** Nothing of what is in it reaches the runner. What is in the file's place, a link for one, is not written through. */
async function empty(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  const file = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  await file.close();
}

/**
 * The verb, such that while it runs nobody writes to the runner's command files: goldenpath itself does so afterwards.
 * A build does not see them where it is kept apart; where it is not, what it wrote there would become the job's
 * outputs, or the environment of the steps that follow, so it is thrown away and said.
 * @throws PolicyViolation of the rule `build.command-files`, by the verb's `run`
 */
export function guardCommandFiles<T extends Verb>(verb: T, env: Environment): T {
  const files = commandFiles.flatMap((name) => (env[name] ? [{ name, path: env[name] }] : []));
  const check = async (before: readonly string[]): Promise<void> => {
    const after = await Promise.all(files.map(({ path }) => lookAt(path)));
    const touched = files.filter((_file, index) => before[index] !== after[index]);
    if (touched.length === 0) return;
    for (const { path } of touched) await empty(path);
    throw new PolicyViolation(
      `while the build ran, somebody wrote to the runner's ${touched.map(({ name }) => name).join(", ")}`,
      {
        code: "command-file-touched",
        rule: "build.command-files",
        wayOut:
          "Take what writes there out of the application's build; what it wrote was thrown away. No image of this build is to be used.",
      },
    );
  };
  const run: Verb["run"] = async (inputs, context) => {
    const before = await Promise.all(files.map(({ path }) => lookAt(path)));
    try {
      return await verb.run(inputs, context);
    } finally {
      await check(before);
    }
  };
  return { ...verb, run };
}
