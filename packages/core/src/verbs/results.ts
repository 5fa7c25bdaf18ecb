import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { UserError } from "../errors.ts";
import { parseStageResult, type StageResult } from "../result.ts";

/** A result file larger than this is none of ours. Bytes. */
const maxResultBytes = 64 * 1024 * 1024;

/**
 * A file of input `results`, from `directory` where its name is relative.
 * @throws UserError `result-missing`, and as {@link parseStageResult} does
 */
export async function readStageResult(file: string, directory: string): Promise<StageResult> {
  const path = resolve(directory, file);
  let text: string;
  try {
    // Looked at first: a file of any size would be read whole.
    const { size } = await stat(path);
    if (size > maxResultBytes) {
      throw new UserError(`result ${file} has ${size} bytes, and ${maxResultBytes} are read at most: it is not a stage result`, {
        code: "result-invalid",
        wayOut: "Name the `result` outputs of the steps of this job, one a line.",
      });
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`input 'results' names '${file}', which cannot be read`, {
      code: "result-missing",
      cause: error,
      wayOut: "Name the `result` outputs of the steps of this job, one a line.",
    });
  }
  return parseStageResult(text, file);
}
