import { UserError } from "@goldenpath/foundation/errors";

/** Maven or Gradle, by the wrapper that the application brings, or the one that the machine has. */
export interface BuildTool {
  name: "maven" | "gradle";
  /** The script in the application's top folder that brings the version which the application wants. */
  wrapper: string | undefined;
}

const wrappers = { maven: "mvnw", gradle: "gradlew" } as const;
const programs = { maven: "mvn", gradle: "gradle" } as const;
/** Maven where it has both. */
const descriptions: readonly { file: RegExp; name: BuildTool["name"] }[] = [
  { file: /^pom\.xml$/, name: "maven" },
  { file: /^build\.gradle(?:\.kts)?$/, name: "gradle" },
  { file: /^settings\.gradle(?:\.kts)?$/, name: "gradle" },
];

/**
 * The tool that the input `engine` asks for, of those that the application has.
 * @throws UserError `nothing-detected`
 */
export function requireBuildTool(files: readonly string[], engine: string, what: string): BuildTool {
  const tools = descriptions.filter(({ name }) => engine === "auto" || engine === name);
  const found = tools.find(({ file }) => files.some((name) => file.test(name)));
  if (found !== undefined) return describeTool(found.name, files);
  const wanted = engine === "gradle" ? "build.gradle" : engine === "maven" ? "pom.xml" : "pom.xml or build.gradle";
  throw new UserError(`there is no ${wanted} in the application's folder: ${what} is a plugin of Maven and Gradle`, {
    code: "nothing-detected",
    wayOut: "Check the input 'context', or choose another strategy.",
  });
}

function describeTool(name: BuildTool["name"], files: readonly string[]): BuildTool {
  return { name, wrapper: files.includes(wrappers[name]) ? wrappers[name] : undefined };
}

/** Settings by their names, as `-DNAME=VALUE`. */
export type Properties = Readonly<Record<string, string>>;

export interface JavaCommand {
  /** Maven's goals and phases, or Gradle's tasks. */
  goals: readonly string[];
  properties: Properties;
  /** Of Maven: the one module that it is about, with those that it needs built before it or, `alone`, not. */
  module?: { path: string; alone?: boolean } | undefined;
}

/**
 * What Maven or Gradle is called with: no questions, no colours, no bars; and no tests, since an image is what is
 * wanted.
 */
export function renderCommand(tool: BuildTool, { goals, properties, module }: JavaCommand): [string, ...string[]] {
  // A wrapper need not be executable in a checkout that Windows made.
  const program: [string, ...string[]] =
    tool.wrapper === undefined ? [programs[tool.name]] : ["sh", `./${tool.wrapper}`];
  const flags = tool.name === "maven" ? mavenFlags : gradleFlags;
  const settings = { ...(tool.name === "maven" ? mavenProperties : {}), ...properties };
  const given = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  const projects = module === undefined ? [] : ["--projects", module.path];
  const others = module === undefined || module.alone === true ? [] : ["--also-make"];
  return [...program, ...flags, ...projects, ...others, ...given, ...goals];
}

/** A task of Gradle in one of its projects, which are called by their folders unless the settings say otherwise. */
export function nameTask(task: string, module: string | undefined): string {
  return module === undefined ? task : `:${module.split("/").join(":")}:${task}`;
}

/** The file that was read: `.mvn/maven.config` may name another one, and the command line goes before that. */
const mavenFlags = ["--batch-mode", "--no-transfer-progress", "--file", "pom.xml"];
const mavenProperties: Properties = {
  skipTests: "true",
  "style.color": "never",
  // Where the way out is a proxy, Java's own settings name it: Maven 3.9 reads them only when it is told to.
  "aether.connector.http.useSystemProperties": "true",
  // Archives have the time at which they were made, unless they are told one. The first that a zip archive can have.
  "project.build.outputTimestamp": "1980-01-01T00:00:02Z",
};
/** A daemon would be ended with the room, and could serve no second build. */
const gradleFlags = ["--no-daemon", "--console=plain"];
