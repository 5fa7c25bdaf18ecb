import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chooseManager, describeBerry, installManager } from "../lib/managers.mjs";
import { runNpm, scriptsFlag } from "../lib/npm.mjs";
import { run } from "../lib/run.mjs";

/**
 * What a package manager calls these: everything that the lock file lists; of it what production needs; and, where
 * everything is there, what is for development taken away.
 * @typedef {object} Manager
 * @property {string[]} command with which it runs a script
 * @property {Record<string, string>} env
 * @property {(env: Record<string, string>) => void} installAll
 * @property {() => void} installProduction
 * @property {() => void} prune
 */

const pruned = "What is for development could not be taken away.";

/** @returns {Manager} of the platform's version, whatever package.json asks for */
export function openManager(place, { manager, file }, env) {
  if (manager === "npm") return openNpm(place, file, env);
  const name = chooseManager(manager, readFileSync(join(place.directory, file), "utf8"));
  const open = manager === "pnpm" ? openPnpm : name === "yarn-berry" ? openBerry : openYarn;
  return open(place, { name, file }, env);
}

/** npm reads the lock files of its older versions as well, and asks the registry for what they lack. */
function openNpm({ directory }, file, env) {
  const failure = `The dependencies of ${file} could not be installed.`;
  return {
    command: ["npm"],
    env,
    installAll: (developing) => runNpm(["ci", "--include=dev"], directory, developing, failure),
    installProduction: () => runNpm(["ci", "--omit=dev"], directory, env, failure),
    prune: () => runNpm(["prune", "--omit=dev"], directory, env, pruned),
  };
}

function openPnpm(place, { name, file }, env) {
  const { home, call, command } = install(place, name, file, env);
  const own = {
    ...env,
    npm_config_manage_package_manager_versions: "false",
    npm_config_store_dir: join(home, "store"),
    npm_config_package_import_method: "copy",
  };
  const flags = ["install", "--frozen-lockfile", ...scriptsFlag(env), "--reporter=append-only"];
  const failure = `The dependencies of ${file} could not be installed.`;
  const production = () => {
    call([...flags, "--prod"], { ...own, CI: "true" }, failure);
    // pnpm's notes for its next call, which there is none of: they say when this one was.
    for (const name of [".modules.yaml", ".pnpm-workspace-state.json", ".pnpm-workspace-state-v1.json"])
      rmSync(join(place.directory, "node_modules", name), { force: true });
  };
  return {
    command,
    env: own,
    installAll: (developing) => call([...flags, "--prod=false"], { ...own, ...developing }, failure),
    installProduction: production,
    prune: () => {
      // `pnpm prune` takes the links away and leaves the packages.
      rmSync(join(place.directory, "node_modules"), { recursive: true, force: true });
      production();
    },
  };
}

/** The first yarn, which is still what most lock files are of. Which Node.js runs is the platform's to say. */
function openYarn(place, { name, file }, env) {
  const { home, call, command } = install(place, name, file, env);
  const own = { ...env, YARN_CACHE_FOLDER: join(home, "cache") };
  const flags = ["install", "--frozen-lockfile", "--non-interactive", "--no-progress", "--ignore-engines"];
  const failure = `The dependencies of ${file} could not be installed.`;
  const production = () => call([...flags, ...scriptsFlag(env), "--production"], own, failure);
  return {
    command,
    env: own,
    installAll: (developing) =>
      call([...flags, ...scriptsFlag(env), "--production=false"], { ...own, ...developing }, failure),
    installProduction: production,
    prune: production,
  };
}

/** Later ones, which are told the registry, the proxy and the authorities by variables of their own. */
function openBerry(place, { name, file }, env) {
  const { home, call, command } = install(place, name, file, env);
  const own = {
    ...describeBerry(env),
    YARN_CACHE_FOLDER: join(home, "cache"),
    YARN_IGNORE_PATH: "1",
    YARN_NODE_LINKER: "node-modules",
    YARN_ENABLE_GLOBAL_CACHE: "false",
    YARN_ENABLE_TELEMETRY: "false",
    YARN_ENABLE_SCRIPTS: String(scriptsFlag(env).length === 0),
  };
  const failure = `The dependencies of ${file} could not be installed.`;
  const all = (more) => call(["install", "--immutable"], { ...own, ...more }, failure);
  const focus = () => call(["workspaces", "focus", "--all", "--production"], own, pruned);
  return {
    command,
    env: own,
    installAll: all,
    installProduction: () => {
      all({});
      focus();
    },
    prune: focus,
  };
}

/** One of the platform's package managers, for the time of the build. */
function install(place, name, file, env) {
  const { home, command, title } = installManager(place, name, env);
  place.say(`${title} installs what ${file} lists`);
  const call = (args, with_, failure) =>
    run([...command, ...args], { directory: place.directory, env: with_, failure });
  return { home, command, call };
}
