import { realpath } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { describeError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { isInside } from "../../sandbox/view.ts";
import type { Source } from "../../source.ts";
import { listDockerfiles } from "../../survey/markers.ts";

export interface DockerfileText {
  /** As messages name it: from the checkout's root. */
  file: string;
  /** Without its folder. */
  name: string;
  bytes: Uint8Array;
  content: string;
  /** What lies beside it as `NAME.dockerignore`, and holds instead of the context's. */
  ignore: Uint8Array | undefined;
}

/** Far more than people write. Bytes. */
const maxBytes = 1024 * 1024;

/**
 * The Dockerfile of an application: the one that is named, else `Dockerfile` or `Containerfile`, else the only one.
 * @throws UserError `dockerfile-invalid`: not there, out of the application by a link, too large, not UTF-8
 */
export async function findDockerfile(
  { directory, survey, below }: Pick<Source, "directory" | "survey" | "below">,
  given: string | undefined,
  { checkout, workingDirectory }: Pick<Context, "checkout" | "workingDirectory">,
): Promise<DockerfileText> {
  const found = listDockerfiles(survey);
  const wanted = given ?? (found.length === 1 ? found[0] : undefined);
  if (wanted === undefined) throw notOne(directory, found, below);
  const path = resolve(directory, wanted);
  const bytes = await read(path, directory, wanted);
  if (bytes === undefined) throw invalid(wanted, "it is not there");
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw invalid(wanted, "it is not UTF-8", error);
  }
  const root = await realpath(checkout ?? workingDirectory);
  return {
    file: isInside(path, root) ? relative(root, path) : path,
    name: basename(path),
    bytes,
    content,
    ignore: await read(join(path, "..", `${basename(path)}.dockerignore`), directory, `${wanted}.dockerignore`),
  };
}

function notOne(directory: string, found: readonly string[], below: Source["below"]): UserError {
  const deeper = below.flatMap((each) => listDockerfiles(each).map((name) => `${each.path}/${name}`));
  const all = found.length > 0 ? found : deeper;
  const listed = all.length === 0 ? "" : ` There is: ${all.slice(0, maxListed).join(", ")}.`;
  const why = found.length === 0 ? `there is no Dockerfile in ${directory}` : `${directory} has several Dockerfiles`;
  return new UserError(why, {
    code: "dockerfile-invalid",
    wayOut: `Name it by the input 'file', from the context's folder.${listed}`,
  });
}

/** Names that a message has. */
const maxListed = 10;

/** Undefined where it is not there. */
async function read(path: string, directory: string, what: string): Promise<Buffer | undefined> {
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw invalid(what, describeError(error), error);
  }
  if (!isInside(real, directory)) throw invalid(what, `it leads out of the application, to ${real}`);
  return readBoundedFile(real, maxBytes).catch((error: unknown) => {
    throw invalid(what, describeError(error), error);
  });
}

function invalid(what: string, why: string, cause?: unknown): UserError {
  return new UserError(`Dockerfile '${what}' can't be used: ${why}`, {
    code: "dockerfile-invalid",
    cause,
    wayOut: "Keep the Dockerfile in the context's folder, as a text of at most 1 MiB.",
  });
}
