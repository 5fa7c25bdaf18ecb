import type { Digest } from "../oci/digest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";

/** What a promotion has to have at its destination, and what is there already. */
export interface PromotionFacts {
  from: Repository;
  to: Repository;
  /** Of the image: what was gated, and what tags will point at. */
  digest: Digest;
  /** In the order of writing: each after everything that it names. */
  manifests: readonly ManifestFacts[];
  tags: readonly TagFacts[];
}

export interface ManifestFacts {
  digest: Digest;
  mediaType: string;
  size: number;
  role: "child" | "image" | "evidence";
  /** For evidence: the digest that it is about. */
  subject?: Digest;
  /** It is at the destination; and for evidence, its subject's list of referrers there names it. */
  isPresent: boolean;
  blobs: readonly BlobFacts[];
}

export interface BlobFacts {
  digest: Digest;
  mediaType: string;
  size: number;
  isPresent: boolean;
}

export interface TagFacts {
  tag: string;
  /** What the tag points at now; undefined where there is none. */
  current?: Digest;
}

export type BlobAction = "present" | "mount" | "copy";

/** `plan.json`: read by people before a promotion and followed by it. */
export interface PromotionPlan {
  version: 1;
  from: string;
  to: string;
  digest: Digest;
  /** `mount`: the registry is asked to take it over from the source's repository, and it is copied where the registry will not. */
  blobs: { digest: Digest; mediaType: string; size: number; action: BlobAction }[];
  manifests: {
    digest: Digest;
    mediaType: string;
    size: number;
    role: ManifestFacts["role"];
    subject?: Digest;
    action: "present" | "copy";
  }[];
  tags: { tag: string; from?: Digest; to: Digest; action: "set" | "move" | "unchanged" }[];
  /** Bytes by what happens to them. */
  bytes: { present: number; mount: number; copy: number };
}

/** Facts → plan. A blob that several manifests name is planned once. */
export function planPromotion(facts: PromotionFacts): PromotionPlan {
  const mountable = facts.from.registry === facts.to.registry;
  const blobs = new Map<Digest, PromotionPlan["blobs"][number]>();
  for (const manifest of facts.manifests) {
    for (const { digest, mediaType, size, isPresent } of manifest.blobs) {
      if (!blobs.has(digest)) blobs.set(digest, { digest, mediaType, size, action: isPresent ? "present" : mountable ? "mount" : "copy" });
    }
  }
  const manifests = facts.manifests.map(({ digest, mediaType, size, role, subject, isPresent }) => ({
    digest,
    mediaType,
    size,
    role,
    ...(subject === undefined ? {} : { subject }),
    action: isPresent ? ("present" as const) : ("copy" as const),
  }));
  const bytes = { present: 0, mount: 0, copy: 0 };
  for (const blob of blobs.values()) bytes[blob.action] += blob.size;
  for (const manifest of manifests) bytes[manifest.action] += manifest.size;
  return {
    version: 1,
    from: formatRepository(facts.from),
    to: formatRepository(facts.to),
    digest: facts.digest,
    blobs: [...blobs.values()],
    manifests,
    tags: facts.tags.map(({ tag, current }) => ({
      tag,
      ...(current === undefined ? {} : { from: current }),
      to: facts.digest,
      action: current === undefined ? "set" : current === facts.digest ? "unchanged" : "move",
    })),
    bytes,
  };
}

/** The plan in lines for a log. */
export function renderPlanText(plan: PromotionPlan): string {
  const count = (action: string): number => [...plan.blobs, ...plan.manifests].filter((entry) => entry.action === action).length;
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const evidence = plan.manifests.filter((manifest) => manifest.role === "evidence").length;
  const tags = plan.tags.map(({ tag, from, action }) => {
    if (action === "unchanged") return `tag ${tag}: points there already`;
    return action === "set" ? `tag ${tag}: new` : `tag ${tag}: moves from ${from}`;
  });
  return [
    `${plan.from}@${plan.digest}`,
    `→ ${plan.to}`,
    `there already: ${count("present")} (${megabytes(plan.bytes.present)}), to mount: ${count("mount")} (${megabytes(plan.bytes.mount)}), to copy: ${count("copy")} (${megabytes(plan.bytes.copy)})`,
    `evidence: ${evidence} ${evidence === 1 ? "statement" : "statements"}`,
    ...tags,
  ].join("\n");
}
