import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Packages as they lie there, whoever put them: their own package.json says what they are.
 * @returns {Generator<{ path: string, name: string, version: string, scripts: Record<string, unknown> }>}
 */
export function* listInstalled(folder) {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    // A link is a workspace's, or leads to what is met below `.pnpm`.
    if (name === ".bin" || !lstatSync(path).isDirectory()) continue;
    if (name === ".pnpm") for (const each of readdirSync(path)) yield* listInstalled(join(path, each, "node_modules"));
    else if (name.startsWith("@")) yield* listInstalled(path);
    else yield* describeInstalled(path);
  }
}

function* describeInstalled(path) {
  const file = join(path, "package.json");
  if (!existsSync(file)) return;
  const { name, version, scripts } = JSON.parse(readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
  if (typeof name === "string" && typeof version === "string") yield { path, name, version, scripts: scripts ?? {} };
  yield* listInstalled(join(path, "node_modules"));
}

/** An application that ends for want of a compiled part says so in words of its own, so the build says why beforehand. */
export function warnOfInstallScripts({ say }, env, folder) {
  if (env.BP_NODE_INSTALL_SCRIPTS === "true") return;
  const left = [...listInstalled(folder)]
    .filter(
      ({ path, scripts }) =>
        ["preinstall", "install", "postinstall"].some((name) => scripts[name] !== undefined) ||
        existsSync(join(path, "binding.gyp")),
    )
    .map(({ name }) => name);
  if (left.length > 0)
    say(
      `Not run, as strangers' code: the install scripts of ${[...new Set(left)].join(", ")}. Where one of these does not work without, set BP_NODE_INSTALL_SCRIPTS=true in the build's env.`,
    );
}
