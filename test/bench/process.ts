import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface Command {
  /** The program (absolute, or from PATH) and its arguments. */
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
}

/** One run of a program from its start to its end, with everything that it started. */
export interface ProcessMeasure {
  seconds: number;
  /** User and system time, in all of its processes and threads. */
  cpuSeconds: number;
  /** Of the largest of its processes. MB of 10⁶ bytes. */
  peakMegabytes: number;
}

/** Longer than anything that is measured takes. Milliseconds. */
const timeLimit = 15 * 60_000;

/**
 * Only wait4(2) gives the peak memory of a process that has ended, its children included, and Node has no way to it.
 * The clock runs from the start of the program to its end: the time of this wrapper is in no measurement.
 */
const wrapper = `
import json, os, sys, time
spec = json.load(open(sys.argv[1]))
log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
nothing = os.open(os.devnull, os.O_RDONLY)
actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
started = time.perf_counter()
pid = os.posix_spawnp(spec["argv"][0], spec["argv"], spec["env"], file_actions=actions)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - started
answer = {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss}
json.dump(answer, open(spec["answer"], "w"))
`;

/** @throws Error with what the program said, where it fails or takes too long */
export async function measureProcess({ argv, env }: Command, directory: string): Promise<ProcessMeasure> {
  const folder = await mkdtemp(join(directory, "run-"));
  const [spec, log, answer] = [join(folder, "spec.json"), join(folder, "log"), join(folder, "answer.json")];
  await writeFile(spec, JSON.stringify({ argv, env, log, answer }));
  // A group of its own, so that a limit ends all of it.
  const child = spawn("python3", ["-c", wrapper, spec], {
    stdio: ["ignore", "ignore", "inherit"],
    detached: true,
    cwd: directory,
  });
  const limit = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, "SIGKILL"), timeLimit);
  try {
    await once(child, "exit");
    const text = await readFile(answer, "utf8").catch(() => {
      throw new Error(`${argv[0]} did not end within ${timeLimit / 60_000} minutes, or could not be started`);
    });
    const { code, seconds, cpu, rss } = JSON.parse(text) as { code: number; seconds: number; cpu: number; rss: number };
    if (code !== 0)
      throw new Error(
        `${argv.join(" ").slice(0, 300)} ended with ${code}: ${(await readFile(log, "utf8")).slice(-2000)}`,
      );
    return { seconds, cpuSeconds: cpu, peakMegabytes: (rss * 1024) / 1e6 };
  } finally {
    clearTimeout(limit);
    await rm(folder, { recursive: true, force: true });
  }
}
