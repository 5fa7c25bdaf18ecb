import { mkdir, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { parse } from "smol-toml";
import { z } from "zod";
import { type FileTree, readTree, writeLayer } from "./file-tree.ts";
import { assembleImage, type BuiltImage, fixedTime, saveImage } from "./image.ts";

export interface BuildpackageOptions {
  /** Where the image's files are put; made when it isn't there. */
  outputDirectory: string;
  env: Readonly<Record<string, string | undefined>>;
  /** What else the buildpack has in it: its runtime. */
  more?: FileTree;
}

const descriptorSchema = z.looseObject({
  api: z.string().regex(/^[0-9]+(?:\.[0-9]+)?$/),
  buildpack: z.looseObject({
    id: z.string().regex(/^[A-Za-z0-9./-]+$/),
    version: z.string().regex(/^[0-9]+\.[0-9]+\.[0-9]+$/),
    name: z.string().optional(),
    description: z.string().optional(),
    homepage: z.string().optional(),
  }),
  targets: z.array(z.looseObject({ os: z.string(), arch: z.string() })).min(1),
});

/** A program that the lifecycle starts has to be executable, whatever the checkout's file system made of it. */
const executable = /^bin\/[^/]+$/;

/**
 * Packages a buildpack's folder as an OCI image: a *buildpackage* by the Buildpacks distribution specification, with
 * one layer that holds the buildpack at `/cnb/buildpacks/<id>/<version>` (`/` in the id is `_`) and the two labels that
 * platforms find it by. The same folder is the same digest.
 * @throws UserError `buildpack-invalid`
 */
export async function packageBuildpack(directory: string, options: BuildpackageOptions): Promise<BuiltImage> {
  const { api, buildpack, targets } = await readDescriptor(directory);
  const files = await readBuildpack(directory);
  for (const name of ["bin/detect", "bin/build"]) {
    if (files.get(name)?.type !== "file") throw invalid(directory, `it has no ${name}`);
  }
  const root = `cnb/buildpacks/${buildpack.id.replaceAll("/", "_")}`;
  const tree: FileTree = new Map([
    [root, { type: "directory", mode: 0o755 }],
    [`${root}/${buildpack.version}`, { type: "directory", mode: 0o755 }],
  ]);
  for (const [path, entry] of files) {
    const mode = entry.type === "file" && !executable.test(path) ? 0o644 : 0o755;
    tree.set(`${root}/${buildpack.version}/${path}`, entry.type === "symlink" ? entry : { ...entry, mode });
  }
  for (const [path, entry] of options.more ?? []) tree.set(`${root}/${buildpack.version}/${path}`, entry);
  const created = fixedTime(options.env);
  await mkdir(options.outputDirectory, { recursive: true });
  const work = await mkdtemp(join(options.outputDirectory, ".buildpackage-"));
  try {
    // pack writes these names with a slash in front, and looks for it when it reads them.
    const layer = await writeLayer(tree, created, join(work, "layer.tar.gz"), {
      prefix: "/",
      // A runtime is large, and 9 takes five times as long as 4 for a few per cent.
      level: options.more === undefined ? 9 : 4,
    });
    const { id, version, name, description, homepage } = buildpack;
    const shared = { ...(name === undefined ? {} : { name }), ...(homepage === undefined ? {} : { homepage }) };
    const image = assembleImage(
      {
        // One layer of scripts serves every target, and an image has to say one.
        architecture: targets[0]?.arch ?? "amd64",
        created,
        config: {
          Labels: {
            // Targets took the place of stacks; `*` says that any will do, as pack has it.
            "io.buildpacks.buildpackage.metadata": JSON.stringify({
              id,
              ...shared,
              version,
              description,
              stacks: [{ id: "*" }],
            }),
            "io.buildpacks.buildpack.layers": JSON.stringify({
              [id]: { [version]: { api, targets, layerDiffID: layer.diffId, ...shared } },
            }),
          },
        },
        history: `buildpack ${id}@${version}`,
      },
      [layer],
    );
    return await saveImage(image, join(options.outputDirectory, `buildpackage-${image.digest.slice(7, 19)}`));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A buildpack's files. `lib` may be a link to a folder that several share: each package has a copy of it. */
async function readBuildpack(directory: string): Promise<FileTree> {
  const files = await readTree(directory);
  if (files.get("lib")?.type !== "symlink") return files;
  files.set("lib", { type: "directory", mode: 0o755 });
  for (const [path, entry] of await readTree(await realpath(join(directory, "lib")))) files.set(`lib/${path}`, entry);
  return files;
}

async function readDescriptor(directory: string): Promise<z.infer<typeof descriptorSchema>> {
  const text = await readFile(join(directory, "buildpack.toml"), "utf8").catch((error: unknown) => {
    throw invalid(directory, "it has no buildpack.toml that can be read", error);
  });
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw invalid(
      directory,
      `buildpack.toml is not TOML: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  const parsed = descriptorSchema.safeParse(content);
  if (!parsed.success)
    throw invalid(directory, `buildpack.toml is incomplete: ${z.prettifyError(parsed.error)}`, parsed.error);
  return parsed.data;
}

function invalid(directory: string, why: string, cause?: unknown): UserError {
  return new UserError(`'${directory}' is not a buildpack: ${why}`, {
    code: "buildpack-invalid",
    wayOut: "Name a folder with buildpack.toml, bin/detect and bin/build, by the Buildpack interface specification.",
    cause,
  });
}
