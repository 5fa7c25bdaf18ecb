import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { describeIssues, parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts } from "@goldenpath/registry-client/subject";
import { parse, stringify } from "smol-toml";
import { z } from "zod";
import { type FileTree, findNode, resolvePath } from "../../../layers/tree.ts";
import { selectPlatform } from "../../images.ts";
import { unpackImage } from "../../unpack-image.ts";
import type { Workspace } from "../../workspace.ts";
import type { OrderGroup } from "../own-buildpacks.ts";

/** What a builder image's config says, by the Platform specification. */
export interface BuilderConfig {
  /** Who builds in it. */
  user: { uid: number; gid: number };
  /** All that it sets. */
  env: Record<string, string>;
}

const metadataLabel = "io.buildpacks.builder.metadata";

/** @throws UserError `builder-malformed` */
export function parseBuilderConfig({ config }: Pick<ChildFacts, "config">, where: string): BuilderConfig {
  const entries = (config.config?.Env ?? []).map((text): [string, string] => {
    const [name = ""] = text.split("=", 1);
    return [name, text.slice(name.length + 1)];
  });
  const env = Object.fromEntries(entries);
  if (config.config?.Labels?.[metadataLabel] === undefined)
    throw malformed(where, `it has no label ${metadataLabel}, as every builder image has`);
  const number = (name: string): number => {
    const value = env[name] ?? "";
    // Root is no build user, by the specification, and could do in the room what only root can.
    if (!/^[1-9]\d{0,9}$/.test(value))
      throw malformed(where, `its ${name} is '${value.slice(0, 50)}', and a number above 0 is expected`);
    return Number(value);
  };
  return { user: { uid: number("CNB_USER_ID"), gid: number("CNB_GROUP_ID") }, env };
}

const groupSchema = z.looseObject({
  group: z
    .array(z.looseObject({ id: z.string(), version: z.string().optional(), optional: z.boolean().optional() }))
    .min(1),
});
const orderSchema = z.looseObject({
  order: z.array(groupSchema).min(1),
  "order-extensions": z.array(z.unknown()).optional(),
});

/** A builder's `order.toml`, and whether it has extensions, which are left out. @throws UserError `builder-malformed` */
export function parseOrder(
  text: string,
  where: string,
): { order: string; groups: OrderGroup[]; hasExtensions: boolean } {
  let toml: unknown;
  try {
    toml = parse(text);
  } catch (error) {
    throw malformed(where, "its /cnb/order.toml is not TOML", error);
  }
  const parsed = orderSchema.safeParse(toml);
  if (!parsed.success) throw malformed(where, `its /cnb/order.toml: ${describeIssues(parsed.error)}`);
  const groups = parsed.data.order.map(({ group }) => ({
    group: group.map(({ id, version, optional }) => ({
      id,
      ...(version === undefined ? {} : { version }),
      ...(optional === undefined ? {} : { optional }),
    })),
  }));
  return {
    order: `${stringify({ order: groups })}\n`,
    groups: groups.map(({ group }) => group),
    hasExtensions: (parsed.data["order-extensions"] ?? []).length > 0,
  };
}

/** A builder image that is there to build in. */
export interface OpenBuilder extends BuilderConfig {
  /** The image for this platform. */
  image: PinnedReference;
  /** Its files. */
  root: string;
  order: string;
  groups: readonly OrderGroup[];
  hasExtensions: boolean;
  /** Of the build user, in the image. */
  home: string;
  labels: Readonly<Record<string, string>>;
}

const contentsSchema = z.strictObject({ order: z.string(), home: z.string() });
type Contents = z.infer<typeof contentsSchema>;

interface OpenOptions {
  workspace: Workspace;
  client: RegistryClient;
  context: Context;
  platform: Platform;
}

/**
 * Fetches a builder image and unpacks it. What was unpacked before is used again only where that is root's, in a folder
 * that nobody else writes to: a build runs as another user then, and sees it read-only. What an ordinary user has,
 * another job of the same user could have changed, so that is unpacked for one build.
 * @throws UserError `builder-malformed`, `platform-missing`, and what {@link unpackImage} throws
 */
export async function openBuilder(builder: PinnedReference, options: OpenOptions): Promise<OpenBuilder> {
  const { workspace, client, platform } = options;
  const where = `builder ${formatReference(builder)}`;
  const child = selectPlatform(await fetchImageFacts(client, builder), platform, "builder");
  const config = parseBuilderConfig(child, where);
  const image = { registry: builder.registry, name: builder.name, digest: child.digest };
  const own = dirname(workspace.control);
  const kept = workspace.dropsTo === undefined ? undefined : join(dirname(own), "builders");
  const directory = await place(kept, own, image, child, config, options);
  const contents = contentsSchema.parse(parseJson(await readFile(join(directory, contentsFile), "utf8")));
  return {
    ...config,
    ...contents,
    ...parseOrder(contents.order, where),
    image,
    root: join(directory, "root"),
    labels: child.config.config?.Labels ?? {},
  };
}

const contentsFile = "builder.json";

async function place(
  kept: string | undefined,
  own: string,
  image: PinnedReference,
  child: ChildFacts,
  config: BuilderConfig,
  { client, context }: OpenOptions,
): Promise<string> {
  const { ports, signal } = context;
  const parent = kept ?? own;
  const name = kept === undefined ? "builder" : digestHex(image.digest);
  const directory = join(parent, name);
  if (kept !== undefined) {
    await mkdir(kept, { recursive: true, mode: 0o700 });
    await removeUnused(kept, context.now());
    if (await isThere(join(directory, contentsFile))) {
      await utimes(directory, context.now(), context.now());
      ports.log.info(`builder image ${formatReference(image)} is unpacked already`);
      return directory;
    }
  }
  const partial = join(parent, `${name}.${process.pid}.partial`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { mode: 0o700 });
  try {
    const tree = await unpackImage(image, child, partial, { client, ports, signal, user: config.user });
    const contents = await describeContents(tree, partial, config, `builder ${formatReference(image)}`);
    await writeFile(join(partial, contentsFile), stringifyJson(contents), { mode: 0o600 });
    // Another build may have been faster: then its one is as good.
    await rename(partial, directory).catch(async (error: unknown) => {
      if (!(await isThere(join(directory, contentsFile)))) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return directory;
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Milliseconds after which an unpacked builder that nobody used is removed. */
const keptFor = 14 * 24 * 3_600_000;

async function removeUnused(directory: string, now: Date): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const stats = await stat(path).catch(() => undefined);
    const age = stats === undefined ? 0 : now.getTime() - stats.mtimeMs;
    if (age > (name.endsWith(".partial") ? keptFor / 14 : keptFor)) await rm(path, { recursive: true, force: true });
  }
}

async function describeContents(
  tree: FileTree,
  directory: string,
  { user }: BuilderConfig,
  where: string,
): Promise<Contents> {
  const order = await readInTree(tree, directory, "cnb/order.toml");
  if (order === undefined) throw malformed(where, "it has no /cnb/order.toml");
  // What is wrong with it is said before anything runs.
  parseOrder(order, where);
  const users = (await readInTree(tree, directory, "etc/passwd")) ?? "";
  const entry = users.split("\n").find((line) => line.split(":")[2] === String(user.uid));
  const home = entry?.split(":")[5] ?? "";
  const isFolder = /^\/[\w./-]+$/.test(home) && findNode(tree, home.slice(1))?.file.kind === "directory";
  return { order, home: isFolder ? home : "/goldenpath/home" };
}

/** A small file of an unpacked image; undefined where there is none. */
async function readInTree(tree: FileTree, directory: string, path: string): Promise<string | undefined> {
  const real = resolvePath(tree, path);
  const node = real === undefined ? undefined : findNode(tree, real);
  if (real === undefined || node?.file.kind !== "file" || node.file.size > maxFile) return undefined;
  const file = await open(join(directory, "root", real), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** Bytes. */
const maxFile = 1024 * 1024;

function malformed(where: string, why: string, cause?: unknown): UserError {
  return new UserError(`${where} is not a builder image that can be used: ${why}`, {
    code: "builder-malformed",
    cause,
    wayOut: "Make it with pack builder create, and put its digest into the policy.",
  });
}
