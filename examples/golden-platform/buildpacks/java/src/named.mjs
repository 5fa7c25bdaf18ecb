import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { listRunnable } from "./artifact.mjs";
import { listNeeded } from "./manifest.mjs";

/**
 * What of a build's output the commands name that the application is started with: `target/shop.jar`, with what that
 * needs beside it; `target/dependency/*`; of `build/install/shop/bin/shop` all of `build/install/shop`.
 * @param {string} output `target` or `build`
 * @param {string[]} commands as somebody typed them
 * @returns {string[]} paths; empty where they name none
 * @throws ApplicationError for a jar or war that the build did not leave
 */
export function listNamed(directory, output, commands) {
  const below = new RegExp(`^(?:[\\w.-]+/)*${output}/.`);
  const found = commands.flatMap((command) => {
    // Where a command goes elsewhere first, what it names may be there.
    const isSure = !/(?:^|[\s&;])cd\s/.test(command);
    const words = command
      .split(/[\s:;,='"()&|<>]+/)
      .map((word) => (word.startsWith(`${directory}/`) ? word.slice(directory.length + 1) : word.replace(/^\.\//, "")));
    return words.flatMap((word, at) => {
      if (!below.test(word) || word.split("/").includes("..")) return [];
      const paths = findNamed(directory, word, isSure);
      // A pattern means one program there, whatever lay beside it when it was built.
      const runnable = words[at - 1] === "-jar" && !isPlain(word) ? listRunnable(paths) : [];
      return (runnable.length > 0 ? runnable : paths).flatMap((path) =>
        path.endsWith(".jar") ? listNeeded(path) : [path],
      );
    });
  });
  return [...new Set(found)];
}

function findNamed(directory, word, isSure) {
  const folder = dirname(word);
  const name = word.slice(folder.length + 1);
  if (isPlain(word) && !existsSync(join(directory, word))) {
    // Other files may come to be while it runs.
    if (isSure && /\.[jw]ar$/.test(word)) throw lacksFile(directory, word);
    return [];
  }
  if (!existsSync(join(directory, folder))) return [];
  // A script in `bin` finds the rest from where it is.
  if (isPlain(word) && folder.endsWith("/bin")) return [join(directory, dirname(folder))];
  // Variables are known when it starts.
  const source = name.split(/\*+|\?|\$\{\w+\}|\$\w+/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`^${source.join(".*")}$`);
  return readdirSync(join(directory, folder))
    .filter((each) => pattern.test(each))
    .sort()
    .map((each) => join(directory, folder, each));
}

function isPlain(word) {
  return /^[\w./@+-]+$/.test(word);
}

function lacksFile(directory, word) {
  const folder = join(directory, dirname(word));
  const left = existsSync(folder) ? readdirSync(folder).filter((name) => /\.[jw]ar$/.test(name)) : [];
  return new ApplicationError(
    `The start command names ${word}, and the build left no such file (in ${dirname(word)} there is ${left.sort().join(", ") || "no jar"}).`,
  );
}
