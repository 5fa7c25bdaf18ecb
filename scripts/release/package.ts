// Makes the npm package of the command line: `node scripts/release/package.ts FOLDER` leaves FOLDER/*.tgz and prints
// its path. It has no dependencies, so what is installed is what was bundled from the lock file. Folders in it are as
// in the repository, since the sources find `package.json` and the actions' inputs beside them.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { stageRows } from "@goldenpath/core/stages";
import { bundle } from "../bundle.ts";
import { listActions } from "../docs.ts";
import { bin, root } from "../steps.ts";
import { coordinates, readVersion } from "./coordinates.ts";

/** Fills an empty folder with what the package holds. */
export function stagePackage(folder: string): void {
  const run = (file: string, args: string[]): void =>
    void execFileSync(file, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  run(bin("tsc"), ["--build"]);
  const dist = join(folder, "packages/cli/dist");
  bundle(copyCompiled(), dist, { inPieces: true });
  // The bundler leaves the licences of one piece: of all there are when all is one.
  const whole = mkdtempSync(join(tmpdir(), "goldenpath-whole-"));
  bundle(nameAll(), whole);
  cpSync(join(whole, "licenses.txt"), join(dist, "licenses.txt"));
  rmSync(whole, { recursive: true, force: true });
  const copy = (from: string, to = from): void => {
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    cpSync(join(root, from), join(folder, to));
  };
  for (const action of listActions()) copy(`actions/${action}/action.yml`);
  copy("packages/cli/bin/packaged.mjs", "bin/goldenpath.mjs");
  chmodSync(join(folder, "bin/goldenpath.mjs"), 0o755);
  for (const name of ["LICENSE", "README.md"]) copy(name);
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(describePackage(), null, 2)}\n`);
}

/** Always at this path: the bundler numbers its files by where they were. */
const compiled = join("node_modules", ".cache", "goldenpath-package");

/**
 * The compiled command line with its verbs named one by one, which a bundler has to see: the sources load a stage's
 * verb by its row's word.
 * @returns its entry, relative to the root
 */
function copyCompiled(): string {
  rmSync(join(root, compiled), { recursive: true, force: true });
  cpSync(join(root, "packages/cli/out"), join(root, compiled), { recursive: true });
  const file = join(root, compiled, "commands/verbs.js");
  const loaders = stageRows.map(({ command }) => `${command}: () => import("@goldenpath/core/verbs/${command}")`);
  const byWord = /\bimport\((?:__rewriteRelativeImportExtension\()?`@goldenpath\/core\/verbs\/\$\{command\}`\)?\)/g;
  const text = readFileSync(file, "utf8");
  if (text.match(byWord)?.length !== 1)
    throw new Error(`${file} does not load verbs by their words any more: name them to the bundler another way`);
  writeFileSync(file, text.replace(byWord, `{ ${loaders.join(", ")} }[command]()`));
  return join(compiled, "process.js");
}

/** An entry that has in it whatever the command line loads on demand. @returns it, relative to the root */
function nameAll(): string {
  const commands = readdirSync(join(root, compiled, "commands")).filter((name) => name.endsWith(".js"));
  const modules = [
    "./process.js",
    ...commands.map((name) => `./commands/${name}`),
    ...stageRows.map(({ command }) => `@goldenpath/core/verbs/${command}`),
  ];
  const entry = join(compiled, "all.js");
  writeFileSync(join(root, entry), modules.map((name) => `import ${JSON.stringify(name)};\n`).join(""));
  return entry;
}

function describePackage() {
  const { description, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  return {
    ...{ name: coordinates.npmPackage, version: readVersion(), description, license },
    // npm's trusted publishing compares this with the workflow that publishes.
    repository: { type: "git", url: `git+https://github.com/${coordinates.repository}.git` },
    type: "module",
    bin: { goldenpath: "bin/goldenpath.mjs" },
    engines: { node: ">=22.19" },
    files: ["bin", "packages", "actions"],
    publishConfig: { access: "public" },
  };
}

/** Packs it into `folder`, and returns the archive's path. The same sources give the same bytes. */
export function packPackage(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const stage = mkdtempSync(join(tmpdir(), "goldenpath-package-"));
  try {
    stagePackage(stage);
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", resolve(folder)];
    const [packed] = JSON.parse(execFileSync("npm", args, { cwd: stage, encoding: "utf8" })) as { filename: string }[];
    if (packed === undefined) throw new Error("npm pack made nothing");
    return join(resolve(folder), packed.filename);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("node scripts/release/package.ts FOLDER");
  console.log(packPackage(folder));
}
