import { UserError } from "@goldenpath/foundation/errors";
import { describeIssues } from "@goldenpath/foundation/text/json";
import { parse, TomlError } from "smol-toml";
import { z } from "zod";
import { checkBuildVariables } from "./environment.ts";
import {
  findStrangeKeys,
  foldKeys,
  isTable,
  type SchemaVersion,
  type StrangeKey,
  type TomlTable,
} from "./project-keys.ts";

const patterns = z.array(z.string().min(1)).optional();
const variables = z
  .array(z.looseObject({ name: z.string(), value: z.string(), "exec-env": z.array(z.string()).optional() }))
  .optional();

const declared = z
  .array(
    z.looseObject({
      id: z.string().optional(),
      version: z.string().optional(),
      uri: z.string().optional(),
      script: z
        .looseObject({ api: z.string().optional(), inline: z.string().optional(), shell: z.string().optional() })
        .optional(),
    }),
  )
  .optional();
const aroundTable = z.looseObject({ group: declared }).optional();

/** What both schemas' tables have in common. */
const fileTable = {
  include: patterns,
  exclude: patterns,
  builder: z.string().optional(),
  pre: aroundTable,
  post: aroundTable,
};

const projectSchema = z.looseObject({
  _: z.looseObject({ "schema-version": z.string().optional() }).optional(),
  io: z
    .looseObject({
      buildpacks: z
        .looseObject({
          ...fileTable,
          group: declared,
          build: z.looseObject({ env: variables }).optional(),
          env: z.looseObject({ build: variables }).optional(),
        })
        .optional(),
    })
    .optional(),
  // Schema 0.1, which is also what a file without a version has.
  build: z.looseObject({ ...fileTable, buildpacks: declared, env: variables }).optional(),
});

/** A buildpack that the file asks for. */
export interface DeclaredBuildpack {
  /** Instead of the builder's (`group`), or around those. */
  list: "group" | "pre" | "post";
  id?: string | undefined;
  version?: string | undefined;
  uri?: string | undefined;
  script?: { api?: string | undefined; inline?: string | undefined; shell?: string | undefined } | undefined;
  /** Where its table begins; undefined where that can't be told. */
  line?: number | undefined;
}

/** What {@link Project.passedOver} calls {@link Project.buildpacks}. */
export const itsOwnBuildpacks = "its own buildpacks";

/** What a build takes from the application's project.toml. */
export interface Project {
  /** gitignore patterns; at most one of the two is there. */
  include?: readonly string[];
  exclude?: readonly string[];
  env: Record<string, string>;
  /** The buildpacks that it asks for; undefined where it has no list of them. */
  buildpacks?: readonly DeclaredBuildpack[];
  /** What it says and is not the application's to say, for the log. */
  passedOver: string[];
  /** What it says to no effect, or in a way that will not be read for ever: sentences for the log and the result. */
  remarks: string[];
}

export const emptyProject: Project = { env: {}, passedOver: [], remarks: [] };

const versions = ["0.1", "0.2", "0.3"] as const satisfies readonly SchemaVersion[];

/** Throws what {@link parseProject} says it throws. */
type Refuse = (why: string, options?: { cause?: unknown; wayOut?: string }) => never;

/**
 * The project descriptor (CNB specification, extension "project-descriptor"; pack's `pkg/project` for what it leaves
 * open). Which builder and which buildpacks run is the policy's word, so what the file says about them is passed over;
 * which files are built and with what environment is the application's. So a key that would decide one of these and is
 * none of the file's schema version is an error: going on would build in what somebody excluded. Any other such key is
 * a remark.
 * @throws UserError `project-invalid`
 */
export function parseProject(text: string, where = "project.toml"): Project {
  const refuse: Refuse = (why, { cause, wayOut } = {}) => {
    throw new UserError(`${where} cannot be used: ${why}`, {
      code: "project-invalid",
      cause,
      wayOut: wayOut ?? "https://buildpacks.io/docs/reference/config/project-descriptor/ says what it may have.",
    });
  };
  const { version, table, remarks } = readTable(text, refuse);
  const [include, exclude] = [table.include, table.exclude].map((list) => list?.map(trimFront));
  if (include !== undefined && exclude !== undefined)
    refuse("it has both include and exclude, and only one of them can hold");
  for (const [name, list] of Object.entries({ include, exclude })) checkPatterns(name, list ?? [], refuse);
  const env = Object.fromEntries(table.variables.filter(isForProduction).map(({ name, value }) => [name, value]));
  checkBuildVariables(env, where);
  if (version === undefined && table.isUsed) remarks.push(`${where} has no schema version, and is read as one of 0.1`);
  return {
    ...(include === undefined ? {} : { include }),
    ...(exclude === undefined ? {} : { exclude }),
    env,
    ...(table.buildpacks.length === 0 ? {} : { buildpacks: table.buildpacks }),
    passedOver: table.passedOver,
    remarks,
  };
}

type Variable = NonNullable<z.infer<typeof variables>>[number];

interface ReadTable {
  /** As the file has it. */
  version: string | undefined;
  table: {
    include: readonly string[] | undefined;
    exclude: readonly string[] | undefined;
    variables: readonly Variable[];
    buildpacks: DeclaredBuildpack[];
    passedOver: string[];
    isUsed: boolean;
  };
  remarks: string[];
}

function readTable(text: string, refuse: Refuse): ReadTable {
  let toml: TomlTable;
  try {
    // A byte order mark is what some editors write first; Go's decoder passes over it.
    toml = parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    return refuse(
      error instanceof TomlError ? `line ${error.line}, column ${error.column}: it is not TOML` : "it is not TOML",
      {
        cause: error,
      },
    );
  }
  const said = versionOf(toml);
  const version = versions.find((each) => each === (said ?? "0.1"));
  if (version === undefined) return refuse(`its schema version is '${said}', and known are ${versions.join(", ")}`);
  const folded = foldKeys(toml, version);
  const parsed = projectSchema.safeParse(folded);
  if (!parsed.success) return refuse(describeIssues(parsed.error));
  const remarks = reportStrangeKeys(findStrangeKeys(folded, version), version, refuse);
  const { build, io } = parsed.data;
  if (version === "0.1") {
    const passedOver = listPassedOver(build?.builder, [build?.buildpacks, build?.pre, build?.post]);
    return {
      version: said,
      table: {
        include: build?.include,
        exclude: build?.exclude,
        variables: build?.env ?? [],
        buildpacks: listDeclared("build", { ...build, group: build?.buildpacks }, text),
        passedOver,
        isUsed: build !== undefined,
      },
      remarks,
    };
  }
  const table = io?.buildpacks;
  const older = version === "0.2" ? (table?.env?.build ?? []) : [];
  const newer = table?.build?.env;
  if (older.length > 0) remarks.push(describeOlder(older, newer, refuse));
  const passedOver = listPassedOver(table?.builder, [table?.group, table?.pre, table?.post]);
  const { include, exclude } = table ?? {};
  return {
    version: said,
    table: {
      ...{ include, exclude, passedOver, isUsed: table !== undefined },
      variables: newer ?? older,
      buildpacks: listDeclared("io.buildpacks", table ?? {}, text),
    },
    remarks,
  };
}

/** An empty version is none, as in pack. Anything else than text is left to the schema to name. */
function versionOf(toml: TomlTable): string | undefined {
  const described = toml["_"];
  const version = isTable(described)
    ? (described["schema-version"] ??
      Object.entries(described).find(([key]) => key.toLowerCase() === "schema-version")?.[1])
    : undefined;
  return typeof version === "string" && version !== "" ? version : undefined;
}

function reportStrangeKeys(keys: readonly StrangeKey[], version: SchemaVersion, refuse: Refuse): string[] {
  const deciding = keys.find((each) => each.decides);
  if (deciding !== undefined) {
    return refuse(`'${deciding.key}' is no key of its schema version, ${version}: what it asks for would not be done`, {
      wayOut: deciding.advice,
    });
  }
  return keys.map(
    ({ key, advice }) => `project.toml: '${key}' is no key of schema version ${version}, and has no effect. ${advice}`,
  );
}

/** pack takes the older form where the newer one is not there, and passes over it in silence where both are. */
function describeOlder(older: readonly Variable[], newer: readonly Variable[] | undefined, refuse: Refuse): string {
  const dropped = newer === undefined ? undefined : older.find(({ name }) => newer.every((each) => each.name !== name));
  if (dropped !== undefined) {
    return refuse(
      `variable '${dropped.name}' is in io.buildpacks.env.build alone, which does not count beside io.buildpacks.build.env`,
      {
        wayOut: "Move it to [[io.buildpacks.build.env]].",
      },
    );
  }
  return "project.toml: [[io.buildpacks.env.build]] is deprecated: write [[io.buildpacks.build.env]]";
}

function listPassedOver(builder: unknown, buildpacks: readonly unknown[]): string[] {
  return [
    ...(builder === undefined ? [] : ["builder"]),
    ...(buildpacks.every((each) => each === undefined) ? [] : [itsOwnBuildpacks]),
  ];
}

type Declared = z.infer<typeof declared>;

function listDeclared(
  place: "build" | "io.buildpacks",
  { group, pre, post }: { group?: Declared; pre?: z.infer<typeof aroundTable>; post?: z.infer<typeof aroundTable> },
  text: string,
): DeclaredBuildpack[] {
  const lists = { pre: pre?.group, group, post: post?.group };
  const tables = { pre: "pre.group", group: place === "build" ? "buildpacks" : "group", post: "post.group" };
  return (["pre", "group", "post"] as const).flatMap((list) => {
    const lines = findTables(text, `${place}.${tables[list]}`);
    return (lists[list] ?? []).map(({ id, version, uri, script }, index) => ({
      ...{ list, id, version, uri, line: lines[index] },
      ...(script === undefined ? {} : { script: { api: script.api, inline: script.inline, shell: script.shell } }),
    }));
  });
}

/** The lines, from 1, at which the tables of a list begin, where they are written as such: the TOML reader has no places. */
function findTables(text: string, key: string): number[] {
  const header = `[[${key}]]`;
  return text
    .split("\n")
    .flatMap((line, index) => (line.replace(/#.*|[\s"']/g, "").toLowerCase() === header ? [index + 1] : []));
}

/** Schema 0.3: a variable may be for the tests' environment alone; `*` is every one (CNB RFC 0134). */
function isForProduction({ "exec-env": environments }: Variable): boolean {
  return (
    environments === undefined ||
    environments.length === 0 ||
    environments.includes("*") ||
    environments.includes("production")
  );
}

/**
 * pack drops blanks in front of a pattern, gitignore takes them for a part of it: a path that begins with blanks is
 * hardly ever what is meant.
 */
function trimFront(pattern: string): string {
  return pattern.replace(/^ +/, "");
}

/** A path has no `.` and `..` in it when it is matched, so a pattern that has one keeps nothing out. */
function checkPatterns(name: string, list: readonly string[], refuse: Refuse): void {
  for (const pattern of list) {
    const path = pattern.trim().replace(/^!/, "");
    if (path.split("/").some((part) => part === "." || part === "..") || /^[\r\n]|[\r\n]./.test(path)) {
      refuse(`${name} has '${pattern}', which can match nothing`, {
        wayOut: "Write one pattern each, from the application's own folder: 'secret.env' for './secret.env'.",
      });
    }
  }
}
