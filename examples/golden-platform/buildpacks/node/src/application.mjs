import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { runNpm } from "../lib/npm.mjs";
import { readTable } from "../lib/toml.mjs";

const write = {
  npm: "Run `npm install --package-lock-only` and commit the file: dependencies are installed exactly as it lists them.",
};

/** Lock files and whose they are, the first one that is there counts. */
const locks = [
  { file: "pnpm-lock.yaml", manager: "pnpm" },
  { file: "yarn.lock", manager: "yarn" },
  { file: "npm-shrinkwrap.json", manager: "npm" },
  { file: "package-lock.json", manager: "npm" },
];

/**
 * Reads package.json and finds out what its dependencies are installed by.
 * @param {import("../lib/main.mjs").Place} place
 * @returns {{ manifest: object, manager: "npm" | "yarn" | "pnpm", file?: string, lock?: object, lacksLock?: true }}
 *   without `file` where there is no lock file, and with `lacksLock` where there is something to install; `lock` is npm's
 * @throws ApplicationError that says what is missing or wrong, and what to do
 */
export function readApplication({ directory, buildpack }) {
  const manifest = isProgramAlone(directory) ? {} : readManifest({ directory });
  const found = locks.filter(({ file }) => existsSync(join(directory, file)));
  const wanted = /^(npm|yarn|pnpm)@/.exec(manifest.packageManager ?? "")?.[1];
  const chosen = found.find(({ manager }) => manager === wanted) ?? found[0];
  if (chosen === undefined) {
    if (!needsPackages(manifest)) return { manifest, manager: "npm" };
    const descriptor = readFileSync(join(buildpack, "buildpack.toml"), "utf8");
    if (readTable(descriptor, "metadata.lock-file").missing === "resolve")
      return { manifest, manager: "npm", lacksLock: true };
    throw new ApplicationError(
      `There is ${describeForeign(directory)}no package-lock.json. ${write.npm} (yarn.lock and pnpm-lock.yaml will do as well.)`,
    );
  }
  if (chosen.manager !== "npm") return { manifest, ...chosen };
  const lock = readJson(directory, chosen.file, write.npm);
  if (typeof lock.packages === "object" && lock.packages !== null) checkSources(lock, chosen.file);
  else if (typeof lock.dependencies === "object" && lock.dependencies !== null) checkOldSources(lock, chosen.file);
  else throw new ApplicationError(`${chosen.file} lists no packages. ${write.npm}`);
  return { manifest, ...chosen, lock };
}

/** @throws ApplicationError */
export function readManifest({ directory }) {
  return readJson(directory, "package.json", "A Node.js application has one at its root.");
}

/**
 * The application, with the lock file that npm writes for it today where it has none: from there on it is installed as
 * any other, by hashes that the registry gave. The next build may find other versions, and the log says so.
 */
export function lockApplication(place, env) {
  const application = readApplication(place);
  if (application.lacksLock !== true) return application;
  place.say(
    `WARNING: there is ${describeForeign(place.directory)}no lock file, so this build takes the versions that the registry has today, and another may take others. ${write.npm}`,
  );
  const failure = "The registry's versions do not fit together, and there is no lock file that names some that do.";
  runNpm(["install", "--package-lock-only"], place.directory, env, failure);
  return readApplication(place);
}

/** What names versions that nothing here reads. */
function describeForeign(directory) {
  const file = ["bun.lock", "bun.lockb"].find((name) => existsSync(join(directory, name)));
  return file === undefined ? "" : `${file}, which only Bun reads, and this platform has none: besides it there is `;
}

/** A server that needs no packages: `server.js`, where no other language's file is. */
function isProgramAlone(directory) {
  const has = (name) => existsSync(join(directory, name));
  const others = ["package.json", "Gemfile", "composer.json", "index.php", "requirements.txt", "pyproject.toml"];
  return has("server.js") && !others.some(has);
}

function needsPackages({ dependencies, devDependencies, optionalDependencies, workspaces }) {
  return (
    workspaces !== undefined ||
    [dependencies, devDependencies, optionalDependencies].some((each) => Object.keys(each ?? {}).length > 0)
  );
}

/**
 * Only what a registry sends and the lock file knows the hash of is installed: npm takes an entry without `integrity`
 * as it comes. What lies inside another package's tarball (`inBundle`) is covered by that one's hash, and the
 * application's own workspaces come with its source.
 */
function checkSources({ packages }, file) {
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "" || entry.inBundle === true) continue;
    if (entry.link === true || !path.includes("node_modules/")) {
      const folder = entry.link === true ? entry.resolved : path;
      if (
        typeof folder === "string" &&
        !folder.startsWith("..") &&
        !folder.startsWith("/") &&
        packages[folder] !== undefined
      )
        continue;
      throw new ApplicationError(`${file} has ${path} from another folder, which is not in the application.`);
    }
    if (typeof entry.integrity !== "string") throw lacksIntegrity(path, file);
  }
}

/** The same for the format of npm 6 and earlier: packages below those that brought them. */
function checkOldSources({ dependencies }, file, above = "") {
  for (const [name, entry] of Object.entries(dependencies ?? {})) {
    const path = `${above}node_modules/${name}`;
    if (typeof entry.integrity !== "string" && entry.bundled !== true) throw lacksIntegrity(path, file);
    checkOldSources(entry, file, `${path}/`);
  }
}

function lacksIntegrity(path, file) {
  return new ApplicationError(
    `${file} has no integrity for ${path}, so what is downloaded could not be checked. Depend on a registry's release of it, and write the lock file anew.`,
  );
}

function readJson(directory, name, advice) {
  const path = join(directory, name);
  if (!existsSync(path)) throw new ApplicationError(`There is no ${name}. ${advice}`);
  try {
    // Some editors write a byte order mark first; npm passes over it.
    const value = JSON.parse(readFileSync(path, "utf8").replace(/^\uFEFF/, ""));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw new ApplicationError(`${name} can't be read: ${error.message}`);
  }
  throw new ApplicationError(`${name} is not a JSON object.`);
}
