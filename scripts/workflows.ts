// Writes the five workflows of the path from one table (`--write`), or says which files differ from it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkedOut } from "./workflows/places.ts";
import { renderWorkflows } from "./workflows/render.ts";

const root = join(import.meta.dirname, "..");

/** Every generated file, from its path in the project to what has to be in it. */
export function listGenerated(): Record<string, string> {
  return Object.fromEntries(Object.entries(renderWorkflows(checkedOut)).map(([name, text]) => [`.github/workflows/${name}`, text]));
}

/** The generated files whose content is not what the table gives. */
export function listStale(): string[] {
  return Object.entries(listGenerated())
    .filter(([path, text]) => !existsSync(join(root, path)) || readFileSync(join(root, path), "utf8") !== text)
    .map(([path]) => path);
}

if (import.meta.main) {
  for (const path of listStale()) {
    if (process.argv.includes("--write")) writeFileSync(join(root, path), listGenerated()[path] ?? "");
    else {
      console.error(`${path} differs from the table in scripts/workflows: npm run docs`);
      process.exitCode = 1;
    }
  }
}
