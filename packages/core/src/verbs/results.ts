import { resolve } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile, UnfitFile } from "@goldenpath/foundation/text/read-file";
import { parseStageResult, type StageResult } from "../result.ts";

/** A result file larger than this is none of ours. Bytes. */
const maxResultBytes = 64 * 1024 * 1024;

/**
 * A file of input `results`, from `directory` where its name is relative.
 * @throws UserError `result-missing`, and as {@link parseStageResult} does
 */
export async function readStageResult(file: string, directory: string): Promise<StageResult> {
  const wayOut = "Name the `result` outputs of the steps of this job, one a line.";
  let bytes: Uint8Array;
  try {
    bytes = await readBoundedFile(resolve(directory, file), maxResultBytes);
  } catch (error) {
    if (error instanceof UnfitFile) {
      throw new UserError(`result ${file} is not a stage result: ${error.message}`, {
        code: "result-invalid",
        cause: error,
        wayOut,
      });
    }
    throw new UserError(`input 'results' names '${file}', which cannot be read`, {
      code: "result-missing",
      cause: error,
      wayOut,
    });
  }
  return parseStageResult(new TextDecoder().decode(bytes), file);
}
