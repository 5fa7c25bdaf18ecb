import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ApplicationError } from "./error.mjs";
import { findInterpreter, installShell, requireShell } from "./shell.mjs";
import { tomlString } from "./toml.mjs";

/** Types by the Buildpack specification. */
const line = /^([A-Za-z0-9][A-Za-z0-9._-]*):\s+(\S.*)$/;

/** @returns {Record<string, string>} the command of each process, as one would type it */
export function readProcfile(directory) {
  const path = join(directory, "Procfile");
  if (!existsSync(path)) return {};
  const commands = {};
  for (const text of readFileSync(path, "utf8").split(/\r?\n/)) {
    if (text.trim() === "" || text.startsWith("#")) continue;
    const [, name, command] = line.exec(text) ?? [];
    if (command === undefined) {
      throw new ApplicationError(`The Procfile has the line \`${text}\`, which is not of the form \`web: COMMAND\`.`);
    }
    commands[name] = command.trim();
  }
  return commands;
}

/**
 * Writes launch.toml. What starts is said by the variable BP_START_COMMAND (or GOOGLE_ENTRYPOINT) of `web`, by the
 * application's Procfile, or by what the buildpack found out, in this order.
 * @param {Record<string, string | string[]>} found name to command: a text as one would type it, or words as they are
 * @param {{ folders: string[], names: string[], translate?: (command: string) => string, within?: string }} programs that
 *   commands may name: folders of the image with such in them, and names of the runtime's own; what takes the place of a
 *   command that names what builds; the folder in which they start, where it is not the application's
 */
export function writeProcesses(place, found, programs) {
  // One of a workspace starts in its own folder.
  const folder = programs.within === undefined ? "" : `working-dir = ${tomlString(programs.within)}\n`;
  const commands = chooseCommands(place, found);
  const names = Object.keys(commands);
  if (names.length === 0) {
    throw new ApplicationError(
      "Nothing says how the application starts. Add a Procfile (`web: COMMAND`), or set BP_START_COMMAND in the build's env.",
    );
  }
  const first = names.includes("web") ? "web" : names[0];
  const tables = names.map((name) => {
    const command = commands[name];
    const { translate = (text) => text } = programs;
    const words = typeof command === "string" ? toWords(place, translate(command), programs) : command;
    place.say(`Process ${name}${name === first ? " (default)" : ""}: ${words.join(" ")}`);
    const isDefault = name === first ? "default = true\n" : "";
    return `[[processes]]\ntype = ${tomlString(name)}\ncommand = [${words.map(tomlString).join(", ")}]\n${folder}${isDefault}`;
  });
  writeFileSync(join(place.layers, "launch.toml"), tables.join("\n"));
}

/** Each process' command, as somebody typed it: the Procfile's, and what the build's env has. */
export function readCommands(place) {
  return chooseCommands(place, {});
}

function chooseCommands(place, found) {
  const commands = { ...found, ...readProcfile(place.directory) };
  const said = place.env.BP_START_COMMAND || place.env.GOOGLE_ENTRYPOINT;
  return said ? { ...commands, web: said } : commands;
}

/** What only a shell understands: quotes, variables, globs, pipes, `&&`, a setting before the command. */
const special = /[|&;<>()$`"'\\*?[\]{}~#]|^\s*[A-Za-z_][A-Za-z0-9_]*=/;

/**
 * Before anything is installed: that there is a shell, where a command needs one.
 * @throws ApplicationError
 */
export function checkCommands(place, found) {
  for (const command of Object.values(chooseCommands(place, found)))
    if (typeof command === "string" && needsShell(command)) requireShell(place, command);
}

function needsShell(command) {
  return special.test(command) || isShell(command.trim().split(/\s+/)[0]);
}

/**
 * A command as words. Where it needs a shell, a layer brings one, since the run image has none; where it is one program
 * with arguments, there is no shell in the image.
 */
function toWords(place, command, { folders, names }) {
  // Without a shell there is nothing that `exec` would take the place of.
  const words = command
    .trim()
    .replace(/^exec\s+/, "")
    .split(/\s+/);
  const [program] = words;
  const file = [...folders, ...(program.includes("/") ? [place.directory] : [])]
    .map((folder) => resolve(folder, program))
    .find((path) => existsSync(path));
  const interpreter = file === undefined ? undefined : findInterpreter(place, file);
  if (needsShell(command) || isShell(interpreter?.[0]))
    return [join(installShell(place, command, folders), "bin/sh"), "-c", command];
  if (file === undefined && !names.includes(program)) {
    throw new ApplicationError(
      `The start command is \`${command}\`: the image has ${names.join(", ") || "the application"} and not ${program}. Name a program that is installed with the application.`,
    );
  }
  return interpreter === undefined ? words : [...interpreter, file, ...words.slice(1)];
}

function isShell(program) {
  return program !== undefined && /^(?:.*\/)?(?:sh|bash|dash)$/.test(program);
}
