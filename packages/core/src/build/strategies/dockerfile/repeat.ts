import { createHash } from "node:crypto";
import { describeError } from "@goldenpath/foundation/errors";
import { copyManifest } from "@goldenpath/registry-client/copy";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { isSameRepository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { requireBase } from "../../../layouts/push-built.ts";
import { productionTools } from "../../../tools/lock.ts";
import type { CachedImage } from "../../cache/cache.ts";
import { digestFacts } from "../../cache/key.ts";
import { digestFolder } from "../../digest-folder.ts";
import { selectPlatform } from "../../images.ts";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { BuildJob } from "../runner.ts";
import type { DockerfileText } from "./find-file.ts";
import type { Resolved } from "./prepare.ts";

type Job = BuildJob<DockerfilePlan>;

/** Changes with how BuildKit is called: images of before are then nobody's. */
const format = 1;

/**
 * All that a build has at hand: what of it is the same, with the same images, BuildKit would take from its cache step
 * by step. Undefined where a step may fetch something with a login: what it gets is not only the Dockerfile's to say.
 * @param app the application, copied
 */
export async function digestGiven(
  { options, labels, platform, context }: Job,
  { name, bytes, ignore }: DockerfileText,
  app: string,
): Promise<string | undefined> {
  if (options.secrets.size > 0) return undefined;
  const { sourceRepository, sourceRef } = context.run;
  const hash = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
  const builder = productionTools
    .filter((tool) => tool.name === "buildkitd" || tool.name === "buildctl")
    .map((tool) => [tool.name, tool.module.sum, tool.toolchain]);
  return digestFacts({
    ...{ format, builder, labels, platform, name },
    // Protected refs write as one, and an image is for the ref that made it.
    ref: [sourceRepository ?? "", sourceRef ?? ""],
    files: await digestFolder(app, context.signal),
    dockerfile: hash(bytes),
    ...(ignore === undefined ? {} : { ignore: hash(ignore) }),
    ...{ buildArgs: options.buildArgs, ...(options.target === undefined ? {} : { target: options.target }) },
  });
}

/** What the names in the Dockerfile mean at this time. */
export function digestImages({ images, downloads }: Resolved): string {
  const meant = images.map(({ name, use, resolved, child }) => [name, use, resolved.digest, child.digest]);
  return digestFacts({ images: Object.fromEntries(meant.map(([name, ...what]) => [name, what])), downloads });
}

/**
 * The image that this ref's last build left, of the same files, Dockerfile, images, arguments and labels, by the same
 * BuildKit: under the tags, where it is still there and stands on the base. What it says of itself is looked at no more
 * than that of one that was built just now.
 * @returns undefined where it can't be had, which is said
 */
export async function repeatImage(
  { plan, to, platform, client, context }: Job,
  { digest, child }: CachedImage,
  { images }: Resolved,
): Promise<Digest | undefined> {
  const from = plan.repository;
  try {
    const image = await fetchImageFacts(client, { ...from, digest });
    const found = selectPlatform(image, platform, "the image of an earlier build");
    if (image.children.length !== 1 || found.digest !== child)
      throw new Error(`${digest} is another image than what was kept of it says`);
    const base = images.find(({ use }) => use === "base");
    const onBase = base === undefined ? {} : { base: { repository: base.resolved, image: base.child } };
    requireBase({ configs: [found.config] }, onBase);
    if (!isSameRepository(from, to.repository)) await copyManifest(client, from, to.repository, digest);
  } catch (error) {
    context.signal.throwIfAborted();
    context.ports.log.notice(`the image of an earlier build is not taken again: ${describeError(error)}`);
    return undefined;
  }
  const { bytes, mediaType } = await client.fetchManifest({ ...from, digest });
  for (const { tag } of to.tags) await client.pushManifest(to.repository, bytes, mediaType, tag);
  return digest;
}
