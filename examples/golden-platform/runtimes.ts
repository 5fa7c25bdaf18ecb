import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join, posix } from "node:path";
import { type Distribution, openApt, type PackageRecord, parseDistribution } from "./apt.ts";
import { closePackages, type InstallOptions, readRecipe, unpackPackages } from "./base.ts";
import { addFile, addParents, type FileTree } from "./file-tree.ts";
import { bundleCertificates, isForPeople, placeEntry, resolvePath, type UnpackedPackage } from "./root-tree.ts";

/** `runtime.json` in a buildpack's folder: what of the distribution it brings along. */
export interface RuntimeRecipe {
  /** Names (with alternatives, ` | ` between them) of what applications run with. */
  launch: string[];
  /** Of what builds them besides, which no image gets. */
  build?: string[];
  /** By a name: what some applications run with besides, and others do not get. */
  parts?: Record<string, string[]>;
  /** Dependencies that only a maintainer script or a person at a terminal has, with the reason. */
  notNeeded?: Record<string, string>;
  /** The trusted certificates of the run image as a file, for a runtime that keeps them in a form of its own. */
  certificates?: true;
  /** Beginnings of paths that nothing needs, such as sources for debuggers. */
  without?: string[];
}

interface RuntimePackage {
  name: string;
  version: string;
  architecture: string;
  /** The source package, by which advisories go. */
  source: string;
  /** `debian-12` */
  distribution: string;
}

type RuntimeOptions = Omit<InstallOptions, "directory" | "onStep"> & {
  /** A folder for what is left out again; made when it isn't there. */
  workDirectory: string;
};

/**
 * The distribution's packages as a part of a buildpack: `runtime` with all of them, `runtime.json` with what of it goes
 * into images, by all or by some, and `shell`. What the golden run image has is left out: it is there wherever this is
 * used. No maintainer script runs.
 * @throws UserError `distribution-unsupported`, `tool-missing`, `package-unknown`; InfrastructureError `apt-failed`
 */
export async function buildRuntime(recipe: RuntimeRecipe, options: RuntimeOptions): Promise<FileTree> {
  const distribution = parseDistribution(await readFile("/etc/os-release", "utf8").catch(() => ""));
  await mkdir(options.workDirectory, { recursive: true });
  const directory = await mkdtemp(join(options.workDirectory, ".runtime-"));
  try {
    const apt = await openApt({ ...options, distribution, directory: join(directory, "apt") });
    const golden = await closePackages(apt, await readRecipe("golden"));
    const base = new Set(golden.map(({ name }) => name));
    const close = async (packages: string[]): Promise<PackageRecord[]> => {
      const closed = await closePackages(apt, { packages, notNeeded: recipe.notNeeded ?? {} });
      return closed.filter(({ name }) => !base.has(name));
    };
    const launch = new Set((await close(recipe.launch)).map(({ name }) => name));
    const parts = new Map<string, ReadonlySet<string>>();
    for (const [part, packages] of Object.entries(recipe.parts ?? {})) {
      const closed = await close([...recipe.launch, ...packages]);
      parts.set(part, new Set(closed.map(({ name }) => name).filter((name) => !launch.has(name))));
    }
    const inParts = Object.values(recipe.parts ?? {}).flat();
    const all = await close([...recipe.launch, ...inParts, ...(recipe.build ?? []), "busybox"]);
    const certificates = recipe.certificates === true ? golden.filter(({ name }) => name === "ca-certificates") : [];
    const unpacked = await unpackPackages(apt, [...all, ...certificates], { ...options, directory });
    return composeRuntime(unpacked, { launch, parts }, { distribution, recipe });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Described {
  distribution: Distribution;
  recipe: RuntimeRecipe;
}

/** Names of the packages that images get, all of them or those that want a part. */
interface Chosen {
  launch: ReadonlySet<string>;
  parts: ReadonlyMap<string, ReadonlySet<string>>;
}

function composeRuntime(
  unpacked: readonly UnpackedPackage[],
  { launch, parts }: Chosen,
  described: Described,
): FileTree {
  const runtime: FileTree = new Map();
  const pathsOf = new Map<string, string[]>();
  const isInImages = (name: string): boolean => launch.has(name) || [...parts.values()].some((part) => part.has(name));
  const tree: FileTree = new Map();
  const isDropped = (path: string): boolean =>
    isForPeople(path) || (described.recipe.without ?? []).some((prefix) => path.startsWith(prefix));
  for (const each of unpacked) {
    if (each.name === "ca-certificates") {
      addFile(tree, "certificates.pem", bundleCertificates(each.files));
      continue;
    }
    const isShell = each.name === "busybox" && !isInImages("busybox");
    if (isShell) {
      const program = each.files.get("bin/busybox") ?? each.files.get("usr/bin/busybox");
      if (program?.type !== "file") throw new Error("busybox has no bin/busybox");
      addFile(tree, "shell/busybox", program.content, 0o755);
      addFile(tree, "shell/packages.json", json([describePackage(each, described)]));
      continue;
    }
    const before = new Set(runtime.keys());
    for (const [path, entry] of each.files) if (!isDropped(path)) placeEntry(runtime, path, entry, each.name);
    if (!isInImages(each.name)) continue;
    addFile(runtime, `var/lib/dpkg/status.d/${each.name}`, `${each.control.trimEnd()}\n`);
    pathsOf.set(
      each.name,
      [...runtime.keys()].filter((path) => !before.has(path)),
    );
  }
  makeRelocatable(runtime);
  for (const [path, entry] of runtime) {
    addParents(tree, `runtime/${path}`);
    tree.set(`runtime/${path}`, entry);
  }
  const describe = (names: ReadonlySet<string>) => ({
    launch: [...names].flatMap((name) => (pathsOf.get(name) ?? []).filter((path) => runtime.has(path))).sort(),
    packages: unpacked.filter(({ name }) => names.has(name)).map((each) => describePackage(each, described)),
  });
  const ofParts = Object.fromEntries([...parts].map(([part, names]) => [part, describe(names)]));
  addFile(tree, "runtime.json", json({ ...describe(launch), parts: ofParts }));
  return tree;
}

/** Links lead to `/`, which is elsewhere for what lies in a layer. What leads out of the runtime is left out. */
function makeRelocatable(runtime: FileTree): void {
  for (const [path, entry] of [...runtime]) {
    if (entry.type !== "symlink") continue;
    const target = resolvePath(runtime, path);
    if (target === undefined) runtime.delete(path);
    else runtime.set(path, { type: "symlink", target: posix.relative(posix.dirname(path), target) || "." });
  }
}

function describePackage({ name, control }: UnpackedPackage, { distribution }: Described): RuntimePackage {
  const field = (key: string): string | undefined => new RegExp(`^${key}: (.*)$`, "m").exec(control)?.[1]?.trim();
  return {
    name,
    version: field("Version") ?? "",
    architecture: field("Architecture") ?? "",
    source: (field("Source") ?? name).replace(/ .*$/, ""),
    distribution: `${distribution.id}-${distribution.version}`,
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}
