import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { ServerSidePlan } from "./server-side/products/product.ts";

/** What a promotion has to have at its destination, and what is there already. */
export interface PromotionFacts {
  from: Repository;
  to: Repository;
  /** Of the image: what was gated, and what tags will point at. */
  digest: Digest;
  /** Each after everything that it names, and every referrer after its subject. */
  manifests: readonly ManifestFacts[];
  /** What refers to the image and does not go along. */
  leftBehind: readonly LeftBehind[];
  tags: readonly TagFacts[];
  /** What was read to know all this, and will be read to verify it. */
  reads: ReadFacts;
  /** The registry product's own promotion, where the policy has one and the image is still to come. */
  serverSide?: ServerSidePlan;
}

export interface ManifestFacts {
  digest: Digest;
  mediaType: string;
  size: number;
  /** `evidence`: a statement by a signer of the policy. `referrer`: anything else that refers to the image. */
  role: "child" | "image" | "evidence" | "referrer";
  /**
   * Those of one level may be written at the same time, once those of the levels before are there: children 0, the
   * image 1, what refers to them 2, …
   */
  level: number;
  /** Of what refers: the digest that it is about. */
  subject?: Digest;
  /** Of evidence, from the verified statement. */
  predicateType?: string;
  /** Of evidence: the policy's signers whose signature it has. */
  signers?: readonly string[];
  /** Of a referrer, from its own manifest. */
  artifactType?: string;
  /**
   * Of what cosign attached under a tag (`sha256-<hex>.sig`): it is written under this tag, instead of being listed.
   */
  tag?: string;
  /** It is at the destination; and of what refers, its subject's list of referrers there names it. */
  isPresent: boolean;
  blobs: readonly BlobFacts[];
}

export interface BlobFacts {
  digest: Digest;
  mediaType: string;
  size: number;
  /** Whether the destination has it: known where it was asked, or where a manifest there names it. */
  isPresent: boolean;
}

export interface LeftBehind {
  /** The referrer, or the tag's manifest. */
  digest: Digest;
  subject: Digest;
  reason: string;
}

export interface TagFacts {
  tag: string;
  /** What the tag points at now; undefined where there is none. */
  current?: Digest;
  /** The tag under which that stays, where the image was rebased from it: the gate asks for it again. */
  kept?: string;
}

/**
 * In requests: what the gate and the plan asked the source for, and how much a look at the destination will ask for.
 */
export interface ReadFacts {
  /** Manifests, configs and bundles at the source, each once. */
  contents: number;
  /** Lists of referrers and of tags at the source, and at the destination for the plan. */
  lists: number;
  /** Manifests, blobs and tags of which the plan asked whether the destination has them. */
  looks: number;
  /**
   * Manifests, configs, bundles and lists of referrers that the gate will read at the destination, without the
   * promotion's own.
   */
  verification: number;
  /** Blobs whose bytes the gate has read, and which are not read again to be copied. */
  held: readonly Digest[];
  /** Digests that the promotion's own statement is attached to: the image, and each child that runs. */
  subjects: number;
}

export type BlobAction = "present" | "mount" | "copy" | "server-side";

/** `plan.json`: read by people before a promotion and followed by it. */
export interface PromotionPlan {
  version: 1;
  from: string;
  to: string;
  digest: Digest;
  /** What the registry product does by itself, before anything else; what it leaves out is copied. */
  serverSide?: ServerSidePlan;
  /**
   * `mount`: the registry is asked to take it over from the source's repository, and it is copied where the registry
   * will not.
   */
  blobs: { digest: Digest; mediaType: string; size: number; action: BlobAction }[];
  /** In the order of writing. */
  manifests: (Omit<ManifestFacts, "isPresent" | "blobs"> & { action: "present" | "copy" | "server-side" })[];
  leftBehind: LeftBehind[];
  tags: {
    tag: string;
    from?: Digest;
    to: Digest;
    action: "set" | "move" | "unchanged";
    /** The tag that `from` gets first. */
    kept?: string;
  }[];
  /** Bytes by what happens to them. */
  bytes: Record<"present" | "mount" | "copy" | "serverSide", number>;
  /** How many requests it takes at least; see `countRequests`. */
  requests: PlannedRequests;
}

/** Requests to registries, by what they are for. */
export interface PlannedRequests {
  /** Before there was a plan: the gate's reading of the source, and the looks at the destination. */
  spent: number;
  /** To do what the plan says, the verification included. */
  ahead: number;
  /** `ahead`, by what it is for. */
  copy: number;
  verify: number;
  sign: number;
  tags: number;
}
