import type { Digest } from "@goldenpath/registry-client/oci/digest";

/**
 * The signed word of the platform's signer about which policy is in force, in one place.
 * docs/adr/0005-the-policy-in-force.md
 */
export interface PolicyPointer {
  /**
   * `HOST/NAME` that it was made for, under each name by which that is reached: in another repository it counts for
   * nothing.
   */
  repositories: readonly string[];
  /** Of the policy. */
  name: string;
  serial: number;
  /** Of the policy's bytes. */
  digest: Digest;
  /** Where the policy came from when it was activated. */
  source: string;
  /** The manifest in the same repository that carries the policy's bytes. */
  artifact: Digest;
  activatedAt: Date;
  /** The policies before it, the oldest first. */
  predecessors: readonly PolicyPredecessor[];
  /** What counts for nothing any more, the oldest first; absent where nothing was ever withdrawn. */
  withdrawals?: readonly Withdrawal[] | undefined;
}

/** An image by digest, and whatever stands on a base; or what a signer has signed from a time on. */
export type WithdrawnThing = { kind: "image" | "base"; digest: Digest } | { kind: "signer"; name: string; from: Date };

export interface Withdrawal {
  thing: WithdrawnThing;
  reason: string;
  /** Who answers for it. */
  owner: string;
  at: Date;
  /** Why and on whose word it counts again. */
  lifted?: { reason: string; owner: string; at: Date } | undefined;
}

export interface PolicyPredecessor {
  serial: number;
  digest: Digest;
  activatedAt: Date;
  supersededAt: Date;
  /** What was judged under it counts for nothing. */
  revoked?: true | undefined;
}
