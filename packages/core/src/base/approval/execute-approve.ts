import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { isDayOver } from "../../policy/day.ts";
import type { LoadedPolicy } from "../../policy/schema.ts";
import { chooseSbom } from "../../scan/signed-sbom.ts";
import { attachStatements, type Piece } from "../../signing/attach.ts";
import { collectEvidence } from "../../signing/collect.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import { isSignerNamed } from "../../signing/schemes/find.ts";
import { maxBundleBytes } from "../../signing/schemes/scheme.ts";
import { buildStatement, buildSubjects, encodeStatement } from "../../signing/statement.ts";
import type { Signer } from "../../signing/types.ts";
import { readChildLayers } from "../gather-child.ts";
import { judgeHabits } from "../habits/judge.ts";
import { chooseLeftovers } from "../habits/leftovers.ts";
import { listLeast } from "../score/demands.ts";
import { chooseApproval } from "./choose.ts";
import { listSigned } from "./gather-versions.ts";
import { judgePoints } from "./judge.ts";
import { type BaseRole, buildDecisionStatement } from "./predicate.ts";

/** What is said of an image that is approved. */
export interface ApprovalRequest {
  /** The last day (UTC) on which images may stand on it, or builds run in it. */
  endOfLife: string;
  role: BaseRole;
  notes?: string | undefined;
  /** What was looked at, and what that came to. */
  examined: Record<string, unknown>;
  /** What was scanned, of each platform: CycloneDX. */
  sboms: readonly { child: Descriptor; sbom: Record<string, unknown> }[];
}

/**
 * Whose approvals count for images of a repository, by the policy: those of the bases and builders that are kept there,
 * or, for an image of which it says nothing, each signer's.
 */
export function listApprovers(policy: LoadedPolicy["policy"], image: ImageFacts): string[] {
  const isHere = (each: { image: string }): boolean => each.image === formatRepository(image.reference);
  const signed = listSigned(policy).filter(isHere);
  if (signed.length === 0) return policy.bases.some(isHere) ? [] : Object.keys(policy.signers);
  return [...new Set(signed.flatMap(({ approval }) => approval.signers))];
}

/** What of the policy's `images` an image has against it, each platform for itself: layers are read, all of them. */
export async function findHabits(
  client: RegistryClient,
  image: ImageFacts,
  { images }: LoadedPolicy["policy"],
  signal: AbortSignal,
): Promise<string[]> {
  const { refuse } = images;
  const found = [];
  for (const child of image.children) {
    const { leftovers, foreign } = await readChildLayers(client, image.reference, child, 0, {
      signal,
      leftovers: chooseLeftovers(refuse),
    });
    const where = formatReference({ ...image.reference, tag: undefined, digest: child.digest });
    if (foreign === undefined) found.push(`${where}: its layers are not what its config says`);
    const facts = {
      habits: child.config,
      labels: child.config.config?.Labels ?? {},
      ownLayers: child.config.rootfs.diff_ids.length,
      leftovers,
    };
    const judged = judgeHabits({ ...facts, ...(foreign === undefined ? {} : { image: foreign }) }, images);
    found.push(...judged.map(({ rule, problem }) => `${where}: ${rule}: ${problem}`));
  }
  return found;
}

/**
 * Signs that an image is approved, and attaches that to it and to what runs of it; and before it, what was scanned, so
 * that whoever scans what stands on it need not read its layers again. Where the same was signed by an approver already
 * and still counts, nothing is added.
 * @returns whether the approval is new
 * @throws UserError `approval-signer`, `arguments-invalid`; the client's errors
 */
export async function approveImage(
  client: RegistryClient,
  image: ImageFacts,
  request: ApprovalRequest,
  { policy, signer, now }: { policy: LoadedPolicy; signer: Signer; now: Date },
): Promise<boolean> {
  const { endOfLife, role, notes, examined, sboms } = request;
  if (isDayOver(endOfLife, now)) {
    throw new UserError(`--end-of-life is '${endOfLife}': expected a day, YYYY-MM-DD, that is not over`, {
      code: "arguments-invalid",
    });
  }
  const approvers = listApprovers(policy.policy, image);
  requireApprover(policy, approvers, signer);
  const { registry, name, digest } = image.reference;
  const repository = { registry, name };
  const children = image.children.map((child) => child.descriptor).filter((child) => child.digest !== digest);
  const signers = Object.fromEntries(
    Object.entries(policy.policy.signers).filter(([each]) => approvers.includes(each)),
  );
  const evidence = await collectEvidence(client, repository, digest, signers, { now });
  const isApproved = (): boolean => {
    const found = chooseApproval({ digest, children: children.map((each) => each.digest), evidence, approvers, now });
    if (found.kind !== "approved") return false;
    const { approval } = found;
    const isSame = approval.endOfLife === endOfLife && approval.role === role && approval.notes === notes;
    // One that tells of fewer points than are asked for now does not count, and so is signed anew.
    const least = listLeast(policy.policy.bases, formatRepository(repository));
    return isSame && least.every((asked) => judgePoints(approval.proven, asked).length === 0);
  };
  const target = { image: { mediaType: image.mediaType, digest, size: image.size }, children };
  const missing = sboms.filter(({ child }) => !isListed(chooseSbom(evidence, child.digest, new Set(approvers))));
  const pieces = missing.flatMap(({ child, sbom }): Piece[] => {
    const subjects = buildSubjects(repository, [digest, child.digest]);
    const statement = buildStatement(subjects, predicateTypes.cyclonedx, sbom);
    // Nobody would read it: who scans what stands on such a base reads its layers.
    if (encodeStatement(statement).byteLength > largestSbom) return [];
    return [{ target: { ...target, children: [child] }, statement, signer, known: { isNew: true } }];
  });
  const isNew = !isApproved();
  if (isNew) {
    const statement = buildDecisionStatement({
      image: { repository, digest, children: children.map((each) => each.digest) },
      policy,
      decision: {
        ...{ decision: "approved", decidedAt: now, endOfLife, role, examined },
        ...(notes === undefined ? {} : { notes }),
      },
    });
    pieces.push({ target, statement, signer, known: { isNew: true } });
  }
  await attachStatements(client, repository, pieces, now);
  return isNew;
}

/** In a bundle it is a third larger, with the signature beside it. Bytes. */
const largestSbom = maxBundleBytes * 0.7;

function isListed(signed: ReturnType<typeof chooseSbom>): boolean {
  return signed !== undefined && !("problem" in signed);
}

/** @throws UserError `approval-signer`: what nobody would count is not signed */
function requireApprover({ policy }: LoadedPolicy, approvers: readonly string[], signer: Signer): void {
  const own = signer.trusted ?? signer.material;
  if (approvers.some((name) => isSignerNamed(policy.signers, name, own))) return;
  throw new UserError(
    `this is none of the signers whose approval of it counts under policy '${policy.name}' (${approvers.join(", ") || "there is none"})`,
    {
      code: "approval-signer",
      wayOut: "Sign as one of those, or have the policy's owners add the signer to the base's `approval`.",
    },
  );
}
