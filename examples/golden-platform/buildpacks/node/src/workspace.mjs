import { existsSync, readdirSync, readFileSync } from "node:fs";
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
  const found = patterns.flatMap((pattern) => findFolders(directory, pattern.split("/")));
  return [...new Set(found)].filter((folder) => existsSync(join(folder, "package.json")));
}

/**
 * Folders by a pattern's parts: names, `*` and `?` in them, and `**` for any depth. By hand, since Node.js before 22 has
 * no such function.
 */
function findFolders(directory, [part, ...rest]) {
  if (part === undefined) return [directory];
  if (part === "" || part === ".") return findFolders(directory, rest);
  const below = listBelow(directory);
  if (part === "**")
    return [
      ...findFolders(directory, rest),
      ...below.flatMap((name) => findFolders(join(directory, name), [part, ...rest])),
    ];
  const text = part
    .replace(/[\\^$.+()|[\]{}]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  const isNamed = new RegExp(`^${text}$`);
  return below.filter((name) => isNamed.test(name)).flatMap((name) => findFolders(join(directory, name), rest));
}

function listBelow(directory) {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith("."))
    .map(({ name }) => name);
}
