import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import {
  type Apt,
  type Distribution,
  elsewhere,
  explainMissingTool,
  openApt,
  type PackageRecord,
  parseDistribution,
} from "./apt.ts";
import { readTree, writeLayer } from "./file-tree.ts";
import { assembleImage, type BuiltImage, fixedTime, loadImage, saveImage } from "./image.ts";
import { composeRoot, runUser, type UnpackedPackage } from "./root-tree.ts";

export type BaseVariant = "golden" | "other";

export interface BaseOptions {
  /** Where results are kept, so that a second call is quick. Made when it isn't there. */
  outputDirectory: string;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  /** `golden` unless told; `other` is made the same way and stands for a base that nobody approved. */
  variant?: BaseVariant;
  /** Ask the archives for newer packages although there is a result of an earlier call. */
  refresh?: boolean;
}

/** Packages for a root file system. */
export interface PackageChoice {
  /**
   * Names; alternatives, the preferred one first, with ` | ` between them, since distributions' releases name some
   * differently.
   */
  packages: string[];
  /** Dependencies that only a maintainer script or a person at a terminal has, with the reason. */
  notNeeded: Record<string, string>;
}

interface Recipe extends PackageChoice {
  name: BaseVariant;
  title: string;
  description: string;
}

export async function readRecipe(variant: BaseVariant | "builder"): Promise<Recipe> {
  return JSON.parse(await readFile(new URL(`base/${variant}.json`, import.meta.url), "utf8")) as Recipe;
}

/** Raise it when the same packages make another root than before. */
const recipeVersion = 1;

/**
 * Makes a run image from the distribution's own packages, as an ordinary user: apt downloads and verifies, dpkg-deb
 * unpacks, and no package's script runs. The same packages give the same digest.
 * @throws UserError `platform-unsupported`, `distribution-unsupported`, `tool-missing`, `package-unknown`;
 *   InfrastructureError `apt-failed`, `package-broken`
 */
export async function buildGoldenBase(options: BaseOptions): Promise<BuiltImage> {
  if (process.platform !== "linux")
    throw new UserError(`a base is made on Linux, and this is ${process.platform}`, {
      code: "platform-unsupported",
      wayOut: elsewhere,
    });
  const distribution = parseDistribution(await readFile("/etc/os-release", "utf8").catch(() => ""));
  const recipe = await readRecipe(options.variant ?? "golden");
  const modified = fixedTime(options.env);
  const key = createHash("sha256")
    .update(JSON.stringify([recipeVersion, recipe, distribution, process.arch, modified]))
    .digest("hex");
  const kept = join(options.outputDirectory, `base-${recipe.name}-${key.slice(0, 12)}`);
  const earlier = options.refresh === true ? undefined : await loadImage(kept);
  if (earlier !== undefined) {
    options.ports.log.info(`${recipe.title}: ${earlier.digest} from an earlier run`);
    return earlier;
  }
  await mkdir(options.outputDirectory, { recursive: true });
  const work = await mkdtemp(join(options.outputDirectory, `.base-${recipe.name}-`));
  const task = options.ports.progress.start(recipe.title, { amount: 4, unit: "items" });
  try {
    const { root, packages } = await installPackages(recipe, distribution, {
      ...options,
      directory: work,
      onStep: () => task.advance(1),
    });
    const layer = await writeLayer(root, modified, join(work, "layer.tar.gz"));
    const image = await saveImage(assembleImage(describeBase(recipe, distribution, packages, modified), [layer]), kept);
    task.advance(1);
    task.done(`${packages.length} packages of ${distribution.prettyName}, ${image.digest}`);
    return image;
  } catch (error) {
    task.failed();
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

export type InstallOptions = Pick<BaseOptions, "env" | "signal"> & { directory: string; onStep?: () => void };

/**
 * A root file system of the chosen packages and what they depend on. `directory` is empty, and what is left in it can
 * go.
 */
export async function installPackages(choice: PackageChoice, distribution: Distribution, options: InstallOptions) {
  const apt = await openApt({ ...options, distribution, directory: join(options.directory, "apt") });
  options.onStep?.();
  const packages = await closePackages(apt, choice);
  const unpacked = await unpackPackages(apt, packages, options);
  return { root: composeRoot(unpacked, distribution), packages };
}

/** Downloads these packages and reads what is in them. */
export async function unpackPackages(
  apt: Apt,
  packages: readonly PackageRecord[],
  options: InstallOptions,
): Promise<UnpackedPackage[]> {
  const files = await apt.download(packages, join(options.directory, "debs"));
  options.onStep?.();
  const unpacked = await Promise.all(
    files.map((file) => unpackPackage(file, join(options.directory, "root"), options)),
  );
  options.onStep?.();
  return unpacked;
}

/** The recipe's packages and all that they depend on, but for what the recipe says is not needed. Sorted by name. */
export async function closePackages(apt: Pick<Apt, "describe">, recipe: PackageChoice): Promise<PackageRecord[]> {
  const chosen = new Map<string, PackageRecord>();
  let wanted = recipe.packages.map((item) => item.split("|").map((name) => name.trim()));
  while (wanted.length > 0) {
    const known = await apt.describe([...new Set(wanted.flat())]);
    const added: PackageRecord[] = [];
    for (const alternatives of wanted) {
      if (alternatives.some((name) => chosen.has(name))) continue;
      const record = alternatives.map((name) => known.get(name)).find((found) => found !== undefined);
      if (record === undefined) {
        throw new UserError(`no archive of this distribution has a package ${alternatives.join(" or ")}`, {
          code: "package-unknown",
          wayOut:
            "Correct `packages` in the base's recipe, or list it under `notNeeded` with the reason why the base does without it.",
        });
      }
      chosen.set(record.name, record);
      added.push(record);
    }
    wanted = added
      .flatMap((record) => record.dependencies)
      .filter((alternatives) => !alternatives.some((name) => name in recipe.notNeeded));
  }
  return [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function unpackPackage(
  file: string,
  directory: string,
  options: Pick<BaseOptions, "env" | "signal">,
): Promise<UnpackedPackage> {
  const name = basename(file).split("_")[0] ?? basename(file);
  const target = join(directory, name);
  await mkdir(directory, { recursive: true });
  const result = await runProcess("dpkg-deb", ["--raw-extract", file, target], {
    env: { PATH: options.env.PATH, LC_ALL: "C" },
    timeoutMs: 120_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).catch(explainMissingTool);
  if (result.exitCode !== 0)
    throw new InfrastructureError(`dpkg-deb can't unpack ${basename(file)}: ${result.stderr.trim()}`, {
      code: "package-broken",
    });
  const files = await readTree(target);
  const control = async (member: string): Promise<string | undefined> => {
    const entry = files.get(`DEBIAN/${member}`);
    return entry?.type === "file" ? Buffer.from(entry.content).toString("utf8") : undefined;
  };
  const [fields, md5sums] = [await control("control"), await control("md5sums")];
  if (fields === undefined)
    throw new InfrastructureError(`${basename(file)} has no control file`, { code: "package-broken" });
  for (const path of [...files.keys()]) if (path === "DEBIAN" || path.startsWith("DEBIAN/")) files.delete(path);
  return { name, control: fields, md5sums, files };
}

/** Labels and variables by the Buildpacks platform specification, for a run image. */
function describeBase(recipe: Recipe, distribution: Distribution, packages: readonly PackageRecord[], created: Date) {
  const id = `io.goldenpath.example.${recipe.name}`;
  return {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    created,
    config: {
      User: `${runUser.uid}:${runUser.gid}`,
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        `CNB_USER_ID=${runUser.uid}`,
        `CNB_GROUP_ID=${runUser.gid}`,
        `CNB_STACK_ID=${id}`,
        "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
      ],
      Labels: {
        "io.buildpacks.base.description": recipe.description,
        "io.buildpacks.base.distro.name": distribution.id,
        "io.buildpacks.base.distro.version": distribution.version,
        "io.buildpacks.base.id": id,
        "io.buildpacks.stack.id": id,
        "org.opencontainers.image.title": recipe.title,
      },
    },
    history: `dpkg-deb --raw-extract ${packages.map((item) => `${item.name}=${item.version}`).join(" ")}`,
  };
}
