import { dirname, join, resolve } from "node:path";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import type { PinnedReference, Repository } from "@goldenpath/registry-client/oci/reference";
import type { ReadBeside } from "../signing/trust-roots/resolve.ts";
import { fetchPolicyFile } from "./artifact.ts";
import { fetchGithubFile, type GithubFile } from "./github.ts";
import { maxPolicyBytes } from "./parse.ts";

/** Where a policy is. Anything that is not a file on this machine is pinned to one content. */
export type PolicySource =
  | { kind: "file"; path: string }
  | { kind: "github"; file: GithubFile }
  | { kind: "oci"; reference: PinnedReference }
  /** The one that is in force, by the signed word of the platform's signer. */
  | { kind: "in-force"; repository: Repository };

export type PolicyContext = Pick<Context, "ports" | "env" | "signal" | "workingDirectory" | "identities"> &
  Partial<Pick<Context, "temporaryDirectory">>;

/** Which hosts may be spoken to without TLS is written in the policy itself: here it is only this machine. */
export function withClient<T>(
  { ports, env, signal, identities }: PolicyContext,
  work: (client: RegistryClient) => Promise<T>,
): Promise<T> {
  return withRegistryClient({ ports, env, signal, ...(identities === undefined ? {} : { identities }) }, work);
}

/**
 * Reads what lies with a policy: in its folder, of the same commit, or in the same artifact. Each call
 * @throws UserError `trusted-root-missing`, and as the place itself
 */
export function readerBeside(
  source: Exclude<PolicySource, { kind: "in-force" }>,
  uri: string,
  context: PolicyContext,
): ReadBeside {
  if (source.kind === "file") return readerInFolder(dirname(resolve(context.workingDirectory, source.path)), uri);
  return async (file) => {
    try {
      if (source.kind === "oci")
        return await withClient(context, (client) => fetchPolicyFile(client, source.reference, file));
      const { path } = source.file;
      const beside = [...path.split("/").slice(0, -1), file.path].join("/");
      return await fetchGithubFile({ ...source.file, path: beside }, context);
    } catch (cause) {
      if (isKnownError(cause) && cause.code === "policy-not-found") throw missing(file.path, uri, cause);
      throw cause;
    }
  };
}

/** Of a policy in a file: from that file's folder. */
export function readerInFolder(folder: string, uri: string): ReadBeside {
  return async ({ path }) => {
    try {
      return await readBoundedFile(join(folder, path), maxPolicyBytes);
    } catch (cause) {
      throw missing(path, uri, cause);
    }
  };
}

function missing(path: string, uri: string, cause: unknown): UserError {
  return new UserError(`${path} does not lie with policy ${uri}: ${describe(cause)}`, {
    code: "trusted-root-missing",
    cause,
    wayOut: "Put it there, in the same folder and commit; an artifact has it where `policy publish` found it.",
  });
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
