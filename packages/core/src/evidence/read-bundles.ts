import { resolve } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { readBoundedFile, UnfitFile } from "@goldenpath/foundation/text/read-file";
import type { BesideBundle, BundleSource } from "../signing/bundles-beside.ts";
import { maxBundleBytes } from "../signing/schemes/scheme.ts";
import { readClaim } from "../signing/sigstore.ts";
import { namesSubject } from "../signing/statement.ts";
import type { Statement } from "../signing/types.ts";

/** Of one file, which may have several bundles. Bytes. */
const maxFileBytes = 4 * maxBundleBytes;
/** Of all files together. */
const maxBundles = 200;

/**
 * Files of Sigstore bundles → what is in them about a digest: `.jsonl` has one a line, as `gh attestation download`
 * leaves them, and any other file is one bundle. What is given by name has to be one: a file with something else in it
 * is an error, and no bundle that is passed over.
 * @throws UserError `bundle-invalid`, `bundle-unreadable`
 */
export async function readBundleFiles(
  paths: readonly string[],
  { workingDirectory }: Pick<Context, "workingDirectory">,
): Promise<BundleSource> {
  const bundles: (BesideBundle & { statement: Statement })[] = [];
  for (const path of paths) {
    const texts = splitBundles(path, await readFileOf(path, workingDirectory));
    if (texts.length === 0) throw unfit(path, "it is empty");
    for (const [index, bytes] of texts.entries()) {
      const where = texts.length > 1 ? `${path}:${index + 1}` : path;
      const statement = claimOf(where, bytes);
      bundles.push({ bytes, statement, predicateType: statement.predicateType });
    }
    if (bundles.length > maxBundles) throw unfit(path, `it makes more than ${maxBundles} bundles`);
  }
  return async (subject) => bundles.filter(({ statement }) => namesSubject(statement, subject));
}

function claimOf(where: string, bytes: Uint8Array): Statement {
  try {
    return readClaim(bytes);
  } catch (error) {
    if (error instanceof UserError) throw unfit(where, error.message, error);
    throw error;
  }
}

/** Without the white space around them: a bundle that is there already is known by its bytes. */
function splitBundles(path: string, bytes: Uint8Array): Uint8Array[] {
  const text = new TextDecoder().decode(bytes);
  const parts = (path.endsWith(".jsonl") ? text.split("\n") : [text]).map((part) => part.trim());
  return parts.filter((part) => part !== "").map((part) => new TextEncoder().encode(part));
}

async function readFileOf(path: string, workingDirectory: string): Promise<Uint8Array> {
  try {
    return await readBoundedFile(resolve(workingDirectory, path), maxFileBytes);
  } catch (error) {
    const why = error instanceof UnfitFile ? error.message : (error as NodeJS.ErrnoException).code;
    throw new UserError(`input 'bundle' names '${path}', which can't be read: ${why ?? String(error)}`, {
      code: "bundle-unreadable",
      cause: error,
      wayOut: "Name a file, relative to the working directory, with a Sigstore bundle (.json) or one a line (.jsonl).",
    });
  }
}

function unfit(where: string, why: string, cause?: unknown): UserError {
  return new UserError(`input 'bundle' names '${where}': ${why}`, {
    code: "bundle-invalid",
    wayOut: "Give Sigstore bundles of version 0.3, as `gh attestation download` and `cosign attest` write them.",
    ...(cause === undefined ? {} : { cause }),
  });
}
