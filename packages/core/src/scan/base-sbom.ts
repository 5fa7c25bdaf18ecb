import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference, type PinnedReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { ApprovedBase } from "../base/identify.ts";
import type { Policy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import type { ToolUse } from "../tools/run-tool.ts";
import { catalogManifest, type Sbom } from "./catalog.ts";
import { chooseSbom, type SignedSbom } from "./signed-sbom.ts";

export interface BaseSbom {
  sbom: Sbom;
  tools: ToolUse[];
  /** What a reader should know of where it is from, one sentence each. */
  notes: string[];
}

interface BaseFacts {
  client: RegistryClient;
  policy: Pick<Policy, "bases" | "signers">;
  context: Context;
  /** For what takes much memory. */
  inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * What is in a base by itself: the SBOM that its approvers have signed, where it counts by their word, and else one that
 * is made of its layers. Whoever approves a base says with it that images may stand on all that is in it; a build's
 * signer, who speaks for one application's image, does not speak for what every other one stands on.
 * @throws as `collectEvidence` and `catalogManifest`: what can't be asked for is not taken for missing
 */
export async function obtainBaseSbom(base: ApprovedBase, facts: BaseFacts): Promise<BaseSbom> {
  const { client, context, inTurn } = facts;
  const reference = { ...parseRepository(base.image), digest: base.child };
  const signed = await findSigned(base, reference, facts);
  if (signed !== undefined && "sbom" in signed) {
    const note = `the SBOM of base '${base.name}' is that of its approver ${signed.signer} (bundle ${signed.digest})`;
    context.ports.log.info(note);
    return { sbom: signed.sbom, tools: [], notes: [note] };
  }
  const notes = signed === undefined ? [] : [`the SBOM of base '${base.name}' was made anew: ${signed.problem}`];
  for (const note of notes) context.ports.log.notice(note);
  return inTurn(async () => {
    context.ports.log.info(`looking at base '${base.name}' on its own (${formatReference(reference)})`);
    const { sbom, tool } = await catalogManifest(client, reference, base.platform, context);
    return { sbom, tools: [tool], notes };
  });
}

async function findSigned(
  { name, child }: ApprovedBase,
  reference: PinnedReference,
  { client, policy, context }: BaseFacts,
): Promise<SignedSbom | { problem: string } | undefined> {
  const approvers = new Set(policy.bases.find((base) => base.name === name)?.approval?.signers ?? []);
  if (approvers.size === 0) return undefined;
  const signers = Object.fromEntries(Object.entries(policy.signers).filter(([each]) => approvers.has(each)));
  const evidence = await collectEvidence(client, reference, child, signers, { now: context.now() });
  return chooseSbom(evidence, child, approvers);
}
