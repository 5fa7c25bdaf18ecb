import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../lib/run.mjs";
import { writeSbom } from "../lib/sbom.mjs";
import { openManager } from "./managers.mjs";

/**
 * For what no layer beside the application can hold: workspaces, other package managers than npm, and applications that
 * are compiled. It happens in the application's own folder: everything is installed, what has to be built is, and what
 * is for development alone goes.
 * @param {string[]} scripts that are run
 * @returns {string} the folder of the packages' programs
 */
export function buildInPlace(place, application, { scripts, descriptor, isSite }, env) {
  const { directory } = place;
  const isLocked = application.file !== undefined;
  removeModules(directory);
  const manager = openManager(place, application, descriptor, env);
  const developing = { NODE_ENV: "development", CI: "true" };
  if (isLocked && scripts.length === 0) manager.installProduction();
  if (isLocked && scripts.length > 0) manager.installAll({ ...manager.env, ...developing });
  for (const name of scripts) {
    place.say(`Running the script ${name}`);
    const building = { ...manager.env, NODE_ENV: env.NODE_ENV ?? "production" };
    run([...manager.command, "run", name], {
      directory,
      env: building,
      failure: `The script "${name}" of package.json failed.`,
    });
  }
  if (isLocked && scripts.length > 0 && !isSite) manager.prune();
  // Settings may hold a credential, and nothing needs them in the image.
  for (const name of [".npmrc", ".yarnrc.yml", ".yarnrc", ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz"])
    rmSync(join(directory, name), { recursive: true, force: true });
  if (isSite) removeModules(directory);
  else writeSbom(place, "launch", [...listInstalled(join(directory, "node_modules"))]);
  return join(directory, "node_modules", ".bin");
}

function removeModules(directory) {
  rmSync(join(directory, "node_modules"), { recursive: true, force: true });
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
