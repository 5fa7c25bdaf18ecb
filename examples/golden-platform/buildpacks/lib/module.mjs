import { existsSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "./error.mjs";

/**
 * The place of one application of a workspace, whose files are in a folder of their own and whose lock file is above:
 * its `directory` is that folder. The place itself, where the variable is not set.
 * @param {import("./main.mjs").Place} place
 * @param {string} variable that names the folder, from the workspace's
 * @param {string} file that such a folder has; another one belongs to another language, and is not this buildpack's
 * @throws ApplicationError
 */
export function openModule(place, variable, file) {
  const folder = (place.env[variable] ?? "").replace(/^\.\//, "").replace(/\/+$/, "");
  if (folder === "" || folder === ".") return place;
  const directory = join(place.directory, folder);
  const isBelow =
    statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true &&
    realpathSync(directory).startsWith(`${realpathSync(place.directory)}/`);
  if (!isBelow) throw new ApplicationError(`${variable} is ${folder}, and the application has no such folder.`);
  if (!existsSync(join(directory, file)))
    throw new ApplicationError(`${variable} is ${folder}, and there is no ${file} in that folder.`);
  return { ...place, directory };
}
