import { appendFile } from "node:fs/promises";
import * as core from "@actions/core";
import { describeError } from "@goldenpath/foundation/errors";
import { cleanAnnotation } from "@goldenpath/foundation/text/log";

/**
 * Tells the runner what a build made, for actions that attest whatever a job has made: a line `oci://NAME@DIGEST` in the
 * file `GITHUB_ARTIFACTS` (runner#4527). A runner that does not know that has no such file. A failure costs nobody the
 * image, and only warns.
 */
export async function declareImage(image: string, env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const file = env["GITHUB_ARTIFACTS"];
  // The runner takes no `=` in a line, and ends the step with an error where a line is none.
  if (!file || !/^[^\s@=#]+@sha256:[0-9a-f]{64}$/.test(image)) return;
  try {
    await appendFile(file, `oci://${image}\n`);
  } catch (error) {
    core.warning(cleanAnnotation(`the image could not be declared to the runner: ${describeError(error)}`));
  }
}
