import type { Context } from "@goldenpath/foundation/ports";
import type { BundleSource } from "../signing/bundles-beside.ts";
import { type GithubRepository, readGithubAttestations } from "./github-attestations.ts";
import { readBundleFiles } from "./read-bundles.ts";

/** Where evidence is besides the registry. */
export interface Elsewhere {
  /** Files of Sigstore bundles. */
  files: readonly string[];
  /** Whose attestations GitHub is asked for. */
  repository?: GithubRepository | undefined;
}

/**
 * What lies elsewhere about a digest; undefined where nowhere else is looked.
 * @throws the readers' errors: of files at once, of GitHub when it is asked
 */
export async function openElsewhere(
  { files, repository }: Elsewhere,
  context: Pick<Context, "ports" | "env" | "signal" | "workingDirectory">,
): Promise<BundleSource | undefined> {
  const sources = [
    ...(files.length > 0 ? [await readBundleFiles(files, context)] : []),
    ...(repository === undefined ? [] : [readGithubAttestations(repository, context)]),
  ];
  if (sources.length === 0) return undefined;
  return async (subject) => (await Promise.all(sources.map((source) => source(subject)))).flat();
}
