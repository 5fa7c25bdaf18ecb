import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stageRows } from "@goldenpath/core/stages";
import { expect, test } from "vitest";
import { renderHelp } from "./help.ts";

/** `policy check` of `  goldenpath policy check FILE …`; `withdraw` of `  goldenpath withdraw IMAGE …`. */
function listCommands(): string[] {
  const verbs = stageRows.map(({ command }) => command as string);
  const named = [...renderHelp().matchAll(/^ {2}goldenpath ([a-z]+)(?: ([a-z]+)\b)?/gm)]
    .filter(([, command = ""]) => !verbs.includes(command))
    .map(([, command, second]) => (second === undefined ? `${command}` : `${command} ${second}`));
  return [...new Set(named)].toSorted();
}

/** The first cells of README's table: `` `policy publish`, `activate` `` is `policy publish` and `policy activate`. */
function listNamed(): string[] {
  const readme = readFileSync(join(import.meta.dirname, "../../../README.md"), "utf8");
  const [, table = ""] = readme.split("\n| Command | For |\n");
  const rows = table.slice(0, table.indexOf("\n\n")).split("\n").slice(1);
  return rows
    .flatMap((row) => {
      let group = "";
      const cell = row.split(" | ")[0] ?? "";
      return [...cell.matchAll(/`([a-z ]+)`/g)].map(([, words = ""]) => {
        const [first = "", second] = words.split(" ");
        if (second !== undefined) group = first;
        return second !== undefined || group === "" ? words : `${group} ${first}`;
      });
    })
    .toSorted();
}

test("README's table has each command of the help, and no other", () => {
  const commands = listCommands();
  expect(commands.length).toBeGreaterThan(20);
  expect(listNamed()).toEqual(commands);
});
