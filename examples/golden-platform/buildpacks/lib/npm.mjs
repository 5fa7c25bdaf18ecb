import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApplicationError } from "./error.mjs";
import { writeJson } from "./layers.mjs";

/**
 * The lifecycle sets HOME to what /etc/passwd says, which for a service's user may be nowhere; npm can't work without a
 * place for its cache.
 */
export function withNpmCache(env) {
  const isWritable = (path) => {
    try {
      mkdirSync(path, { recursive: true });
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  };
  if (env.npm_config_cache !== undefined || isWritable(join(env.HOME ?? "/nonexistent", ".npm")))
    return { env, release: () => undefined };
  const cache = mkdtempSync(join(tmpdir(), "npm-cache-"));
  return { env: { ...env, npm_config_cache: cache }, release: () => rmSync(cache, { recursive: true, force: true }) };
}

/**
 * Installs one package of the platform's own pins into `folder`. npm itself checks the tarball against the integrity in
 * the lock file that is written here, whichever registry or cache it comes from.
 */
export function installPinned(folder, { name, version, integrity }, env, args = []) {
  const dependencies = { [name]: version };
  writeJson(join(folder, "package.json"), { private: true, dependencies });
  writeJson(join(folder, "package-lock.json"), {
    lockfileVersion: 3,
    requires: true,
    packages: { "": { dependencies }, [`node_modules/${name}`]: { version, integrity } },
  });
  runNpm(["ci", ...args], folder, env, `${name}@${version} could not be installed.`);
  return join(folder, "node_modules", name);
}

/** Packages' install scripts are strangers' code, and run only where the build's env says so. */
export function scriptsFlag(env) {
  return env.BP_NODE_INSTALL_SCRIPTS === "true" ? [] : ["--ignore-scripts"];
}

export function runNpm(args, directory, env, failure) {
  const quiet = [...scriptsFlag(env), "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  const result = spawnSync("npm", [...args, ...quiet], {
    cwd: directory,
    env,
    encoding: "utf8",
    stdio: ["ignore", "inherit", "pipe"],
  });
  if (result.error !== undefined)
    throw new ApplicationError(
      `npm can't be started (${result.error.message}). The build environment needs Node.js with npm.`,
    );
  if (result.status === 0) return;
  const output = result.stderr.trim();
  const reason = output.includes("EINTEGRITY")
    ? "What the registry sent is not what was pinned: its integrity differs. Nothing of it is used. Find out why before you change the pin."
    : "See npm's message above.";
  throw new ApplicationError(`${output}\n${failure} ${reason}`);
}
