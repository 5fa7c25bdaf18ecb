import { join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import type { Workspace } from "../../workspace.ts";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { BuildJob } from "../runner.ts";
import { type ImageStore, openImageStore, type ResolvedImage, resolveImage } from "./fetch.ts";
import type { DockerfileText } from "./find-file.ts";
import { listUsed, requireOwnNames } from "./images.ts";
import { type Judged, judgeUsed } from "./judge-images.ts";
import { type Dockerfile, readDockerfile } from "./stages.ts";
import { DockerfileProblem } from "./words.ts";

/** What a build may use, and what was said of it. */
export interface Resolved {
  images: readonly ResolvedImage[];
  downloads: Judged["downloads"];
  remarks: string[];
}

/** The same, with the images on this machine. */
export interface Prepared extends Resolved {
  /** Where a blob of them is. */
  fileOf: ImageStore["fileOf"];
}

/** Images that are fetched at once, each with some layers at once. */
const parallelImages = 2;
/** Names that are looked up at once. */
const parallelNames = 8;
/** Rounds in which triggers of images name further ones. */
const maxRounds = 10;

/** Finds, judges and fetches what the build may use. */
export async function prepareImages(
  job: BuildJob<DockerfilePlan>,
  text: DockerfileText,
  workspace: Workspace,
): Promise<Prepared> {
  return fetchImages(job, await resolveImages(job, text), workspace);
}

/** @param resolved what was judged, by {@link resolveImages} */
export async function fetchImages(
  { client, context }: Pick<BuildJob, "client" | "context">,
  resolved: Resolved,
  workspace: Workspace,
): Promise<Prepared> {
  const store = await openImageStore(join(workspace.control, "images"), { client, context });
  await mapConcurrently(parallelImages, resolved.images, (each) => store.fetch(each));
  return { ...resolved, fileOf: store.fileOf };
}

/** Finds and judges what the build may use, and what it is; triggers of what was found may name more. */
export function resolveImages(job: BuildJob<DockerfilePlan>, text: DockerfileText): Promise<Resolved> {
  return asPlaced(text, () => resolve(job, text));
}

async function resolve(job: BuildJob<DockerfilePlan>, { content, file }: DockerfileText): Promise<Resolved> {
  const { plan, options, platform, context, client } = job;
  const { target, buildArgs } = options;
  const parsed = readDockerfile(content, { buildArgs, platform, target });
  const remarks = readSyntax(parsed, file);
  const found = new Map<string, ResolvedImage>();
  for (let round = 0; round < maxRounds; round += 1) {
    const used = listUsed(parsed, target, (name) => found.get(name)?.child.config.config?.OnBuild ?? undefined);
    requireOwnNames(parsed, used.images);
    const judged = judgeUsed(used, plan.dockerfile, file, context.now());
    const missing = judged.images.filter(({ name }) => !found.has(name));
    if (missing.length === 0) {
      for (const { remark } of judged.images) if (remark !== undefined) remarks.push(remark);
      for (const remark of remarks) context.ports.log.notice(remark);
      return { images: [...found.values()], downloads: judged.downloads, remarks };
    }
    const resolved = await mapConcurrently(parallelNames, missing, (each) => resolveImage(each, { client, platform }));
    for (const image of resolved) found.set(image.name, image);
  }
  throw new DockerfileProblem("triggers of its images name ever more images", 0);
}

/**
 * A frontend is a program that decides what a Dockerfile means. Docker's own are versions of BuildKit's: that one, in
 * the lock, is taken, and any other is refused.
 */
function readSyntax({ syntax }: Dockerfile, file: string): string[] {
  if (syntax === undefined) return [];
  const { name, line } = syntax;
  if (
    !/^(?:(?:registry-1\.|index\.)?docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/.test(
      name,
    )
  )
    throw new DockerfileProblem(`'# syntax=${name}': only docker/dockerfile is a syntax that is known`, line);
  return [`${file}:${line}: BuildKit's own frontend builds it, and not the image ${name}`];
}

/** What the reader says of a line → an error at that line. */
async function asPlaced<T>({ file }: DockerfileText, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DockerfileProblem)) throw error;
    const { message, line } = error;
    throw new UserError(`${line === 0 ? file : `${file}:${line}`}: ${message}`, {
      code: "dockerfile-invalid",
      wayOut: "What a build uses is found before it runs: write it out plainly.",
      places: [{ file, ...(line === 0 ? {} : { line }), message }],
    });
  }
}
