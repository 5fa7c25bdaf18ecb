import { expandLayers, mayExtend } from "@goldenpath/core/policy/expand-layers";
import { maxPolicyBytes } from "@goldenpath/core/policy/parse";
import { UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { openContext } from "./context.ts";

/**
 * A policy's bytes; of a team's, what it makes of the organisation's that it extends.
 * @throws UserError `policy-missing`, `policy-invalid`
 */
export async function readPolicyFile(file: string): Promise<Uint8Array> {
  const bytes = await readBytes(file);
  return mayExtend(bytes) ? expandLayers(bytes, { kind: "file", path: file }, file, openContext()) : bytes;
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readBoundedFile(file, maxPolicyBytes);
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      code: "policy-missing",
      cause: error,
    });
  }
}
