import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { findFrontEnd } from "../lib/front-end.mjs";
import { contributeLayer, keyOf, writeJson } from "../lib/layers.mjs";
import { openModule } from "../lib/module.mjs";
import { withNpmCache } from "../lib/npm.mjs";
import { isSiteWanted } from "../lib/plan.mjs";
import { checkCommands, writeProcesses } from "../lib/processes.mjs";
import { readTable } from "../lib/toml.mjs";
import { lockApplication, readApplication, readManifest } from "./application.mjs";
import { buildInPlace } from "./in-place.mjs";
import { installModules } from "./modules.mjs";
import { installRuntime } from "./runtime.mjs";
import { renderRuntimeSbom } from "./sbom.mjs";
import { readStart } from "./start.mjs";
import { listNeeded } from "./workspace.mjs";

/** What npm calls the processors that the Buildpack specification names as Go does. */
const processors = { amd64: "x64", arm64: "arm64" };

/** The runtime, the packages (a layer of their own, or in the application's folder), and how it starts. */
export function build(place) {
  const { env, release } = withNpmCache(place.env);
  try {
    const { layers, architecture, version } = place;
    const isSite = (env.BP_WEB_SERVER ?? "") !== "" || isSiteWanted(place);
    const inner = openModule(place, "BP_NODE_PROJECT_PATH", "package.json");
    const isModule = inner !== place;
    const { manifest: outer } = readApplication(place);
    const manifest = isModule ? readManifest(inner) : outer;
    const start = isSite ? undefined : chooseStart(inner, manifest);
    const found = start === undefined ? {} : { web: start };
    if (!isSite) checkCommands(inner, found);
    const scripts = [
      ...(isModule ? listNeeded(place, outer, manifest) : []),
      ...chooseScripts(manifest, env).map((name) => ({ name, directory: inner.directory })),
    ];
    const application = lockApplication(place, env);
    const descriptor = readFileSync(join(place.buildpack, "buildpack.toml"), "utf8");
    const runtime = readTable(descriptor, "metadata.node");
    const target = { cpu: processors[architecture], integrity: runtime[`integrity-${architecture}`] };
    if (target.cpu === undefined || target.integrity === undefined)
      throw new ApplicationError(
        `There is no Node.js runtime for ${architecture} in this buildpack; it has amd64 and arm64.`,
      );
    const programs = [];
    const isSimple =
      !isModule &&
      scripts.length === 0 &&
      application.lock?.packages !== undefined &&
      !hasWorkspaces(application.lock) &&
      !isSite;
    if (!isSite) {
      const key = keyOf(version, runtime.version, target.integrity);
      contributeLayer(place, "node", key, `Node.js ${runtime.version}`, (layer) =>
        installRuntime(layer, runtime.version, target, env),
      );
      writeJson(join(layers, "node.sbom.cdx.json"), renderRuntimeSbom(runtime.version, target.integrity));
    }
    if (isSimple) programs.push(installModules(place, application, target, env));
    else {
      programs.push(buildInPlace(place, application, { scripts, isSite }, env));
    }
    if (isSite) writeFileSync(join(layers, "launch.toml"), "");
    else {
      const own = isModule ? { within: inner.directory } : {};
      if (isModule) programs.unshift(join(inner.directory, "node_modules", ".bin"));
      writeProcesses(inner, found, { folders: programs, names: ["node"], ...own });
    }
  } finally {
    release();
  }
}

/** @throws ApplicationError for a development server, where nothing says otherwise */
function chooseStart({ directory, env }, manifest) {
  const frontEnd = env.BP_START_COMMAND ? undefined : findFrontEnd(directory);
  if (frontEnd === undefined) return readStart(manifest, directory);
  throw new ApplicationError(
    `\`${frontEnd.command}\` is a server for development. What "build" leaves in ${frontEnd.root} is a site, and this builder has no buildpack that serves one. Use a builder that has, or set BP_START_COMMAND in the build's env.`,
  );
}

/**
 * BP_NODE_RUN_SCRIPTS, separated by commas; else the application's own `postinstall`, which is not run with those of its
 * packages, and what builds it: the script that Google's or Heroku's buildpacks run in place of `build`, or `build`.
 */
function chooseScripts({ scripts = {} }, env) {
  if (env.BP_NODE_RUN_SCRIPTS === undefined) {
    const building = ["gcp-build", "heroku-postbuild", "build"].find((name) => scripts[name] !== undefined);
    return ["postinstall", building].filter((name) => scripts[name] !== undefined);
  }
  const named = env.BP_NODE_RUN_SCRIPTS.split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const missing = named.find((name) => scripts[name] === undefined);
  if (missing !== undefined)
    throw new ApplicationError(
      `BP_NODE_RUN_SCRIPTS names ${missing}, and package.json has the scripts ${Object.keys(scripts).join(", ") || "of no name"}.`,
    );
  return named;
}

function hasWorkspaces({ packages }) {
  return Object.entries(packages).some(
    ([path, entry]) => path !== "" && (entry.link === true || !path.startsWith("node_modules/")),
  );
}
