import { parse, TomlError } from "smol-toml";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { describeIssues } from "../text/json.ts";
import { checkBuildVariables } from "./environment.ts";

const patterns = z.array(z.string().min(1)).optional();
const buildpacksTable = z.looseObject({
  builder: z.string().optional(),
  include: patterns,
  exclude: patterns,
  group: z.array(z.unknown()).optional(),
  pre: z.unknown().optional(),
  post: z.unknown().optional(),
  build: z.looseObject({ env: z.array(z.looseObject({ name: z.string(), value: z.string() })).optional() }).optional(),
});

const projectSchema = z.looseObject({
  _: z.looseObject({ "schema-version": z.string().optional() }).optional(),
  io: z.looseObject({ buildpacks: buildpacksTable.optional() }).optional(),
  // Schema 0.1, which is also what a file without a version has: [build] with include, exclude, buildpacks, env.
  build: z
    .looseObject({
      include: patterns,
      exclude: patterns,
      builder: z.string().optional(),
      buildpacks: z.array(z.unknown()).optional(),
      env: z.array(z.looseObject({ name: z.string(), value: z.string() })).optional(),
    })
    .optional(),
});

/** What a build takes from the application's project.toml. */
export interface Project {
  /** gitignore patterns; at most one of the two is there. */
  include?: readonly string[];
  exclude?: readonly string[];
  env: Record<string, string>;
  /** What it says and is not the application's to say, for the log. */
  passedOver: string[];
}

export const emptyProject: Project = { env: {}, passedOver: [] };

const versions = ["0.1", "0.2", "0.3"];

/**
 * The project descriptor (CNB specification, extension "project-descriptor"). Which builder and which buildpacks run is the policy's word, so what the file
 * says about them is passed over; which files are built and with what environment is the application's.
 * @throws UserError `project-invalid`
 */
export function parseProject(text: string, where = "project.toml"): Project {
  const invalid = (why: string, cause?: unknown): never => {
    throw new UserError(`${where} cannot be used: ${why}`, {
      code: "project-invalid",
      cause,
      wayOut: "https://buildpacks.io/docs/reference/config/project-descriptor/ says what it may have.",
    });
  };
  let toml: unknown;
  try {
    toml = parse(text);
  } catch (error) {
    return invalid(error instanceof TomlError ? `line ${error.line}, column ${error.column}: it is not TOML` : "it is not TOML", error);
  }
  const parsed = projectSchema.safeParse(toml);
  if (!parsed.success) return invalid(describeIssues(parsed.error));
  const version = parsed.data._?.["schema-version"] ?? "0.1";
  if (!versions.includes(version)) return invalid(`its schema version is '${version}', and known are ${versions.join(", ")}`);
  const first = version === "0.1";
  const old = first ? parsed.data.build : undefined;
  const table = first ? undefined : parsed.data.io?.buildpacks;
  const include = old?.include ?? table?.include;
  const exclude = old?.exclude ?? table?.exclude;
  if (include !== undefined && exclude !== undefined) return invalid("it has both include and exclude, and only one of them can hold");
  const env = Object.fromEntries((old?.env ?? table?.build?.env ?? []).map(({ name, value }) => [name, value]));
  checkBuildVariables(env, where);
  const passedOver = [
    ...((old?.builder ?? table?.builder) === undefined ? [] : ["builder"]),
    ...((old?.buildpacks ?? table?.group ?? table?.pre ?? table?.post) === undefined ? [] : ["its own buildpacks"]),
  ];
  return { ...(include === undefined ? {} : { include }), ...(exclude === undefined ? {} : { exclude }), env, passedOver };
}

/**
 * gitignore patterns → does a path (relative, `/` between components) match, itself or by a folder above it? The last pattern that matches decides; `!` turns
 * it round.
 */
export function createMatcher(lines: readonly string[]): (path: string, isDirectory: boolean) => boolean {
  const rules = lines.flatMap((line) => {
    const trimmed = line.replace(/(?<!\\) +$/, "");
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    const negated = trimmed.startsWith("!");
    const body = negated ? trimmed.slice(1) : trimmed;
    const directoryOnly = body.endsWith("/");
    const bare = directoryOnly ? body.slice(0, -1) : body;
    if (bare === "") return [];
    return [{ negated, directoryOnly, expression: toExpression(bare) }];
  });
  const decide = (path: string, isDirectory: boolean): boolean => {
    let matched = false;
    for (const rule of rules) if ((!rule.directoryOnly || isDirectory) && rule.expression.test(path)) matched = !rule.negated;
    return matched;
  };
  return (path, isDirectory) => {
    const parts = path.split("/");
    for (let length = 1; length < parts.length; length += 1) if (decide(parts.slice(0, length).join("/"), true)) return true;
    return decide(path, isDirectory);
  };
}

/** A pattern with a slash before its end is tied to the top; one without holds at every depth. */
function toExpression(pattern: string): RegExp {
  const anchored = pattern.includes("/");
  const text = pattern.startsWith("/") ? pattern.slice(1) : pattern;
  let source = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? "";
    const before = at === 0 || text[at - 1] === "/";
    if (text.startsWith("**/", at) && before) {
      source += "(?:.*/)?";
      at += 2;
    } else if (text.startsWith("**", at) && before && at + 2 === text.length) {
      source += ".+";
      at += 1;
    } else if (character === "*") source += "[^/]*";
    else if (character === "?") source += "[^/]";
    else if (character === "[") {
      const set = /^\[(!|\^)?(\]?[^\]/]*)\]/.exec(text.slice(at));
      if (set === null) source += "\\[";
      else {
        source += `[${set[1] === undefined ? "" : "^"}${(set[2] ?? "").replace(/[\\\]^[]/g, "\\$&")}]`;
        at += set[0].length - 1;
      }
    } else if (character === "\\" && at + 1 < text.length) {
      at += 1;
      source += escapeCharacter(text[at] ?? "");
    } else source += escapeCharacter(character);
  }
  // A set such as [z-a] is no expression; a pattern that cannot match anything matches nothing.
  try {
    return new RegExp(`^${anchored ? "" : "(?:.*/)?"}${source}$`, "s");
  } catch {
    return /(?!)/;
  }
}

function escapeCharacter(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}
