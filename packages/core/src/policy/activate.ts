import type { KeyObject } from "node:crypto";
import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference, formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { KeySigner } from "../signing/schemes/key/sign.ts";
import { fetchPolicyArtifact } from "./artifact.ts";
import { parsePolicy } from "./parse.ts";
import { isPointerRepository, planActivation, pointerName } from "./pointer.ts";
import { type FoundPointer, fetchPointer } from "./pointer-artifact.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import { buildPolicyArtifact, publishPolicy } from "./publish.ts";
import { refuseRenamed } from "./renamed.ts";
import type { LoadedPolicy } from "./schema.ts";
import { refuseStageKey } from "./stage-key.ts";
import { listWithdrawn } from "./withdrawals.ts";
import { writePointer } from "./write-pointer.ts";

export interface ActivationRequest {
  next: LoadedPolicy;
  /** Its own bytes, which are kept beside the pointer. */
  bytes: Uint8Array;
  /** What lies with it, and is named in it by digest. */
  files?: readonly Uint8Array[];
  /** `HOST/…/goldenpath-policy` in vetted. */
  repository: Repository;
  /** Other names of the same repository, for registries that are reached by several. */
  aliases?: readonly Repository[];
  signer: KeySigner;
  /** Whose word the pointer may be that is there now, besides the signer's own: while the platform's key changes. */
  previousSigners?: readonly KeyObject[];
  /** Serials whose evidence is to count no more. */
  revoke?: readonly number[];
  /** That no policy was in force there before: demanded, so that a pointer that is gone is noticed. */
  isFirst?: boolean;
  isDryRun?: boolean;
  now: Date;
}

export interface Activation {
  /** What the pointer says now, or, after a dry run, would say. */
  pointer: PolicyPointer;
  /** False where it said so already. */
  isNew: boolean;
}

/**
 * Puts a policy in force: its bytes go into the repository, and then the tag to a signed pointer at them.
 * @throws UserError `policy-first`, `policy-serial`, `policy-name`, `policy-revoke`, `policy-repository`,
 *   `policy-signer-speaks`, `policy-renames-withdrawn`; PolicyViolation `policy.pointer-invalid` where another key made the pointer that is there;
 *   InfrastructureError `tag-moved` where somebody has activated another meanwhile; the client's others
 */
export async function activatePolicy(client: RegistryClient, request: ActivationRequest): Promise<Activation> {
  const { next, bytes, files = [], repository, aliases = [], signer, revoke = [], now } = request;
  if (repository.name.split("/").at(-1) !== pointerName || !isPointerRepository(repository)) {
    throw new UserError(
      `--to is ${formatRepository(repository)}, and promote looks for the policy in force in a ${pointerName} of vetted`,
      {
        code: "policy-repository",
        wayOut: `Name HOST/FIRST/${pointerName}, with the first component of vetted's repositories (docs/policy.md).`,
      },
    );
  }
  const { key } = signer.material;
  refuseStageKey(next, key);
  const before = await findPointer(client, repository, [key, ...(request.previousSigners ?? [])]);
  if (before !== undefined) await refuseWithdrawnByAnotherName(client, repository, before.pointer, next);
  const { digest: artifact } = buildPolicyArtifact(bytes, files);
  const pointer = planActivation({
    repository,
    aliases,
    current: before?.pointer,
    next,
    artifact,
    revoke,
    isFirst: request.isFirst === true,
    now,
  });
  if (pointer === undefined && before !== undefined) return { pointer: before.pointer, isNew: false };
  if (pointer === undefined) throw new TypeError("nothing is in force, and nothing is to be");
  if (request.isDryRun !== true) {
    await publishPolicy(client, repository, bytes, files);
    await writePointer(client, repository, pointer, signer, before?.manifest);
  }
  return { pointer, isNew: true };
}

async function refuseWithdrawnByAnotherName(
  client: RegistryClient,
  repository: Repository,
  pointer: PolicyPointer,
  next: LoadedPolicy,
): Promise<void> {
  if (!listWithdrawn(pointer).some(({ thing }) => thing.kind === "signer")) return;
  const pinned = { ...repository, digest: pointer.artifact };
  const current = parsePolicy(await fetchPolicyArtifact(client, pinned), `oci://${formatReference(pinned)}`);
  refuseRenamed(pointer, current, next);
}

async function findPointer(
  client: RegistryClient,
  repository: Repository,
  keys: readonly KeyObject[],
): Promise<FoundPointer | undefined> {
  try {
    return await fetchPointer(client, repository, keys);
  } catch (error) {
    if (error instanceof PolicyViolation && error.rule === "policy.pointer-missing") return undefined;
    throw error;
  }
}
