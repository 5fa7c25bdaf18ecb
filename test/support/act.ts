import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { selectBuildEnvironment } from "@goldenpath/core/build/environment";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { projectRoot } from "./workflows.ts";

export interface ActOptions {
  act: string;
  /** The caller's repository: a git checkout with the remote `origin`. */
  repository: string;
  /** An empty folder of this run's own: act's home, caches and workspaces. */
  directory: string;
  event: { name: string; payload: object };
  secrets: Readonly<Record<string, string>>;
  /** `OWNER/REPO@REF` → the folder that stands in for its download. */
  repositories: Readonly<Record<string, string>>;
  /** More for the jobs' environment, as a runner of one's own would have it. */
  env?: Readonly<Record<string, string>>;
  /** A folder for act's own cache service; without one there is none. */
  cacheService?: string;
}

export interface ActRun {
  exitCode: number;
  /**
   * By the job's name with its callers' before it, such as `golden path/path/scan/scan`: `success` or `failure`; a job
   * that never started is not there.
   */
  jobs: Record<string, string>;
  /** What each step left for the job summary. */
  summaries: { job: string; step: string; markdown: string }[];
  /** `JOB | line`, for messages and for what must be nowhere in it. */
  log: string;
}

interface LogLine {
  job?: string;
  step?: string;
  msg?: string;
  jobResult?: string;
  command?: string;
  content?: string;
}

/**
 * Runs a workflow with act on this host: each job gets a workspace and a temporary folder of its own, and nothing of
 * the user's (home, configuration, logins). Nothing is downloaded: what `repositories` doesn't name can't be used.
 */
export async function runAct(options: ActOptions): Promise<ActRun> {
  const at = (name: string): string => join(options.directory, name);
  for (const name of ["home", "config/act", "cache", "bin"]) mkdirSync(at(name), { recursive: true });
  // Without a file of settings act asks on its first start which images to use.
  writeFileSync(at("config/act/actrc"), "-P ubuntu-latest=-self-hosted\n");
  writeFileSync(at("event.json"), JSON.stringify(options.event.payload));
  // Not by arguments, which every process of the machine can read. JSON is YAML, and keeps the lines of a PEM.
  writeFileSync(at("secrets.yaml"), JSON.stringify(options.secrets), { mode: 0o600 });
  // Actions of `using: node24` are started with the first node in PATH.
  symlinkSync(realpathSync(join(projectRoot, "node_modules/.bin/node")), at("bin/node"));
  const { process: machine, platform: network } = selectBuildEnvironment(process.env);
  // Secrets are not hidden in the log: a test wants to see whether anything prints them.
  const args = [
    options.event.name,
    ...["--json", "--insecure-secrets", "--pull=false", "--no-skip-checkout", "--container-daemon-socket", "-"],
    ...(options.cacheService === undefined
      ? ["--no-cache-server"]
      : ["--cache-server-addr", "127.0.0.1", "--cache-server-path", options.cacheService]),
    // act's cache of local repositories is a map that two jobs must not write at once.
    ...["--concurrent-jobs", "1"],
    ...["--eventpath", at("event.json"), "--secret-file", at("secrets.yaml"), "--action-cache-path", at("cache/act")],
    ...Object.entries(options.repositories).flatMap(([name, directory]) => [
      "--local-repository",
      `${name}=${directory}`,
    ]),
  ];
  const { exitCode, stdout, stderr } = await runProcess(options.act, args, {
    cwd: options.repository,
    env: {
      ...machine,
      ...network,
      ...options.env,
      PATH: [at("bin"), process.env["PATH"]].join(delimiter),
      HOME: at("home"),
      XDG_CONFIG_HOME: at("config"),
      XDG_CACHE_HOME: at("cache"),
      DOCKER_CONFIG: at("home/.docker"),
    },
    timeoutMs: 600_000,
  });
  return { exitCode, ...readLog(stdout, stderr) };
}

function readLog(stdout: string, stderr: string): Omit<ActRun, "exitCode"> {
  const jobs: ActRun["jobs"] = {};
  const summaries: ActRun["summaries"] = [];
  const log: string[] = [];
  for (const line of [...stdout.split("\n"), ...stderr.split("\n")]) {
    const entry = parseLine(line);
    // act pads the names of jobs that run side by side.
    const job = entry.job?.trimEnd() ?? "";
    if (entry.jobResult !== undefined) jobs[job] = entry.jobResult;
    if (entry.command === "summary") summaries.push({ job, step: entry.step ?? "", markdown: entry.content ?? "" });
    log.push(`${job} | ${entry.msg ?? line}`.trimEnd());
  }
  return { jobs, summaries, log: log.join("\n") };
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return {};
  }
}
