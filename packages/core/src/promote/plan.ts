import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { BlobAction, ManifestFacts, PromotionFacts, PromotionPlan } from "./facts.ts";
import { countRequests } from "./requests.ts";

/** Facts → plan. A blob that several manifests name is planned once. */
export function planPromotion(facts: PromotionFacts): PromotionPlan {
  const mountable = facts.from.registry === facts.to.registry;
  const isServed = (role: ManifestFacts["role"]): boolean =>
    facts.serverSide !== undefined && (role === "image" || role === "child");
  const blobs = new Map<Digest, PromotionPlan["blobs"][number]>();
  for (const manifest of facts.manifests) {
    const missing: BlobAction = isServed(manifest.role) ? "server-side" : mountable ? "mount" : "copy";
    for (const { digest, mediaType, size, isPresent } of manifest.blobs) {
      const known = blobs.get(digest);
      // One manifest that is there proves it for all that name the blob.
      if (known === undefined || isPresent)
        blobs.set(digest, { digest, mediaType, size, action: isPresent ? "present" : missing });
    }
  }
  const manifests = facts.manifests.map(({ isPresent, blobs: _blobs, ...manifest }) => ({
    ...manifest,
    action: isPresent ? ("present" as const) : isServed(manifest.role) ? ("server-side" as const) : ("copy" as const),
  }));
  const bytes = { present: 0, mount: 0, copy: 0, serverSide: 0 };
  for (const { action, size } of [...blobs.values(), ...manifests])
    bytes[action === "server-side" ? "serverSide" : action] += size;
  const planned = {
    version: 1 as const,
    from: formatRepository(facts.from),
    to: formatRepository(facts.to),
    digest: facts.digest,
    ...(facts.serverSide === undefined ? {} : { serverSide: facts.serverSide }),
    blobs: [...blobs.values()],
    manifests,
    leftBehind: [...facts.leftBehind],
    tags: facts.tags.map(({ tag, current, kept }) => ({
      tag,
      ...(current === undefined ? {} : { from: current }),
      ...(kept === undefined ? {} : { kept }),
      to: facts.digest,
      action:
        current === undefined
          ? ("set" as const)
          : current === facts.digest
            ? ("unchanged" as const)
            : ("move" as const),
    })),
    bytes,
  };
  return { ...planned, requests: countRequests(planned, facts.reads) };
}

/** The plan in lines for a log. */
export function renderPlanText(plan: PromotionPlan): string {
  const count = (action: string): number =>
    [...plan.blobs, ...plan.manifests].filter((entry) => entry.action === action).length;
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const plural = (amount: number, one: string): string => `${amount} ${one}${amount === 1 ? "" : "s"}`;
  const evidence = plan.manifests.filter((manifest) => manifest.role === "evidence");
  const referrers = plan.manifests.filter((manifest) => manifest.role === "referrer");
  const tags = plan.tags.map(({ tag, from, action, kept }) => {
    if (action === "unchanged") return `tag ${tag}: points there already`;
    return action === "set"
      ? `tag ${tag}: new`
      : `tag ${tag}: moves from ${from}${kept === undefined ? "" : `, which it was rebased from, and which is kept as ${kept}`}`;
  });
  return [
    `${plan.from}@${plan.digest}`,
    `→ ${plan.to}`,
    ...(plan.serverSide === undefined
      ? []
      : plan.serverSide.steps.map((step) => `${plan.serverSide?.product}: ${step}`)),
    `there already: ${count("present")} (${megabytes(plan.bytes.present)}), to mount: ${count("mount")} (${megabytes(plan.bytes.mount)}), to copy: ${count("copy")} (${megabytes(plan.bytes.copy)})`,
    `evidence: ${plural(evidence.length, "statement")}`,
    ...evidence.map(
      ({ subject, predicateType, signers }) => `  ${predicateType} about ${subject} by ${signers?.join(", ")}`,
    ),
    ...(referrers.length === 0 ? [] : [`other referrers: ${referrers.length}`]),
    ...referrers.map(
      ({ digest, subject, artifactType, tag }) =>
        `  ${tag ?? digest}${artifactType === undefined ? "" : ` (${artifactType})`} about ${subject}`,
    ),
    ...plan.leftBehind.map(({ digest, subject, reason }) => `left behind: ${digest} about ${subject}: ${reason}`),
    ...tags,
    `requests: about ${plan.requests.spent} so far, at least ${plan.requests.ahead} to come`,
  ].join("\n");
}
