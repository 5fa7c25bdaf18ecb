import { posix } from "node:path";
import type { MavenProject, Survey } from "./survey.ts";
import { createWorkspaceMatcher } from "./workspaces.ts";

/** What a folder's files say of others. */
type Frame = Pick<Survey, "path"> & {
  [Key in "maven" | "gradle" | "go" | "node" | "python"]?: Survey[Key] | undefined;
};

/** Folders below it that a folder's files name as members of its build. */
export function listMembers({ path, maven, gradle, go, node, python }: Frame, surveys: readonly Survey[]): string[] {
  const below = surveys.filter((each) => (path === "" ? each.path !== "" : each.path.startsWith(`${path}/`)));
  const named = new Set(
    [...mavenModules(maven), ...(gradle?.modules ?? []), ...(go?.uses ?? [])].map((folder) =>
      posix.join(path, folder).replace(/\/$/, ""),
    ),
  );
  const isPackage = createWorkspaceMatcher(node?.workspaces ?? []);
  const isProject = createWorkspaceMatcher(python?.workspaces ?? []);
  return below
    .filter((each) => {
      const folder = withoutFolder(path, each.path);
      if (each.node !== undefined && isPackage(folder)) return true;
      return named.has(each.path) || (each.python !== undefined && isProject(folder));
    })
    .map((each) => each.path);
}

/**
 * The file by which a folder's build has another folder for a member; undefined where it has not. Go's workspaces don't
 * count: what is in one builds without it.
 */
export function findMembership(outer: Survey, inner: Survey): string | undefined {
  const { path, files, maven, gradle, node, python } = outer;
  const kinds: [string, Omit<Frame, "path">][] = [
    ["pom.xml", { maven }],
    [gradle?.file ?? "", { gradle }],
    [files.includes("pnpm-workspace.yaml") ? "pnpm-workspace.yaml" : "package.json", { node }],
    ["pyproject.toml", { python }],
  ];
  return kinds.find(([, kind]) => listMembers({ path, ...kind }, [inner]).length > 0)?.[0];
}

/** A module may be named by its file. */
function mavenModules(maven: MavenProject | undefined): string[] {
  return (maven?.modules ?? []).map((module) => module.replace(/\/?[^/]+\.xml$/, ""));
}

/** A path below a folder, as from there. */
export function withoutFolder(folder: string, path: string): string {
  return folder === "" ? path : path.slice(folder.length + 1);
}
