import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "./error.mjs";
import { makeLayer } from "./layers.mjs";
import { debianComponent, writeSbom } from "./sbom.mjs";

/** What start scripts use, of busybox. */
const applets = [
  ..."sh ash env echo printf test expr true false sleep cat ls mkdir rm cp mv ln chmod touch date id hostname".split(
    " ",
  ),
  ..."dirname basename readlink realpath uname sed grep awk cut tr head tail sort uniq wc tee xargs find which".split(
    " ",
  ),
];

/** @throws ApplicationError where this buildpack has no shell to put into the image */
export function requireShell(place, command) {
  const shell = join(place.buildpack, "shell");
  if (existsSync(shell)) return shell;
  throw new ApplicationError(
    `The start command \`${command}\` needs a shell, the run image has none, and this buildpack was packaged without one. Write it as one program with arguments, or use a builder of the platform that has a shell.`,
  );
}

/**
 * Puts a shell into the image, as a layer of its own: the run image stays without one, and an application whose command
 * is one program gets none. Scripts in `folders` that begin with `#!/usr/bin/env` get a companion that starts them, for
 * there is no /usr/bin/env either. Returns the layer.
 */
export function installShell(place, command, folders) {
  const layer = join(place.layers, "shell");
  if (existsSync(layer)) return layer;
  const shell = requireShell(place, command);
  makeLayer(place, "shell", ["launch"], `Adding a shell to the image, for \`${command}\``, (folder) => {
    mkdirSync(join(folder, "bin"));
    cpSync(join(shell, "busybox"), join(folder, "bin/busybox"));
    for (const name of applets) symlinkSync("busybox", join(folder, "bin", name));
    // For scripts that ask for bash and keep to what every shell knows.
    writeProgram(join(folder, "bin/bash"), `#!${join(folder, "bin/sh")}\nexec ${join(folder, "bin/sh")} "$@"\n`);
    for (const file of folders.flatMap(listFiles)) addCompanion(place, folder, file);
  });
  writeSbom(place, "shell", JSON.parse(readFileSync(join(shell, "packages.json"), "utf8")).map(debianComponent));
  return layer;
}

function writeProgram(path, text) {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

function addCompanion(place, folder, { name, path }) {
  const interpreter = findInterpreter(place, path);
  const target = join(folder, "bin", name);
  if (interpreter === undefined || existsSync(target)) return;
  writeProgram(target, `#!${join(folder, "bin/sh")}\nexec ${[...interpreter, path].join(" ")} "$@"\n`);
}

function listFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => ({ name, path: join(folder, name) }))
    .filter(({ path }) => existsSync(path) && statSync(path).isFile());
}

/**
 * What has to run a script, where its first line names a program that the image does not have at that place. Undefined
 * for programs, and for scripts that say where in the image their interpreter is.
 * @returns {string[] | undefined}
 */
export function findInterpreter(place, path) {
  const first = /^#!\s*(\S+)(?:[ \t]+(\S.*?))?\s*$/.exec(readFirstLine(realpathSync(path)));
  if (first === null) return undefined;
  const [, program, argument] = first;
  if (program.startsWith(`${place.layers}/`) || program.startsWith(`${place.directory}/`)) return undefined;
  if (!/\/env$/.test(program)) return [program.slice(program.lastIndexOf("/") + 1), ...(argument?.split(/\s+/) ?? [])];
  const words = (argument ?? "").split(/\s+/).filter((word) => word !== "-S");
  return words.length === 0 ? undefined : words;
}

function readFirstLine(path) {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(256);
    const length = readSync(file, bytes);
    return bytes.subarray(0, length).toString("latin1").split("\n")[0] ?? "";
  } finally {
    closeSync(file);
  }
}
