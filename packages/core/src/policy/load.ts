import { resolve } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { notAFile, readBoundedFile, UnfitFile } from "@goldenpath/foundation/text/read-file";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { resolveTrustRoots } from "../signing/trust-roots/resolve.ts";
import { fetchPolicyArtifact } from "./artifact.ts";
import { type PolicyContext, type PolicySource, readerBeside, withClient } from "./beside.ts";
import { expandLayers } from "./expand-layers.ts";
import { fetchGithubFile } from "./github.ts";
import { maxPolicyBytes, parsePolicy } from "./parse.ts";
import { assertInForce, isPointerRepository, pointerTag } from "./pointer.ts";
import { fetchPointer, parsePolicySigners } from "./pointer-artifact.ts";
import type { LoadedPolicy } from "./schema.ts";
import { putInForce } from "./withdrawals.ts";

const forms =
  "Write a path, OWNER/REPO//PATH@COMMIT (all 40 hexadecimal digits), oci://HOST/NAME@sha256:DIGEST, or oci://HOST/…/goldenpath-policy:in-force.";

/**
 * The text of a `policy` input → where the policy is.
 * @throws UserError `policy-uri-invalid`; `policy-not-pinned` where it names something that can be another tomorrow (a
 *   branch, a tag, a short commit)
 */
export function parsePolicyUri(uri: string): PolicySource {
  const invalid = (why: string): UserError =>
    new UserError(`policy '${uri}' ${why}`, { code: "policy-uri-invalid", wayOut: forms });
  const notPinned = (why: string, wayOut: string): UserError =>
    new UserError(`policy '${uri}' ${why}`, { code: "policy-not-pinned", wayOut });
  if (uri.trim() === "") throw invalid("is empty");
  if (uri.startsWith("oci://")) {
    const reference = parseReference(uri.slice("oci://".length), "policy");
    if (reference.digest === undefined && reference.tag === pointerTag && isPointerRepository(reference))
      return { kind: "in-force", repository: { registry: reference.registry, name: reference.name } };
    if (reference.digest === undefined) {
      throw notPinned(
        "names no digest, and what is behind a tag can change",
        "Write oci://HOST/NAME@sha256:DIGEST; `crane digest` prints the digest.",
      );
    }
    return { kind: "oci", reference: { registry: reference.registry, name: reference.name, digest: reference.digest } };
  }
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(uri)) throw invalid("is a URL of a kind that no policy is read from");
  const github =
    /^(?<owner>[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)\/(?<repository>[A-Za-z0-9._-]+)\/\/(?<rest>.+)$/.exec(
      uri,
    )?.groups;
  if (github === undefined) return { kind: "file", path: uri };
  const { owner = "", repository = "", rest = "" } = github;
  const at = rest.lastIndexOf("@");
  const [path, commit] = at === -1 ? [rest, ""] : [rest.slice(0, at), rest.slice(at + 1)];
  if (!/^[0-9a-f]{40}$/.test(commit)) {
    const what = commit === "" ? "names no commit" : `names '${commit}', which is not a full commit SHA`;
    throw notPinned(`${what}: branches, tags and short SHAs can come to mean something else`, forms);
  }
  if (path.split("/").some((part) => part === "" || part === "." || part === ".."))
    throw invalid(`has a path that is none: '${path}'`);
  return { kind: "github", file: { owner, repository, path, commit } };
}

/**
 * Loads the policy that `uri` names: a file (relative to the working directory), a file of a GitHub repository at a
 * commit, an OCI artifact by digest, or the policy that is in force where the platform's signer says so (`signer`: its
 * public key as PEM, or a file with it). The trusted roots that it names are read besides, from files that lie with it
 * and from repositories by The Update Framework.
 * @throws UserError `policy-uri-invalid`, `policy-not-pinned`, `policy-not-found`, `policy-invalid`, `policy-version`,
 *   `policy-signer-missing` and others by where it comes from; PolicyViolation `policy.pointer-missing`,
 *   `policy.pointer-invalid`; InfrastructureError where that place cannot be reached, and as `resolveTrustRoots`
 */
export async function loadPolicy(uri: string, context: PolicyContext, signer?: string): Promise<LoadedPolicy> {
  return (await loadPolicyBytes(uri, context, signer)).policy;
}

/** The same with the policy's own bytes, for who hands them on. */
export async function loadPolicyBytes(
  uri: string,
  context: PolicyContext,
  signer?: string,
): Promise<{ policy: LoadedPolicy; bytes: Uint8Array }> {
  const source = parsePolicyUri(uri);
  if (source.kind === "in-force") return loadPolicyInForce(source.repository, uri, context, signer);
  const bytes = await fetchPolicyLayers(source, uri, context);
  const policy = await resolveTrustRoots(parsePolicy(bytes, uri), readerBeside(source, uri, context), context);
  return { policy: { policy, uri, digest: digestOf(bytes) }, bytes };
}

/** The pointer's own digest of the policy settles what it is, wherever its bytes come from. */
async function loadPolicyInForce(
  repository: Repository,
  uri: string,
  context: PolicyContext,
  signer: string | undefined,
): Promise<{ policy: LoadedPolicy; bytes: Uint8Array }> {
  if (signer === undefined) {
    throw new UserError(
      `policy '${uri}' is whichever one is in force, and input 'policy-signer' does not say on whose word`,
      {
        code: "policy-signer-missing",
        wayOut: "Give the public key of the platform's signer in policy-signer: PEM, or a file.",
      },
    );
  }
  const keys = parsePolicySigners(await readPolicySigner(signer, context));
  return withClient(context, async (client) => {
    const { pointer } = await fetchPointer(client, repository, keys);
    const pinned = { ...repository, digest: pointer.artifact };
    const bytes = await fetchPolicyArtifact(client, pinned);
    const digest = digestOf(bytes);
    const parsed = { policy: parsePolicy(bytes, uri), uri: `oci://${formatReference(pinned)}`, digest };
    // Its bytes may have been put there by anybody.
    assertInForce(parsed, pointer);
    const read = readerBeside({ kind: "oci", reference: pinned }, parsed.uri, context);
    const loaded = { ...parsed, policy: await resolveTrustRoots(parsed.policy, read, context) };
    return { policy: putInForce(loaded, pointer), bytes };
  });
}

/** The text of input `policy-signer` → PEM: itself, or what a file holds. */
export async function readPolicySigner(
  given: string,
  { workingDirectory }: Pick<Context, "workingDirectory">,
): Promise<string> {
  if (given.includes("-----BEGIN")) return given;
  const bytes = await readPolicyFile(resolve(workingDirectory, given), given, "policy-signer");
  return new TextDecoder().decode(bytes);
}

/** The bytes of a policy that is pinned to one content. */
export async function fetchPolicyBytes(
  source: Exclude<PolicySource, { kind: "in-force" }>,
  uri: string,
  context: PolicyContext,
): Promise<Uint8Array> {
  if (source.kind === "file") return readPolicyFile(resolve(context.workingDirectory, source.path), uri);
  if (source.kind === "github") return fetchGithubFile(source.file, context);
  return withClient(context, (client) => fetchPolicyArtifact(client, source.reference));
}

/** The same; of a team's policy, what it makes of the organisation's. */
async function fetchPolicyLayers(
  source: Exclude<PolicySource, { kind: "in-force" }>,
  uri: string,
  context: PolicyContext,
): Promise<Uint8Array> {
  return expandLayers(await fetchPolicyBytes(source, uri, context), source, uri, context);
}

const fileForms = {
  policy: forms,
  "policy-signer": "Give the public key of the platform's signer: PEM, or a file with it.",
} as const;

async function readPolicyFile(path: string, uri: string, what: keyof typeof fileForms = "policy"): Promise<Uint8Array> {
  try {
    return await readBoundedFile(path, maxPolicyBytes);
  } catch (error) {
    if (error instanceof UnfitFile) {
      const isFile = error.message !== notAFile;
      throw new UserError(`${what} '${uri}' is ${isFile ? `larger than ${maxPolicyBytes} bytes` : "not a file"}`, {
        code: isFile ? "policy-invalid" : "policy-not-found",
        cause: error,
        wayOut: fileForms[what],
      });
    }
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT" || code === "ENOTDIR"
        ? "there is no such file"
        : code === "EACCES"
          ? "it may not be read"
          : String(error);
    throw new UserError(`${what} '${uri}' cannot be read: ${why} (${path})`, {
      code: "policy-not-found",
      cause: error,
      wayOut: fileForms[what],
    });
  }
}
