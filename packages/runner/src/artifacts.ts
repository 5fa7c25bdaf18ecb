import { appendFile } from "node:fs/promises";
import * as core from "@actions/core";
import { describeError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { cleanAnnotation } from "@goldenpath/foundation/text/log";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { memberOf } from "./event.ts";

/**
 * Tells the runner what a build made, for actions that attest whatever a job has made: a line `oci://NAME@DIGEST` in the
 * file `GITHUB_ARTIFACTS` (runner#4527). A runner that does not know that has no such file. A failure costs nobody the
 * image, and only warns.
 */
export async function declareImage(image: string, env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const file = env["GITHUB_ARTIFACTS"];
  // The runner takes no `=` in a line, and ends the step with an error where a line is none.
  const [, name = "", digest = ""] = /^([^\s@=#]+)@(sha256:[0-9a-f]{64})$/.exec(image) ?? [];
  if (!file || name === "") return;
  try {
    const other = await findOther(name, digest, env["GITHUB_ARTIFACTS_LIST"]);
    if (other !== undefined) {
      core.warning(cleanAnnotation(`${name} is declared to the runner as ${other} already, and ${digest} is not`));
      return;
    }
    await appendFile(file, `oci://${image}\n`);
  } catch (error) {
    core.warning(cleanAnnotation(`the image could not be declared to the runner: ${describeError(error)}`));
  }
}

/** The runner takes at most 500 declarations in a job. Bytes. */
const maxList = 4 * 1024 * 1024;

/** Another digest that the job has declared by this name: two for one make the runner end the step with an error. */
async function findOther(name: string, digest: string, list: string | undefined): Promise<string | undefined> {
  if (!list) return undefined;
  const text = new TextDecoder().decode(await readBoundedFile(list, maxList));
  if (text.trim() === "") return undefined;
  const subjects = memberOf(parseJson(text), "subjects");
  const known = (Array.isArray(subjects) ? subjects : []).find((subject) => memberOf(subject, "name") === name);
  const other = memberOf(known, "digest");
  return typeof other === "string" && other !== digest ? other : undefined;
}
