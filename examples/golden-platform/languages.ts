import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { runChecked } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { parseDistribution } from "./apt.ts";
import { packageBuildpack } from "./buildpackage.ts";
import { addFile, addParents, type FileTree, readTree } from "./file-tree.ts";
import { type BuiltImage, fixedTime, loadImage, saveImage } from "./image.ts";
import { buildRuntime, type RuntimeRecipe } from "./runtimes.ts";

/** The platform's buildpacks, each a folder of `buildpacks`, in the order in which a builder of all of them tries. */
export const languages = ["java", "go", "python", "ruby", "php", "node", "static"] as const;
export type Language = (typeof languages)[number];

/** `packages.json` of a buildpack: the distribution's packages, and what comes from elsewhere. */
interface LanguageRecipe extends RuntimeRecipe {
  /** Go's own toolchain, as its module proxy has it: newer than the distribution's. */
  go?: { version: string; sums: Record<string, string>; without: string[] };
}

export interface LanguageOptions {
  /** Where results are kept, so that a second call is quick. */
  outputDirectory: string;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
}

/**
 * A language's buildpack as an image, with all in it that it needs besides its registry of packages: compilers, tools,
 * the runtime for the image. Kept, and made again when its sources or the distribution change.
 * @throws UserError `distribution-unsupported`, `tool-missing`, `package-unknown`, `tool-source-mismatch`;
 *   InfrastructureError `apt-failed`
 */
export async function buildLanguage(language: Language, options: LanguageOptions): Promise<BuiltImage> {
  const directory = join(import.meta.dirname, "buildpacks", language);
  const recipe = JSON.parse(await readFile(join(directory, "packages.json"), "utf8")) as LanguageRecipe;
  const kept = join(options.outputDirectory, `language-${language}-${(await keyOf(directory, options)).slice(0, 12)}`);
  const earlier = await loadImage(kept);
  if (earlier !== undefined) return earlier;
  const task = options.ports.progress.start(`buildpack ${language}`, { amount: 2, unit: "items" });
  try {
    const more = await buildRuntime(recipe, { ...options, workDirectory: options.outputDirectory });
    if (recipe.go !== undefined) for (const [path, entry] of await fetchGo(recipe.go, options)) more.set(path, entry);
    task.advance(1);
    const image = await packageBuildpack(directory, { ...options, more });
    const saved = await saveImage(image, kept);
    task.done(image.digest);
    return saved;
  } catch (error) {
    task.failed();
    throw error;
  }
}

/** Of everything that decides what comes out, but for the versions of the distribution's packages. */
async function keyOf(directory: string, { env }: LanguageOptions): Promise<string> {
  const hash = createHash("sha256");
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  hash.update(JSON.stringify([parseDistribution(release), process.arch, fixedTime(env)]));
  for (const folder of [directory, join(directory, "../lib")]) {
    for (const [path, entry] of [...(await readTree(folder))].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${path}\0`).update(entry.type === "file" ? entry.content : entry.type);
    }
  }
  for (const maker of ["runtimes.ts", "languages.ts", "buildpackage.ts"])
    hash.update(await readFile(join(import.meta.dirname, maker)));
  return hash.digest("hex");
}

/**
 * Go's toolchain is a module, which the go command fetches and checks against the checksum database; its sum is pinned
 * here besides.
 */
async function fetchGo(go: NonNullable<LanguageRecipe["go"]>, { env, signal }: LanguageOptions): Promise<FileTree> {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const module = `golang.org/toolchain@v0.0.1-go${go.version}.linux-${architecture}`;
  const { stdout } = await runChecked("go", ["mod", "download", "-json", module], {
    env: { ...env, GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local" },
    cwd: "/",
    ...(signal === undefined ? {} : { signal }),
  });
  const { Dir: directory, Sum: sum } = parseJson(stdout) as { Dir: string; Sum: string };
  if (sum !== go.sums[architecture]) {
    throw new UserError(`${module} has the sum ${sum}, and ${go.sums[architecture] ?? "none"} is pinned`, {
      code: "tool-source-mismatch",
      wayOut: "Take the new sum from the checksum database (sum.golang.org) into buildpacks/go/packages.json.",
    });
  }
  const tree: FileTree = new Map();
  for (const [path, entry] of await readTree(directory)) {
    if (go.without.some((prefix) => `${path}/`.startsWith(prefix)) || /(?:_test\.go|\/testdata(?:\/.*)?)$/.test(path))
      continue;
    const target = `runtime/go/${path}`;
    if (entry.type === "file") addFile(tree, target, entry.content, /^(?:bin|pkg\/tool)\//.test(path) ? 0o755 : 0o644);
    else if (entry.type === "directory") tree.set(target, { type: "directory", mode: 0o755 });
    addParents(tree, target);
  }
  return tree;
}
