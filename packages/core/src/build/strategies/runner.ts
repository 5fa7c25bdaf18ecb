import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference, Reference, Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import type { StageResult } from "../../result.ts";
import type { BuildCache } from "../cache/cache.ts";
import type { BuildOptions } from "../options.ts";
import type { PlanFrame } from "../plan-build.ts";
import type { Source } from "../source.ts";

/** A repository, and references in it, at least one. */
export interface Target {
  repository: Repository;
  tags: readonly [Reference, ...Reference[]];
}

/** What is to be built, and with what. */
export interface BuildJob<Plan extends object = object> {
  plan: PlanFrame & Plan;
  /** Where it is pushed to: the plan's own place, or one on this machine where the image leaves it as a layout. */
  to: Target;
  /** Of this machine. */
  platform: Platform;
  /**
   * The base of the builder, its image for that platform by its own digest; undefined where the builder has none. It is
   * there, and the registry that is pushed to lets us in.
   */
  runImage: PinnedReference | undefined;
  source: Source;
  /** The user's variables for the build. */
  variables: Readonly<Record<string, string>>;
  /** Of these, what the strategy takes. */
  options: BuildOptions;
  /**
   * Labels of the OCI image specification that say which commit this is, for strategies that can set them. The build's
   * word: a hint for readers, and no proof.
   */
  labels: Readonly<Record<string, string>>;
  context: Context;
  client: RegistryClient;
  /** Hosts that the policy lets be spoken to without TLS. */
  plainHttp: readonly string[];
  /** What earlier builds left, and where this one may leave something; undefined without, as most policies want it. */
  cache?: BuildCache | undefined;
}

export interface Built {
  /** Of what was pushed, under every tag of `to`. */
  digest: Digest;
  tools: StageResult["tools"];
  /** Each a sentence of the result. */
  notes: string[];
}

/**
 * The other half of a {@link BuildStrategy}: what builds. It runs strangers' code, and has what the build job has and
 * nothing more.
 */
export interface StrategyRunner<Plan extends object = object> {
  run(job: BuildJob<Plan>): Promise<Built>;
  /** The CycloneDX SBOM that the build left, its own word; undefined where it left none, which `noSbom` then says. */
  fetchSbom(image: ImageFacts, child: ChildFacts, job: BuildJob<Plan>): Promise<string | undefined>;
  noSbom: string;
  /** Programs of the lock that every build by it runs: they are got while the registries are asked. */
  tools?: readonly string[];
  /** It reads and keeps a cache, where the job has one. */
  caches?: true;
}
