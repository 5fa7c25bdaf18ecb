import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What the developer can change. Its message is printed as it is, without a stack. */
export class ApplicationError extends Error {}

/**
 * Reads package.json and package-lock.json.
 * @throws ApplicationError that says what is missing or wrong, and what to do
 */
export function readApplication(directory) {
  const manifest = readJson(directory, "package.json", "A Node.js application has one at its root.");
  const lock = readJson(
    directory,
    "package-lock.json",
    "Run `npm install --package-lock-only` and commit the file: dependencies are installed exactly as it lists them.",
  );
  if (typeof lock.packages !== "object" || lock.packages === null) {
    throw new ApplicationError(
      "package-lock.json is of a format before version 2. Run `npm install --package-lock-only` with npm 7 or later and commit the file.",
    );
  }
  return { manifest, lock };
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

/**
 * The command of the `web` process: package.json's `scripts.start`, or `node` with its `main`. The run image has no
 * shell and no npm, so the words are taken as they stand.
 * @returns string[]
 * @throws ApplicationError where a shell would be needed, or something else than node
 */
export function readStartCommand(manifest, directory) {
  const start = manifest.scripts?.start;
  if (start === undefined) {
    const main = manifest.main ?? (existsSync(join(directory, "server.js")) ? "server.js" : "index.js");
    if (existsSync(join(directory, main))) return ["node", main];
    throw new ApplicationError(
      `package.json has no "scripts.start", and there is no ${main}. Write "start": "node server.js" or the like.`,
    );
  }
  if (typeof start !== "string" || start.trim() === "")
    throw new ApplicationError('"scripts.start" in package.json is not a command.');
  const special = /[|&;<>()$`"'\\*?[\]{}~#]/.exec(start);
  if (special !== null) {
    throw new ApplicationError(
      `"scripts.start" is \`${start}\`: ${special[0]} needs a shell, and the run image has none. Write it as "node FILE ARGUMENTS".`,
    );
  }
  const words = start.trim().split(/\s+/);
  if (words[0] !== "node") {
    throw new ApplicationError(
      `"scripts.start" is \`${start}\`: the run image has node and not ${words[0]}. Write it as "node FILE ARGUMENTS".`,
    );
  }
  return words;
}
