// Writes the workflows of the path from one table (`--write`), or says which files differ from it: for github.com
// in .github/workflows, and for any other server in .github/workflows-ghes. `--server OWNER/REPO@COMMIT --to FOLDER`
// writes those of one server's own copy of goldenpath (docs/github-enterprise-server.md).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { onAnyServer, onGitHub, onServer } from "./workflows/places.ts";
import { renderWorkflows } from "./workflows/render.ts";
import type { Place } from "./workflows/shape.ts";

const root = join(import.meta.dirname, "..");

/** Every generated file, from its path in the project to what has to be in it. */
export function listGenerated(places: readonly Place[] = [onGitHub, onAnyServer]): Record<string, string> {
  const files = places.flatMap((place) =>
    Object.entries(renderWorkflows(place)).map(([name, text]) => [`${place.folder}/${name}`, text] as const),
  );
  return Object.fromEntries(files);
}

/** The generated files whose content is not what the table gives. */
export function listStale(): string[] {
  return Object.entries(listGenerated())
    .filter(([path, text]) => !existsSync(join(root, path)) || readFileSync(join(root, path), "utf8") !== text)
    .map(([path]) => path);
}

/** The place that `OWNER/REPO@COMMIT` names. */
export function parseServer(text: string): Place {
  const { repository, commit } =
    /^(?<repository>[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+)@(?<commit>[0-9a-f]{40})$/.exec(text)?.groups ?? {};
  if (repository === undefined || commit === undefined)
    throw new Error(`--server is OWNER/REPO@COMMIT, with the commit's 40 hexadecimal digits, and not '${text}'`);
  return onServer(repository, commit);
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function main(): void {
  const { values } = parseArgs({
    options: { write: { type: "boolean" }, server: { type: "string" }, to: { type: "string" } },
  });
  if (values.server !== undefined) write(values.to ?? ".", listGenerated([parseServer(values.server)]));
  else if (values.write) write(root, listGenerated());
  else {
    for (const path of listStale()) console.error(`${path} differs from the table in scripts/workflows: npm run docs`);
    process.exitCode = listStale().length === 0 ? 0 : 1;
  }
}

if (import.meta.main) main();
