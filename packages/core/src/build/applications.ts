import { createHash } from "node:crypto";
import { posix } from "node:path";
import { detectStrategies } from "./detect.ts";
import { detectEcosystems } from "./survey/ecosystems.ts";
import { dockerfileName } from "./survey/markers.ts";
import { listMembers, withoutFolder } from "./survey/members.ts";
import type { Survey, SurveyedTree } from "./survey/survey.ts";

/**
 * What a folder is by its files: something to run; a frame for what is below it; a part of something else. `unclear`:
 * it may be run, and nothing says that it is meant to.
 */
type Role = "application" | "frame" | "part" | "unclear";

/** One of several applications, as a job that builds it needs it: the inputs `context` and `module`. */
export interface Application {
  /** Its folder's, as a part of a repository's name; with those above it, where several have that. */
  name: string;
  /** The folder to give as `context`. */
  context: string;
  /** The same, from the folder that was looked at. */
  folder: string;
  /** The folder within it, where its build needs the whole of `context`: a module of Maven, a workspace of npm. Else empty. */
  module: string;
  /** The strategy that its files ask for, whatever a policy says. */
  strategy: string;
  language: string;
  /** What speaks for it. */
  reason: string;
}

/**
 * The applications below a folder that is none itself: a frame of modules or workspaces, or folders side by side.
 * Empty, where the folder is what is to be built. `context` is that folder, from where the caller stands.
 */
export function listApplications(tree: SurveyedTree, context: string): Application[] {
  const owners = findOwners([tree.top, ...tree.below]);
  const roles = new Map(
    [tree.top, ...tree.below].map((survey) => [survey.path, roleOf(survey, owners.has(survey.path))]),
  );
  const role = roles.get("");
  if (role === "application" || (role === "unclear" && detectStrategies(tree.top).length > 0)) return [];
  const found = new Set<string>();
  // From the top down: what lies in an application is a part of it, unless a build above it has it as a member.
  for (const survey of tree.below) {
    // Where only a Procfile is there, nothing says what its process is built by.
    if (roles.get(survey.path) !== "application" || detectStrategies(survey).length === 0) continue;
    const isInOther = listAbove(survey.path).some((path) => found.has(path));
    if (!isInOther || owners.has(survey.path)) found.add(survey.path);
  }
  const applications = tree.below
    .filter(({ path }) => found.has(path))
    .map((survey) => ({ path: survey.path, ...describe(survey, owners.get(survey.path), context) }));
  const names = nameApart(applications.map(({ path }) => ({ path, name: nameOf(path, found) })));
  return applications.map(({ path: _, ...application }, at) => ({ ...application, name: names[at] ?? "" }));
}

/**
 * `services/api` beside `services-api`: no two may be pushed to one repository. Nor may a folder that is called as
 * another one is named by this.
 */
function nameApart(folders: readonly { path: string; name: string }[]): string[] {
  const hashed = new Set<string>();
  for (;;) {
    const names = folders.map(({ path, name }) => (hashed.has(path) ? `${name}-${hashOf(path)}` : name));
    const alike = folders.filter(
      ({ path }, at) => !hashed.has(path) && names.some((name, other) => other !== at && name === names[at]),
    );
    if (alike.length === 0) return names;
    for (const { path } of alike) hashed.add(path);
  }
}

/** `a/b/c` → `a`, `a/b`. */
function listAbove(path: string): string[] {
  return [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index));
}

function describe(survey: Survey, owner: string | undefined, context: string): Omit<Application, "name"> {
  const [candidate] = detectStrategies(survey);
  return {
    context: posix.join(context, owner ?? survey.path),
    folder: posix.normalize(owner ?? survey.path),
    module: owner === undefined ? "" : withoutFolder(owner, survey.path),
    strategy: candidate?.strategy ?? "",
    language: detectEcosystems(survey)[0]?.language ?? "",
    reason: candidate?.reasons.join(", ") ?? "",
  };
}

/** What a repository's name takes: lower case, digits, and single marks in between (the distribution specification). */
function nameOf(path: string, all: ReadonlySet<string>): string {
  const last = posix.basename(path);
  const isShared = [...all].some((other) => other !== path && slugOf(posix.basename(other)) === slugOf(last));
  return slugOf(isShared ? path : last);
}

function hashOf(path: string): string {
  return createHash("sha256").update(path).digest("hex").slice(0, 8);
}

function slugOf(text: string): string {
  return (
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-|-$/g, "") || "application"
  );
}

/** By a folder's path, that of the outermost folder whose build it is a member of, directly or through another. */
function findOwners(surveys: readonly Survey[]): Map<string, string> {
  const owners = new Map<string, string>();
  // The outermost first: a member of a member is the outermost's as well.
  for (const frame of surveys.toSorted((one, other) => one.path.length - other.path.length)) {
    for (const member of listMembers(frame, surveys))
      if (!owners.has(member)) owners.set(member, owners.get(frame.path) ?? frame.path);
  }
  return owners;
}

function roleOf(survey: Survey, isMember: boolean): Role {
  const roles = roleRows.flatMap((role) => role(survey, isMember) ?? []);
  for (const role of ["application", "frame", "unclear", "part"] as const) if (roles.includes(role)) return role;
  return survey.path === "" ? "frame" : "part";
}

/** Plugins of Gradle by which a project is a program. */
const programPlugins =
  /^(?:application|war|org\.springframework\.boot|com\.google\.cloud\.tools\.jib|io\.quarkus|io\.micronaut\.(?:minimal\.)?application|io\.ktor\.plugin)$/;
/** The same of Maven, by artifact. */
const programArtifacts =
  /^(?:spring-boot|jib|quarkus|micronaut|jetty|payara-micro|wildfly|liberty|helidon)-maven-plugin$/;

const roleRows: readonly ((survey: Survey, isMember: boolean) => Role | undefined)[] = [
  ({ files, processes }) =>
    files.some((name) => dockerfileName.test(name) || name === "project.toml") || processes?.includes("web") === true
      ? "application"
      : undefined,
  (survey, isMember) => {
    const { maven } = survey;
    if (maven === undefined) return survey.files.includes("pom.xml") ? "unclear" : undefined;
    if (maven.packaging === "pom") return maven.modules.length > 0 ? "frame" : "part";
    const isProgram = maven.plugins.some(({ artifactId, runs }) => runs && programArtifacts.test(artifactId));
    if (isProgram || maven.packaging === "war" || maven.packaging === "quarkus") return "application";
    return isMember ? "part" : survey.path === "" ? "application" : "unclear";
  },
  (survey, isMember) => {
    const { gradle } = survey;
    if (gradle === undefined) return undefined;
    if (gradle.plugins.some(({ id }) => programPlugins.test(id))) return "application";
    if (gradle.modules.length > 0) return "frame";
    return isMember ? "part" : survey.path === "" ? "application" : "unclear";
  },
  ({ node, files, path }) => {
    if (node === undefined) return files.includes("package.json") ? "unclear" : undefined;
    if (node.scripts.includes("start") || files.includes("server.js")) return "application";
    if (node.scripts.includes("build") && files.some((name) => frontEndFiles.test(name))) return "application";
    if (node.workspaces.length > 0) return "frame";
    return path === "" && node.main !== undefined ? "application" : "part";
  },
  ({ go, files }) => {
    if (go === undefined) return undefined;
    if (go.programs.length > 0) return "application";
    return files.includes("go.work") ? "frame" : "part";
  },
  (survey) => (holdsProjects(survey) ? "frame" : undefined),
  ({ files, folders }) => {
    if (files.some((name) => /^(?:build\.sbt|project\.clj|deps\.edn|Staticfile)$/.test(name))) return "application";
    // Beside its pages a server's settings are a site's; by themselves they may be for what stands before others.
    const hasPages = files.includes("index.html") || ["public", "htdocs"].some((name) => folders.includes(name));
    return hasPages && files.some((name) => /^(?:nginx|httpd)\.conf$/.test(name)) ? "application" : undefined;
  },
  (survey) => {
    const written = detectEcosystems(survey).filter(
      ({ language }) =>
        !["nodejs", "java", "go", "static"].includes(language) && !(language === "python" && holdsProjects(survey)),
    );
    if (written.length === 0) return undefined;
    if (survey.path === "") return "application";
    return survey.files.some((name) => entryFiles.test(name)) ? "application" : "unclear";
  },
  ({ files, path }) =>
    path === "" && files.some((name) => /^(?:index\.html|nginx\.conf|httpd\.conf|Staticfile)$/.test(name))
      ? "unclear"
      : undefined,
];

/** Whether a pyproject.toml has a workspace of uv and no project of its own. */
function holdsProjects({ python, files }: Survey): boolean {
  if (python === undefined || python.isProject || python.workspaces.length === 0) return false;
  return !files.some((name) => entryFiles.test(name));
}

/** Files by which a package is a front end, which is built and then served. A library's development server has others. */
const frontEndFiles =
  /^(?:index\.html|angular\.json|vue\.config\.[cm]?js|(?:next|nuxt|astro|gatsby)(?:-config|\.config)\.[cm]?[jt]s)$/;

/** Files by which a program is begun, in the languages that have such customs. */
const entryFiles =
  /^(?:main|app|manage|wsgi|asgi|server|application)\.py$|^(?:config\.ru|app\.rb|index\.php|Program\.cs|Program\.fs|Cargo\.lock)$/;
