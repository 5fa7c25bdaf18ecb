import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { ServerSidePromotion } from "../policy/schema.ts";
import type { Context } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";

/** What a registry product is asked to bring from one of its repositories to another: the image alone, since none is known to carry referrers. */
export interface ServerSideJob {
  /** The policy's `environments.X.serverSide`. */
  settings: ServerSidePromotion;
  from: Repository;
  to: Repository;
  /** Of the image, gated. */
  digest: Digest;
  /** A tag of this promotion's own, at the source and at the destination, which no deployment reads: `promotion-<12 hex>`. */
  stagingTag: string;
}

/** Part of `plan.json`: which product, and what it is asked for, a sentence each. */
export interface ServerSidePlan {
  product: ServerSidePromotion["product"];
  steps: string[];
}

/**
 * The products' own promotion. `plan` decides, without asking anything, how the job would go; `run` does it. What it brings counts for nothing by itself: the
 * promotion asks the destination afterwards, copies what is missing, and verifies all of it.
 */
export interface ServerSidePromoter {
  /** @throws UserError where the settings do not fit the job, such as a repository outside of the policy's prefixes */
  plan(job: ServerSideJob): ServerSidePlan;
  /** @throws InfrastructureError, UserError */
  run(job: ServerSideJob, plan: ServerSidePlan, client: RegistryClient, context: Pick<Context, "ports" | "env" | "signal">): Promise<void>;
}
