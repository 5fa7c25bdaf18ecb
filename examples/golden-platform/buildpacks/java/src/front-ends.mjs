import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chooseManager, describeBerry, installManager } from "../lib/managers.mjs";
import { scriptsFlag } from "../lib/npm.mjs";

const locks = { "yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm" };

/**
 * Where pages are compiled by the build of Maven or Gradle (there is a package.json in the folder or below it, or
 * BP_JAVA_INSTALL_NODE says so), the package manager of their lock file is put into the build's PATH beside Node.js and
 * npm, which the build environment has.
 * @returns {Record<string, string>} the build's environment
 */
export function addPackageManagers(place, env) {
  const found = findPackages(place.directory);
  const isWanted = place.env.BP_JAVA_INSTALL_NODE ?? String(found.length > 0);
  if (isWanted !== "true") return env;
  const temporary = env.TMPDIR ?? "/tmp";
  const programs = join(temporary, "package-managers");
  mkdirSync(programs, { recursive: true });
  const own = {
    ...describeBerry(env),
    PATH: `${programs}:${env.PATH}`,
    npm_config_cache: env.npm_config_cache ?? join(temporary, "npm-cache"),
    YARN_CACHE_FOLDER: join(temporary, "yarn-cache"),
    ...(scriptsFlag(env).length > 0 ? { npm_config_ignore_scripts: "true", YARN_ENABLE_SCRIPTS: "false" } : {}),
  };
  const placed = new Set();
  for (const path of found) {
    const manager = locks[path.slice(path.lastIndexOf("/") + 1)];
    if (manager === undefined || placed.has(manager)) continue;
    placed.add(manager);
    const name = chooseManager(manager, readFileSync(path, "utf8"));
    const { command, title } = installManager(place, name, own);
    place.say(`${title} is there for the build, whose pages have ${path.slice(place.directory.length + 1)}`);
    writeFileSync(join(programs, manager), `#!/bin/sh\nexec ${command.join(" ")} "$@"\n`);
    chmodSync(join(programs, manager), 0o755);
  }
  return own;
}

/** Files of packages and their locks, those at the top first. */
function findPackages(directory, depth = 0) {
  const entries = readdirSync(directory, { withFileTypes: true });
  const own = entries
    .filter((entry) => entry.isFile() && (entry.name === "package.json" || Object.hasOwn(locks, entry.name)))
    .map((entry) => join(directory, entry.name));
  const below = depth > 3 ? [] : entries.filter((entry) => entry.isDirectory() && !passedOver.test(entry.name));
  return [...own, ...below.flatMap((entry) => findPackages(join(directory, entry.name), depth + 1))];
}

const passedOver = /^(?:\.|node_modules$|target$|build$|java$|resources$)/;
