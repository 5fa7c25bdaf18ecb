import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

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
 * @returns {{ manifest: object, manager: "npm" | "yarn" | "pnpm", file?: string, lock?: object }} without `file` where
 *   there is no lock file and nothing to install; `lock` is npm's
 * @throws ApplicationError that says what is missing or wrong, and what to do
 */
export function readApplication(directory) {
  const manifest = readJson(directory, "package.json", "A Node.js application has one at its root.");
  const found = locks.filter(({ file }) => existsSync(join(directory, file)));
  const wanted = /^(npm|yarn|pnpm)@/.exec(manifest.packageManager ?? "")?.[1];
  const chosen = found.find(({ manager }) => manager === wanted) ?? found[0];
  if (chosen === undefined) {
    if (!needsPackages(manifest)) return { manifest, manager: "npm" };
    throw new ApplicationError(
      `There is no package-lock.json. ${write.npm} (yarn.lock and pnpm-lock.yaml will do as well.)`,
    );
  }
  if (chosen.manager !== "npm") return { manifest, ...chosen };
  const lock = readJson(directory, chosen.file, write.npm);
  if (typeof lock.packages === "object" && lock.packages !== null) checkSources(lock, chosen.file);
  else if (typeof lock.dependencies === "object" && lock.dependencies !== null) checkOldSources(lock, chosen.file);
  else throw new ApplicationError(`${chosen.file} lists no packages. ${write.npm}`);
  return { manifest, ...chosen, lock };
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
