import { parseJson } from "@goldenpath/foundation/text/json";
import { parse } from "smol-toml";
import { z } from "zod";
import type { NodePackage, PythonProject } from "./survey.ts";

/** A name can be shared out among a pattern's stars in as many ways, and each folder is held to all of them. */
const maxStars = 1000;
/** More and longer than anybody writes, and few enough to hold every folder to. */
const patterns = z
  .array(z.string().max(500))
  .max(500)
  .refine((list) => countStars(list) <= maxStars, `expected at most ${maxStars} stars in all of them`);

function countStars(list: readonly string[]): number {
  return list.reduce((sum, pattern) => sum + pattern.split("*").length - 1, 0);
}

const packageSchema = z.looseObject({
  name: z.string().optional(),
  main: z.string().optional(),
  scripts: z.record(z.string(), z.unknown()).optional(),
  workspaces: z.union([patterns, z.looseObject({ packages: patterns.optional() })]).optional(),
});

/**
 * A `package.json`, as far as detection asks for it.
 * @throws SyntaxError, ZodError
 */
export function readPackage(text: string): NodePackage {
  const { name, main, scripts = {}, workspaces } = packageSchema.parse(parseJson(text.replace(/^\ufeff/, "")));
  const folders = Array.isArray(workspaces) ? workspaces : workspaces?.packages;
  return {
    name,
    main,
    scripts: Object.entries(scripts).flatMap(([script, command]) =>
      typeof command === "string" && command.trim() !== "" ? [script] : [],
    ),
    workspaces: folders ?? [],
  };
}

/** A plain or quoted text of a list, up to where it ends. */
const listed = /^(?:'([^']*)'|"([^"\\]*)"|([^'"&*!|>[{\],}][^,[\]{}]*))$/;

function readListed(text: string): string | undefined {
  const [, single, double, plain] = listed.exec(text.trim()) ?? [];
  return single ?? double ?? plain;
}

/**
 * The folders' patterns of a `pnpm-workspace.yaml`: a list of plain or quoted texts, a line each, as pnpm writes it, or
 * all of it on one line. Undefined where it is written in another way.
 */
export function readPnpmWorkspace(text: string): string[] | undefined {
  const found: string[] = [];
  let isInside = false;
  for (const line of text.split(/\r?\n/)) {
    const bare = line.replace(/(^|\s)#.*$/, "").trimEnd();
    if (bare === "") continue;
    if (/^\S/.test(bare) && !bare.startsWith("-")) {
      isInside = bare === "packages:";
      if (!bare.startsWith("packages:") || isInside) continue;
      const line = /^packages: *\[(.*)\]$/.exec(bare)?.[1];
      const patterns = line?.split(",").map(readListed);
      if (patterns === undefined || patterns.includes(undefined)) return undefined;
      found.push(...patterns.flatMap((each) => each ?? []));
      continue;
    }
    if (!isInside) continue;
    const pattern = readListed(/^\s*- +(.*)$/.exec(bare)?.[1] ?? "");
    if (pattern === undefined) return undefined;
    found.push(pattern);
  }
  return patterns.safeParse(found).success ? found : undefined;
}

const pyprojectSchema = z.looseObject({
  project: z
    .looseObject({ name: z.string().optional(), scripts: z.record(z.string(), z.string()).optional() })
    .optional(),
  tool: z
    .looseObject({
      poetry: z.unknown().optional(),
      uv: z
        .looseObject({
          workspace: z.looseObject({ members: patterns.optional(), exclude: patterns.optional() }).optional(),
        })
        .optional(),
    })
    .optional(),
});

/**
 * A `pyproject.toml`. Many have one for their linter's settings alone.
 * @throws TomlError, ZodError
 */
export function readPyproject(text: string): PythonProject {
  const { project, tool } = pyprojectSchema.parse(parse(text.replace(/^\ufeff/, "")));
  const { members, exclude } = tool?.uv?.workspace ?? {};
  return {
    isProject: project !== undefined || tool?.poetry !== undefined,
    isPoetry: tool?.poetry !== undefined,
    scripts: Object.keys(project?.scripts ?? {}),
    workspaces: [...(members ?? []), ...(exclude ?? []).map((pattern) => `!${pattern}`)],
  };
}

/** The processes that a `Procfile` names: `web: node server.js`. */
export function readProcfile(text: string): string[] {
  return text.split(/\r?\n/).flatMap((line) => /^([A-Za-z0-9_-]+):\s*\S/.exec(line)?.[1] ?? []);
}

/** The module's path in a `go.mod`, and folders that a `go.work` uses. */
export function readGoModule(text: string): string | undefined {
  return /^module\s+"?([^\s"]+)"?/m.exec(text)?.[1];
}

export function readGoWork(text: string): string[] {
  const uses: string[] = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    const words = (line.split("//")[0] ?? "")
      .replaceAll("(", " ( ")
      .replaceAll(")", " ) ")
      .split(/\s+/)
      .filter(Boolean);
    const isUse = words[0] === "use";
    if (isUse && words[1] === "(") isInside = true;
    if (isUse || isInside) uses.push(...words.filter((word, at) => !["(", ")"].includes(word) && !(isUse && at === 0)));
    if (words.includes(")")) isInside = false;
  }
  return uses.map((folder) => folder.replaceAll('"', ""));
}

/** Whether a Go file is of a program: `package main`, and not left out of every build (`//go:build ignore`). */
export function isGoMain(text: string): boolean {
  const bare = withoutComments(text);
  return /^package\s+main\b/m.test(bare) && !/^\/\/(?:go:build|\s*\+build)\s+ignore\b/m.test(bare);
}

/** Without what is between these marks: in time that grows with the text alone, which a pattern's does not. */
function withoutComments(text: string): string {
  const parts: string[] = [];
  let at = 0;
  for (let start = text.indexOf("/*"); start !== -1; start = text.indexOf("/*", at)) {
    parts.push(text.slice(at, start));
    const end = text.indexOf("*/", start + 2);
    if (end === -1) return parts.join("");
    at = end + 2;
  }
  return [...parts, text.slice(at)].join("");
}
