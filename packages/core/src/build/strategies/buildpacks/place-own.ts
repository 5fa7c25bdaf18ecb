import { chmod, mkdir, readdir, realpath, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Workspace } from "../../workspace.ts";
import { type Buildpack, buildpackFolder, buildpackId, buildpackVersion } from "../buildpack-names.ts";
import { findKnown, type OrderGroup, type OwnBuildpack, renderInline, renderOwnOrder } from "../own-buildpacks.ts";

/** Where an image has its buildpacks, by the specification. */
const buildersFolder = "/cnb/buildpacks";

export interface OwnPlaces {
  /** The groups of the builder. */
  groups: readonly OrderGroup[];
  /** The folder of an unpacked builder image with its buildpacks; undefined where they lie in the workspace as well. */
  buildpacks: string | undefined;
  /** The builder's that are in the workspace. */
  packages: readonly Buildpack[];
  /** Those of the images that the application names. */
  images: readonly Buildpack[];
}

/**
 * Puts inline buildpacks beside those of images in the workspace's folder, and links to the builder image's own there,
 * since the lifecycle takes all of them from one folder. The links lead into the image, in which alone they are followed.
 * @returns `order.toml`
 * @throws what {@link renderOwnOrder} throws
 */
export async function placeOwnBuildpacks(
  own: readonly OwnBuildpack[],
  workspace: Pick<Workspace, "buildpacks">,
  { groups, buildpacks, packages, images }: OwnPlaces,
): Promise<string> {
  const inBuilder = buildpacks === undefined ? [] : await listBuildpacks(buildpacks);
  const known = [...packages, ...inBuilder];
  const order = renderOwnOrder(own, { groups, known, images });
  for (const each of inBuilder) await link(workspace.buildpacks, each);
  for (const each of own) {
    if (each.kind !== "inline") continue;
    findKnown(each, [...known, ...images]);
    const folder = join(workspace.buildpacks, buildpackFolder(each));
    await makeFolder(workspace.buildpacks, buildpackFolder(each), "bin");
    for (const [name, text] of Object.entries(renderInline(each))) {
      await writeFile(join(folder, name), text, { flag: "wx" });
      await chmod(join(folder, name), 0o755);
    }
  }
  return order;
}

/** A folder is `ID/VERSION`, with `_` for `/` in the id, which has no `_` by itself. */
async function listBuildpacks(directory: string): Promise<Buildpack[]> {
  // On this machine a link of the image would lead to something of the machine's.
  const above = dirname(dirname(directory));
  if ((await realpath(directory)) !== join(await realpath(above), "cnb/buildpacks")) {
    throw new UserError("the builder image has a link on the way to /cnb/buildpacks", { code: "builder-malformed" });
  }
  const found: Buildpack[] = [];
  for (const folder of await readdir(directory, { withFileTypes: true })) {
    const id = folder.name.replaceAll("_", "/");
    if (!folder.isDirectory() || !buildpackId.safeParse(id).success) continue;
    for (const { name } of await readdir(join(directory, folder.name), { withFileTypes: true }))
      if (buildpackVersion.safeParse(name).success) found.push({ id, version: name });
  }
  return found;
}

async function link(directory: string, buildpack: Buildpack): Promise<void> {
  const folder = buildpackFolder(buildpack);
  await makeFolder(directory, folder.slice(0, folder.indexOf("/")));
  try {
    await symlink(join(buildersFolder, folder), join(directory, folder));
  } catch (error) {
    // An image that the application names, and that the policy has, brings the same one.
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/** Whatever the umask is: another user reads it. */
async function makeFolder(directory: string, ...parts: readonly string[]): Promise<void> {
  let path = directory;
  for (const part of parts.join("/").split("/")) {
    path = join(path, part);
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
  }
}
