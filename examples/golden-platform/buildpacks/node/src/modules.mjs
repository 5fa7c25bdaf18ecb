import { copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { contributeLayer, keyOf, writeJson } from "../lib/layers.mjs";
import { runNpm } from "../lib/npm.mjs";
import { warnOfInstallScripts } from "./installed.mjs";
import { planInstalled, renderSbom } from "./sbom.mjs";

/**
 * What package-lock.json lists for production, as a layer of its own beside the application's files, which is kept for
 * as long as the lock file stays the same.
 */
export function installModules(place, { manifest, lock }, target, env) {
  const { directory, layers, version, architecture } = place;
  const inputs = ["package.json", "package-lock.json", ".npmrc"].filter((name) => existsSync(join(directory, name)));
  const key = keyOf(
    version,
    architecture,
    whatToInstall.join(" "),
    env.BP_NODE_INSTALL_SCRIPTS ?? "",
    ...inputs.map((name) => readFileSync(join(directory, name))),
  );
  const planned = planInstalled(lock, target);
  const { absent } = contributeLayer(place, "modules", key, "dependencies from package-lock.json", (layer) => {
    installDependencies(layer, directory, inputs, architecture, target.cpu, env);
    warnOfInstallScripts(place, env, join(layer, "node_modules"));
    return { absent: findAbsent(layer, lock, planned).join(" ") };
  });
  const left = new Set(absent.split(" "));
  const present = new Set(planned.map(({ path }) => path).filter((path) => !left.has(path)));
  // With a credential in it, it must not be in the image; nothing needs it there.
  rmSync(join(directory, ".npmrc"), { force: true });
  writeJson(join(layers, "modules.sbom.cdx.json"), renderSbom(manifest, lock, present));
  linkModules(directory, join(layers, "modules", "node_modules"));
  return join(layers, "modules", "node_modules", ".bin");
}

/** All of it is said, so that no `omit` or `include` of an .npmrc or of the environment makes it another set. */
const whatToInstall = ["--omit=dev", "--include=prod", "--include=optional", "--include=peer"];

function installDependencies(layer, directory, inputs, architecture, cpu, env) {
  for (const name of inputs) copyFileSync(join(directory, name), join(layer, name));
  try {
    const failure = `The dependencies of package-lock.json could not be installed for linux/${architecture}.`;
    runNpm(["ci", ...whatToInstall, `--cpu=${cpu}`, "--os=linux"], layer, env, failure);
  } finally {
    // .npmrc may hold a credential.
    for (const name of inputs) rmSync(join(layer, name));
  }
  // An application without dependencies gets no folder, and the link to it has to lead somewhere.
  mkdirSync(join(layer, "node_modules"), { recursive: true });
  // npm's own notes name the host that it downloaded from.
  rmSync(join(layer, "node_modules", ".package-lock.json"), { force: true });
}

/**
 * Paths that npm left out, as it may; anything else that differs from the plan would be missing in the SBOM, or a lie
 * in it.
 * @throws ApplicationError
 */
function findAbsent(layer, lock, planned) {
  const isThere = (path) => existsSync(join(layer, path, "package.json"));
  const expected = new Set(planned.map(({ path }) => path));
  const extra = Object.keys(lock.packages).find((path) => path !== "" && !expected.has(path) && isThere(path));
  if (extra !== undefined) {
    throw new ApplicationError(
      `npm installed ${extra}, which is not for production. Look in .npmrc for a setting such as \`dev\` or \`include\`.`,
    );
  }
  const absent = planned.filter(({ path }) => !isThere(path));
  const missed = absent.find(({ mayBeAbsent }) => !mayBeAbsent);
  if (missed !== undefined) {
    throw new ApplicationError(
      `npm did not install ${missed.path}, which package-lock.json has. Look in .npmrc for a setting such as \`legacy-peer-deps\`.`,
    );
  }
  return absent.map(({ path }) => path);
}

/** Node.js looks for packages beside the application's files. */
function linkModules(directory, target) {
  const link = join(directory, "node_modules");
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) {
    process.stdout.write("Leaving out the node_modules folder that came with the source\n");
    rmSync(link, { recursive: true, force: true });
  }
  symlinkSync(target, link);
}
