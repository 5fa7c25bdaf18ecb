import { maxPolicyBytes } from "@goldenpath/core/policy/parse";
import { UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";

/** @throws UserError `policy-missing` */
export async function readPolicyFile(file: string): Promise<Uint8Array> {
  try {
    return await readBoundedFile(file, maxPolicyBytes);
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      code: "policy-missing",
      cause: error,
    });
  }
}
