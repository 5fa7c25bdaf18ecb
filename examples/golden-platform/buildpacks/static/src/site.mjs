import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { findFrontEnd } from "../lib/front-end.mjs";
import { openModule } from "../lib/module.mjs";

/** Another language's application that has pages beside it is not a site. */
const others = [
  "package.json",
  "pom.xml",
  "build.gradle",
  "build.gradle.kts",
  "go.mod",
  "requirements.txt",
  "pyproject.toml",
  "Gemfile",
  "composer.json",
  "index.php",
];

/** The front end of a workspace that is asked for, or the application as it is. */
export function openSite(place) {
  return existsSync(join(place.directory, "package.json"))
    ? openModule(place, "BP_NODE_PROJECT_PATH", "package.json")
    : place;
}

/**
 * The folder that is served, below the application's. BP_WEB_SERVER says that it is a site although there is another
 * language's file, as where Node.js compiles it first; of a front end that is known without it.
 * @returns {string} empty for the application's own
 * @throws ApplicationError
 */
export function findSite({ directory, env }) {
  const root = env.BP_WEB_SERVER_ROOT;
  if (root !== undefined && (root.startsWith("/") || root.split("/").includes("..")))
    throw new ApplicationError(`BP_WEB_SERVER_ROOT is ${root}, which is not below the application's folder.`);
  const isSaid = (env.BP_WEB_SERVER ?? "") !== "";
  if (isSaid && !["nginx", "static"].includes(env.BP_WEB_SERVER))
    throw new ApplicationError(`BP_WEB_SERVER is ${env.BP_WEB_SERVER}; this platform has nginx.`);
  const frontEnd = findFrontEnd(directory);
  const other = others.find((name) => existsSync(join(directory, name)));
  if (!isSaid && frontEnd === undefined && other !== undefined)
    throw new ApplicationError(
      `There is ${other}: this is not a site of files alone. Set BP_WEB_SERVER=nginx in the build's env where it is one.`,
    );
  if (root !== undefined || frontEnd !== undefined) return root ?? frontEnd.root;
  const found = ["public", "dist", "build", "_site", "htdocs"].find((name) =>
    existsSync(join(directory, name, "index.html")),
  );
  if (found !== undefined) return found;
  if (isSaid || existsSync(join(directory, "index.html"))) return "";
  throw new ApplicationError(
    "There is no index.html, neither at the root nor in public. Set BP_WEB_SERVER_ROOT in the build's env where it is elsewhere.",
  );
}

/** Whether Node.js has to build it first. */
export function isBuiltFirst({ directory }, root) {
  const has = (...names) => existsSync(join(directory, ...names));
  return has("package.json") && (findFrontEnd(directory) !== undefined || !has(root, "index.html"));
}

/** What is served, once it is built. */
export function requireSite({ directory }, root) {
  const path = join(directory, root);
  if (!existsSync(join(path, "index.html")))
    throw new ApplicationError(
      `There is no ${join(root, "index.html")} to serve. Name the folder that the build writes: BP_WEB_SERVER_ROOT.`,
    );
  const real = realpathSync(path);
  if (real !== realpathSync(directory) && !real.startsWith(`${realpathSync(directory)}/`))
    throw new ApplicationError(`${root} leads out of the application's folder.`);
}
