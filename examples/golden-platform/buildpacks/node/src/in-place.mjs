import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../lib/run.mjs";
import { writeSbom } from "../lib/sbom.mjs";
import { installPinned, runNpm, scriptsFlag } from "./npm.mjs";

/**
 * For what no layer beside the application can hold: workspaces, other package managers than npm, and applications that
 * are compiled. It happens in the application's own folder: everything is installed, what has to be built is, and what
 * is for development alone goes.
 * @param {string[]} scripts that are run
 * @returns {string} the folder of the packages' programs
 */
export function buildInPlace(place, application, { scripts, pins, isSite }, env) {
  const { directory } = place;
  removeModules(directory);
  const manager = openManager(place, application, pins, env);
  const developing = { ...manager.env, NODE_ENV: "development", CI: "true" };
  const isDone = scripts.length === 0;
  if (application.file !== undefined) manager.install(isDone ? manager.env : developing, isDone);
  for (const name of scripts) {
    place.say(`Running the script ${name}`);
    const building = { ...developing, NODE_ENV: env.NODE_ENV ?? "production" };
    run([...manager.command, "run", name], {
      directory,
      env: building,
      failure: `The script "${name}" of package.json failed.`,
    });
  }
  if (!isDone && !isSite && application.file !== undefined) manager.prune(manager.env);
  for (const name of [".npmrc", ".yarnrc.yml", ".yarnrc", join(".yarn", "cache"), join(".yarn", "unplugged")])
    rmSync(join(directory, name), { recursive: true, force: true });
  if (isSite) removeModules(directory);
  else writeSbom(place, "launch", [...listInstalled(join(directory, "node_modules"))]);
  return join(directory, "node_modules", ".bin");
}

function removeModules(directory) {
  const path = join(directory, "node_modules");
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) rmSync(path, { recursive: true, force: true });
}

/** What each package manager calls these three: install what is locked, and take away what is for development. */
function openManager(place, { manager, file }, pins, env) {
  const { directory } = place;
  const ignore = scriptsFlag(env);
  const what = `The dependencies of ${file}`;
  if (manager === "npm") {
    return {
      env,
      command: ["npm"],
      install: (with_, isDone) =>
        runNpm(
          ["ci", ...(isDone ? ["--omit=dev"] : ["--include=dev"])],
          directory,
          with_,
          `${what} could not be installed.`,
        ),
      prune: (with_) =>
        runNpm(["prune", "--omit=dev"], directory, with_, "What is for development could not be taken away."),
    };
  }
  const isBerry = manager === "yarn" && /^__metadata:/m.test(readFileSync(join(directory, file), "utf8"));
  const pin = pins[manager === "yarn" ? (isBerry ? "yarn-berry" : "yarn") : "pnpm"];
  const home = mkdtempSync(join(place.env.TMPDIR ?? tmpdir(), "manager-"));
  const program = join(
    installPinned(home, pin, env),
    { pnpm: "bin/pnpm.cjs", yarn: isBerry ? "bin/yarn.js" : "bin/yarn.js" }[manager],
  );
  place.say(`${pin.name} ${pin.version} installs what ${file} lists`);
  const proxy = env.HTTPS_PROXY ?? env.https_proxy;
  const own = {
    ...env,
    ...(manager === "pnpm"
      ? {
          npm_config_manage_package_manager_versions: "false",
          npm_config_store_dir: join(home, "store"),
          npm_config_package_import_method: "copy",
          COREPACK_ENABLE_STRICT: "0",
        }
      : { YARN_CACHE_FOLDER: join(home, "cache") }),
    ...(isBerry
      ? {
          YARN_IGNORE_PATH: "1",
          YARN_NODE_LINKER: "node-modules",
          YARN_ENABLE_GLOBAL_CACHE: "false",
          YARN_ENABLE_TELEMETRY: "false",
          YARN_ENABLE_SCRIPTS: ignore.length === 0 ? "true" : "false",
          ...(env.npm_config_registry === undefined ? {} : { YARN_NPM_REGISTRY_SERVER: env.npm_config_registry }),
          ...(env.NODE_EXTRA_CA_CERTS === undefined ? {} : { YARN_HTTPS_CA_FILE_PATH: env.NODE_EXTRA_CA_CERTS }),
          ...(proxy === undefined ? {} : { YARN_HTTP_PROXY: env.HTTP_PROXY ?? proxy, YARN_HTTPS_PROXY: proxy }),
        }
      : {}),
  };
  const command = [process.execPath, program];
  const call = (args, with_, failure) => run([...command, ...args], { directory, env: with_, failure });
  const failure = `${what} could not be installed.`;
  const pruneFailure = "What is for development could not be taken away.";
  if (isBerry) {
    const focus = (with_) => call(["workspaces", "focus", "--all", "--production"], with_, pruneFailure);
    return {
      env: own,
      command,
      install: (with_, isDone) => {
        call(["install", "--immutable"], with_, failure);
        if (isDone) focus(with_);
      },
      prune: focus,
    };
  }
  if (manager === "yarn") {
    const flags = ["install", "--frozen-lockfile", "--non-interactive", "--no-progress", ...ignore];
    const production = (with_) => call([...flags, "--production"], with_, pruneFailure);
    return {
      env: own,
      command,
      install: (with_, isDone) => (isDone ? production(with_) : call([...flags, "--production=false"], with_, failure)),
      prune: production,
    };
  }
  const flags = ["install", "--frozen-lockfile", ...ignore, "--reporter=append-only"];
  const production = (with_) => call([...flags, "--prod"], { ...with_, CI: "true" }, pruneFailure);
  return {
    env: own,
    command,
    install: (with_, isDone) => (isDone ? production(with_) : call([...flags, "--prod=false"], with_, failure)),
    prune: (with_) => {
      // `pnpm prune` takes the links away and leaves the packages.
      removeModules(directory);
      production(with_);
    },
  };
}

/** Packages as they lie there, whoever put them: their own package.json says what they are. */
function* listInstalled(folder) {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    // A link is a workspace's, or leads to what is met below `.pnpm`.
    if (name === ".bin" || !lstatSync(path).isDirectory()) continue;
    if (name === ".pnpm") for (const each of readdirSync(path)) yield* listInstalled(join(path, each, "node_modules"));
    else if (name.startsWith("@")) yield* listInstalled(path);
    else yield* describeInstalled(path);
  }
}

function* describeInstalled(path) {
  const file = join(path, "package.json");
  if (!existsSync(file)) return;
  const { name, version } = JSON.parse(readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
  if (typeof name === "string" && typeof version === "string")
    yield { name, version, purl: `pkg:npm/${name.replace("@", "%40")}@${encodeURIComponent(version)}` };
  yield* listInstalled(join(path, "node_modules"));
}
