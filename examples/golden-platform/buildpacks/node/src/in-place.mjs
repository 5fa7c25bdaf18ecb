import { rmSync } from "node:fs";
import { join, relative } from "node:path";
import { run } from "../lib/run.mjs";
import { writeSbom } from "../lib/sbom.mjs";
import { listInstalled, warnOfInstallScripts } from "./installed.mjs";
import { openManager } from "./managers.mjs";

/**
 * For what no layer beside the application can hold: workspaces, other package managers than npm, and applications that
 * are compiled. It happens in the application's own folder: everything is installed, what has to be built is, and what
 * is for development alone goes.
 * @param {{ name: string, directory: string }[]} scripts that are run, each of the package.json in its folder
 * @returns {string} the folder of the packages' programs
 */
export function buildInPlace(place, application, { scripts, isSite }, env) {
  const { directory } = place;
  const isLocked = application.file !== undefined;
  removeModules(directory);
  const manager = openManager(place, application, env);
  const developing = { NODE_ENV: "development", CI: "true" };
  if (isLocked && scripts.length === 0) manager.installProduction();
  if (isLocked && scripts.length > 0) manager.installAll({ ...manager.env, ...developing });
  for (const { name, directory: folder } of scripts) {
    place.say(`Running the script ${name}${folder === directory ? "" : ` of ${relative(directory, folder)}`}`);
    const building = { ...manager.env, NODE_ENV: env.NODE_ENV ?? "production" };
    run([...manager.command, "run", name], {
      directory: folder,
      env: building,
      failure: `The script "${name}" of package.json failed.`,
    });
  }
  if (isLocked && scripts.length > 0 && !isSite) manager.prune();
  // Settings may hold a credential, and nothing needs them in the image.
  for (const name of [".npmrc", ".yarnrc.yml", ".yarnrc", ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz"])
    rmSync(join(directory, name), { recursive: true, force: true });
  if (isSite) removeModules(directory);
  else {
    const installed = [...listInstalled(join(directory, "node_modules"))].map(({ name, version }) => ({
      name,
      version,
      purl: `pkg:npm/${name.replace("@", "%40")}@${encodeURIComponent(version)}`,
    }));
    writeSbom(place, "launch", installed);
    warnOfInstallScripts(place, env, join(directory, "node_modules"));
  }
  return join(directory, "node_modules", ".bin");
}

function removeModules(directory) {
  rmSync(join(directory, "node_modules"), { recursive: true, force: true });
}
