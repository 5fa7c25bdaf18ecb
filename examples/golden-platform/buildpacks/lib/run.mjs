import { spawnSync } from "node:child_process";
import { ApplicationError } from "./error.mjs";

/**
 * Runs a program of the build's, its output in the log.
 * @throws ApplicationError with `failure`, which says what was wanted
 */
export function run(command, { directory, env, failure }) {
  const [program, ...args] = command;
  const result = spawnSync(program, args, { cwd: directory, env, stdio: ["ignore", "inherit", "inherit"] });
  if (result.error !== undefined) throw new ApplicationError(`${failure} (${program}: ${result.error.message})`);
  if (result.status === 0) return;
  const how = result.signal === null ? `exit code ${result.status}` : `signal ${result.signal}`;
  throw new ApplicationError(`${failure} (${program}: ${how}; its own message is above.)`);
}

/** The same for a program whose standard output is the answer. */
export function read(command, { directory, env, failure }) {
  const [program, ...args] = command;
  const result = spawnSync(program, args, {
    cwd: directory,
    env,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (result.error !== undefined) throw new ApplicationError(`${failure} (${program}: ${result.error.message})`);
  if (result.status !== 0) throw new ApplicationError(`${failure} (${program}: exit code ${result.status})`);
  return result.stdout;
}

/** For a question that a program answers by its exit code. */
export function succeeds(command, { directory, env }) {
  const [program, ...args] = command;
  return spawnSync(program, args, { cwd: directory, env, stdio: "ignore" }).status === 0;
}
