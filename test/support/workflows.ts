import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

export const projectRoot = fileURLToPath(new URL("../../", import.meta.url));

export interface Step {
  id?: string;
  name?: string;
  uses?: string;
  run?: string;
  shell?: string;
  if?: string;
  env?: Record<string, string>;
  with?: Record<string, string>;
}

export interface Job {
  name?: string;
  if?: string;
  "runs-on"?: string;
  uses?: string;
  needs?: string | string[];
  environment?: string;
  permissions?: Record<string, string>;
  "cache-mode"?: string;
  with?: Record<string, string>;
  secrets?: "inherit" | Record<string, string>;
  outputs?: Record<string, string>;
  steps?: Step[];
}

export interface Workflow {
  permissions?: Record<string, string>;
  on?: {
    workflow_call?: {
      inputs?: Record<string, unknown>;
      secrets?: Record<string, unknown>;
      outputs?: Record<string, { value: string }>;
    };
  };
  jobs: Record<string, Job>;
}

export interface WorkflowFile {
  /** Relative to the project's root. */
  path: string;
  workflow: Workflow;
}

/** As it stands in the YAML: in a string of its own it would look like a mistake for a template. */
export const expression = (text: string): string => `\${{ ${text} }}`;
export const stages = ["build", "base", "scan", "promote"] as const;
export const keyOf = (stage: string): string => `GOLDENPATH_${stage.toUpperCase()}_KEY`;
export const passphraseOf = (stage: string): string => `${keyOf(stage)}_PASSPHRASE`;

/**
 * The two places that the path's workflows are written for, where their files are, and how each names another workflow
 * and an action of goldenpath.
 */
export const places = [
  { place: "github.com", folder: ".github/workflows", workflows: "$/.github/workflows/", actions: "$/actions/" },
  {
    place: "any server",
    folder: ".github/workflows-ghes",
    workflows: "./.github/workflows/",
    actions: "./.goldenpath/actions/",
  },
] as const;

export function jobOf(workflow: { jobs: Record<string, Job> }, name: string): Job {
  const job = workflow.jobs[name];
  if (job === undefined) throw new Error(`there is no job ${name}`);
  return job;
}

/** The action of goldenpath that a step runs, by its name, however it is reached. */
export function ownAction({ uses = "" }: Step): string | undefined {
  return /^(?:\$\/|\.\/\.goldenpath\/|goldenpath-ci\/goldenpath\/)actions\/(?<name>[a-z-]+)(?:@[0-9a-f]{40})?$/.exec(
    uses,
  )?.groups?.["name"];
}

/** The project's own workflows and the examples'. */
export function readWorkflows(): WorkflowFile[] {
  const examples = readdirSync(join(projectRoot, "examples")).map((name) => `examples/${name}/.github/workflows`);
  return [...places.map(({ folder }) => folder), ...examples]
    .filter((directory) => existsSync(join(projectRoot, directory)))
    .flatMap((directory) => readdirSync(join(projectRoot, directory)).map((name) => join(directory, name)))
    .map((path) => ({ path, workflow: parse(readFileSync(join(projectRoot, path), "utf8")) as Workflow }));
}

export function readWorkflow(path: string): Workflow {
  const found = readWorkflows().find((file) => file.path === path);
  if (found === undefined) throw new Error(`there is no workflow ${path}`);
  return found.workflow;
}

export function actionFiles(): string[] {
  const directory = join(projectRoot, "actions");
  return readdirSync(directory)
    .map((name) => join(directory, name, "action.yml"))
    .filter(existsSync)
    .map((path) => relative(projectRoot, path));
}

/** Every string in a value, keys included. */
export function allStrings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(allStrings);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, inner]) => [key, ...allStrings(inner)]);
  return [];
}

/**
 * Names of the secrets that a part of a workflow reads; `*` where it reads the whole context or an index that is no
 * literal.
 */
export function secretsRead(part: unknown): string[] {
  const names = new Set<string>();
  for (const text of allStrings(part)) {
    for (const [expression] of text.matchAll(/\$\{\{.*?\}\}/gs)) {
      for (const match of expression.matchAll(/\bsecrets\b\s*(?:\.\s*([\w-]+)|\[\s*'([^']*)'\s*\])?/g))
        names.add(match[1] ?? match[2] ?? "*");
    }
  }
  return [...names].sort();
}
