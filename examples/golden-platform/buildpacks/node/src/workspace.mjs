import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readManifest } from "./application.mjs";

/**
 * Packages of the workspace that one of it needs, those that others need first: each that has a script `build`.
 * @param {object} outer the workspace's own package.json
 * @param {object} manifest of the package that is built
 * @returns {{ name: "build", directory: string }[]}
 */
export function listNeeded({ directory }, outer, manifest) {
  const packages = new Map(
    listFolders(directory, outer).map((folder) => {
      const own = readManifest({ directory: folder });
      return [own.name, { folder, own }];
    }),
  );
  const seen = new Set([manifest.name]);
  const needed = [];
  const walk = ({ dependencies, devDependencies }) => {
    for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
      const found = packages.get(name);
      if (found === undefined || seen.has(name)) continue;
      seen.add(name);
      walk(found.own);
      if (typeof found.own.scripts?.build === "string") needed.push({ name: "build", directory: found.folder });
    }
  };
  walk(manifest);
  return needed;
}

/** By the patterns of package.json, or of pnpm's own file: a list, a line each. */
function listFolders(directory, { workspaces }) {
  const file = join(directory, "pnpm-workspace.yaml");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const block = /^packages:[ \t]*\n((?:[ \t]*(?:-[ \t].*|#.*)?\n)+)/m.exec(`${text}\n`)?.[1] ?? "";
  const ofPnpm = [...block.matchAll(/^[ \t]*-[ \t]+['"]?([^'"#\n]+?)['"]?[ \t]*(?:#.*)?$/gm)].map(
    ([, pattern]) => pattern,
  );
  const all = [...(Array.isArray(workspaces) ? workspaces : (workspaces?.packages ?? [])), ...ofPnpm];
  const patterns = all.filter((pattern) => !pattern.startsWith("!") && !pattern.split("/").includes(".."));
  return patterns
    .flatMap((pattern) => globSync(`${pattern.replace(/\/+$/, "")}/package.json`, { cwd: directory }))
    .filter((path) => !path.split("/").includes("node_modules"))
    .map((path) => join(directory, path, ".."));
}
