import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { join, posix } from "node:path";
import { describeError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { type Source, surveyOf } from "../source.ts";
import { listLockFiles } from "../survey/ecosystems.ts";
import { isWithin } from "../survey/gather-files.ts";

/** Lock files of large repositories have some megabytes. */
const maxBytes = 64 * 1024 * 1024;

/** The files of the application, and of its module, that pin what a build installs → SHA-256 of each, by path. */
export async function digestLocks(source: Source, module: string | undefined): Promise<Record<string, string>> {
  const folders = new Set([source.survey, surveyOf(source, module)]);
  const digests: Record<string, string> = {};
  for (const { path, files } of folders) {
    for (const name of listLockFiles(files)) {
      const file = posix.join(path, name);
      digests[file] = await digestFile(source.directory, file);
    }
  }
  return digests;
}

/** What can't be read has no digest; the build will say so. */
async function digestFile(directory: string, file: string): Promise<string> {
  try {
    const path = await realpath(join(directory, file));
    if (!isWithin(directory, path)) return "elsewhere";
    return createHash("sha256")
      .update(await readBoundedFile(path, maxBytes))
      .digest("hex");
  } catch (error) {
    return `unread: ${describeError(error)}`;
  }
}
