import { mapConcurrently, settleAll } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { Reference, Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { platformOf } from "../base/identify.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import { listNamed } from "../signing/gather-signed.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { decideGate } from "./decide.ts";
import type { GateDecision, GateFacts } from "./facts.ts";
import { findEnvironment } from "./find-environment.ts";
import { type AskedLineage, gatherLineage } from "./gather-lineage.ts";
import type { Lineage } from "./lineage.ts";

export interface GateOutcome extends GateDecision {
  image: ImageFacts;
  /** What was collected, for the image's digest and for each child's. */
  evidence: ReadonlyMap<Digest, CollectedEvidence>;
  /** All that was decided on. */
  facts: GateFacts;
}

/** Of manifests and bundles, while one image is looked at; several may be at the same time. Bytes. */
const maxRemembered = 8 * 1024 * 1024;
/** Digests about which evidence is collected at the same time. */
const concurrency = 4;

/**
 * Looks at an image and everything that refers to it and to its children, and decides by the policy's environment.
 * `place` is `from` where images are let through from (to `destination`, where that is known), and `to` at the
 * destination of a promotion: there the same evidence must be, and the repository be one that the environment promotes
 * to. Each manifest and each bundle is read once, however many digests it is about.
 * @throws UserError `environment-unknown`, `image-not-found`, …; InfrastructureError where the registry cannot be
 *   asked: never a decision then
 */
export async function runGate(
  client: RegistryClient,
  image: Reference | ImageFacts,
  environmentName: string,
  policy: LoadedPolicy,
  now: Date,
  place: GateFacts["place"] = "from",
  destination?: Repository,
): Promise<GateOutcome> {
  const reader = rememberReads(client, maxRemembered);
  const [facts, own] = "children" in image ? [image] : await fetchWithEvidence(reader, image, policy, now);
  const evidence = await gatherEvidence(reader, facts, policy, now, own);
  const lineage = await gatherImageLineage(reader, facts, evidence, policy, now);
  const decided = describeGate(facts, evidence, { environmentName, policy, now, place, destination, lineage });
  return { ...decideGate(decided), image: facts, evidence, facts: decided };
}

/** By its digest an image is asked for together with what refers to it: a registry that is far away is waited for once. */
async function fetchWithEvidence(
  client: RegistryClient,
  image: Reference,
  { policy }: Pick<LoadedPolicy, "policy">,
  now: Date,
): Promise<[facts: ImageFacts, own?: CollectedEvidence]> {
  const { registry, name, digest } = image;
  if (digest === undefined) return [await fetchImageFacts(client, image)];
  return settleAll(
    fetchImageFacts(client, image),
    collectEvidence(client, { registry, name }, digest, policy.signers, { now }),
  );
}

/**
 * Everything that a policy's signers say about an image and each of its children.
 * @param own what is collected about the image's own digest already, by its list alone
 */
export async function gatherEvidence(
  client: RegistryClient,
  image: ImageFacts,
  { policy }: Pick<LoadedPolicy, "policy">,
  now: Date,
  own?: CollectedEvidence,
): Promise<Map<Digest, CollectedEvidence>> {
  const { reference, children } = image;
  const repository: Repository = { registry: reference.registry, name: reference.name };
  const subjects = [...new Set([reference.digest, ...children.map((child) => child.digest)])];
  const collected = await mapConcurrently(concurrency, subjects, async (each) => {
    const named = listNamed(image, each);
    if (own !== undefined && each === reference.digest && named.length === 0) return own;
    return collectEvidence(client, repository, each, policy.signers, { now, named });
  });
  return new Map(collected.map((found, index) => [subjects[index] ?? reference.digest, found]));
}

/** What it was rebased from, where somebody says that it was: {@link gatherLineage}. */
export function gatherImageLineage(
  client: RegistryClient,
  image: ImageFacts,
  evidence: GateFacts["evidence"],
  policy: Pick<LoadedPolicy, "policy">,
  now: Date,
  asked?: AskedLineage,
): Promise<Lineage | undefined> {
  return gatherLineage(client, policy, image, evidence, {
    gatherEvidence: (each) => gatherEvidence(client, each, policy, now),
    ...(asked === undefined ? {} : { asked }),
  });
}

/**
 * What the gate decides on, of an image and the evidence that was gathered about it.
 * @throws UserError `environment-unknown`
 */
export function describeGate(
  { reference, children }: ImageFacts,
  evidence: GateFacts["evidence"],
  asked: Pick<GateFacts, "environmentName" | "policy" | "now" | "place" | "destination" | "lineage">,
): GateFacts {
  const { digest, registry, name } = reference;
  const layers = new Map(children.map((child) => [child.digest, child.config.rootfs.diff_ids]));
  // By their own configs: the same image may be in another index, as of another platform.
  const platforms = new Map(children.map((child) => [child.digest, formatPlatform(platformOf(child))]));
  return {
    ...asked,
    environment: findEnvironment(asked.policy, asked.environmentName),
    image: { repository: { registry, name }, digest, children: children.map((each) => each.digest), layers, platforms },
    evidence,
  };
}
