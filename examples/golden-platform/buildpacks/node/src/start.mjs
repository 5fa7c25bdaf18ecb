import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

/** `npm run NAME`, `npm start`, `yarn NAME`, `pnpm run NAME`: what a package manager does is run the script. */
const call =
  /\b(?:npm|pnpm|yarn)\s+(?:(?:run|run-script)\s+)?(?:(?:--silent|-s)\s+)?([A-Za-z0-9:_.-]+)(?=\s*(?:$|[;&|)]))/g;

/**
 * The command of the `web` process: package.json's `scripts.start`, or `node` with its `main`. The image has no package
 * manager, so scripts that call others through one are written out.
 * @returns {string | string[] | undefined} undefined where nothing says it
 * @throws ApplicationError
 */
export function readStart({ scripts = {}, main }, directory) {
  if (scripts.start === undefined) {
    const file = main ?? ["server.js", "index.js"].find((name) => existsSync(join(directory, name)));
    if (file === undefined) return undefined;
    const path = [file, `${file}.js`, join(file, "index.js")].find((name) => existsSync(join(directory, name)));
    if (path !== undefined) return ["node", path];
    throw new ApplicationError(
      `package.json has no "scripts.start", and there is no ${file}, its "main". Write "start": "node server.js" or the like.`,
    );
  }
  return writeOut("start", scripts, []);
}

function writeOut(name, scripts, above) {
  const script = scripts[name];
  if (typeof script !== "string" || script.trim() === "")
    throw new ApplicationError(`"scripts.${name}" in package.json is not a command.`);
  if (above.includes(name)) throw new ApplicationError(`"scripts.${name}" in package.json calls itself.`);
  const before =
    typeof scripts[`pre${name}`] === "string" ? `${writeOut(`pre${name}`, scripts, [...above, name])} && ` : "";
  const text = script.trim().replace(call, (whole, called) => {
    if (scripts[called] === undefined) return whole;
    const inner = writeOut(called, scripts, [...above, name]);
    return whole === script.trim() ? inner : `(${inner})`;
  });
  return `${before}${text}`;
}
