// Writes what is derived for readers (`--write`), or says where it differs: the tables of each action's README,
// docs/errors.md, the rules in docs/policy.md, and the script and style of the report's page.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { pageAssets, renderPageAssets } from "./page.ts";
import { refreshFacts, refreshRules, renderErrorDocs } from "./words.ts";

export interface ActionMetadata {
  name: string;
  description: string;
  inputs: Record<string, { description: string; required?: boolean; default?: string }>;
  outputs: Record<string, { description: string }>;
  runs: { using: string; main: string };
}

const root = join(import.meta.dirname, "..");

export function listActions(): string[] {
  return readdirSync(join(root, "actions")).sort();
}

export function readAction(name: string): ActionMetadata {
  return parse(readFileSync(join(root, "actions", name, "action.yml"), "utf8")) as ActionMetadata;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

export function renderTables(action: ActionMetadata): string {
  const inputs = Object.entries(action.inputs).map(([name, input]) => {
    const fallback = input.required === true ? "**required**" : !input.default ? "" : `\`${input.default}\``;
    return `| \`${name}\` | ${fallback} | ${cell(input.description)} |`;
  });
  const outputs = Object.entries(action.outputs).map(
    ([name, output]) => `| \`${name}\` | ${cell(output.description)} |`,
  );
  return [
    "### Inputs",
    "",
    "| Input | Default | What it is |",
    "| --- | --- | --- |",
    ...inputs,
    "",
    "### Outputs",
    "",
    "| Output | What it is |",
    "| --- | --- |",
    ...outputs,
  ].join("\n");
}

const begin = "<!-- generated from action.yml: npm run docs -->";
const end = "<!-- end of the generated part -->";

/** The README with its tables as action.yml has them now. */
export function refreshReadme(readme: string, action: ActionMetadata): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from === -1 || to === -1)
    throw new Error(`the README of ${action.name} has no generated part (${begin} … ${end})`);
  return `${readme.slice(0, from + begin.length)}\n${renderTables(action)}\n${readme.slice(to)}`;
}

/** Path from the root → what the file must be now. */
export function renderDocs(): Map<string, string> {
  const read = (path: string): string | undefined => {
    const file = join(root, path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  };
  const readmes = listActions().map((name): [string, string] => {
    const path = `actions/${name}/README.md`;
    return [path, refreshReadme(read(path) ?? `# ${name}\n\n${begin}\n${end}\n`, readAction(name))];
  });
  return new Map([
    ...readmes,
    ["docs/errors.md", renderErrorDocs()],
    ["docs/policy.md", refreshRules(read("docs/policy.md") ?? "")],
    ["docs/rules.md", refreshFacts(read("docs/rules.md") ?? "")],
  ]);
}

if (import.meta.main) {
  let stale = 0;
  for (const [path, fresh] of [...renderDocs(), [pageAssets, await renderPageAssets()] as const]) {
    const file = join(root, path);
    if (existsSync(file) && readFileSync(file, "utf8") === fresh) continue;
    if (process.argv.includes("--write")) writeFileSync(file, fresh);
    else {
      stale += 1;
      console.error(`${path} differs from what it is written from: npm run docs`);
    }
  }
  process.exitCode = stale === 0 ? 0 : 1;
}
