import type { ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { readExportPlace } from "../../base/label.ts";
import { parsePinned } from "../pinned.ts";
import {
  type Builder,
  type JudgedBuild,
  judgeBuilders,
  type Material,
  type Objection,
  type OwnPolicy,
} from "./strategy.ts";

interface WithImage {
  name: string;
  image?: string | undefined;
  digests?: readonly string[] | undefined;
}

/** The approved versions of a builder image, the newest last. */
export function pinBuilderImages({ name, image, digests = [] }: WithImage): PinnedReference[] {
  return digests.map((digest) => parsePinned(`${image}@${digest}`, `builder '${name}'`));
}

/** The builder images that new builds use: which one it was, an image does not prove. */
export function listBuilderImages(builders: readonly WithImage[]): Material[] {
  return builders.flatMap((builder) =>
    pinBuilderImages(builder)
      .slice(-1)
      .map(({ registry, name, digest }) => ({ name: "builder", repository: { registry, name }, digest })),
  );
}

/**
 * The lifecycle puts its label on every image that it exports, whoever ran it: for us and for pack it exports to the
 * registry, and for Spring Boot's plugin to a Docker daemon.
 */
export function isExportedTo(place: "daemon" | "registry"): (config: ImageConfig | undefined) => boolean {
  return (config) => readExportPlace(config?.config?.Labels ?? {}) === place;
}

/** By a builder of the policy and, where that has an image, by a version of it that is approved now. */
export function judgeBuilderImages(build: JudgedBuild, policy: OwnPolicy<Builder & WithImage>): Objection[] {
  const objections = judgeBuilders(build, policy);
  const named = build.dependencies.filter(({ name: called }) => called === "builder");
  const digests = new Set(named.map(({ digest }) => `sha256:${digest?.["sha256"]}`));
  const wayOut = `Build with a version of the builder that is in the policy (${policy.name}).`;
  const approved: readonly string[] = policy.builders.flatMap((builder) => builder.digests ?? []);
  for (const digest of digests) {
    if (!approved.includes(digest))
      objections.push({ problem: `the provenance names the builder image ${digest}, which no builder has`, wayOut });
  }
  for (const { name: called, digests: own } of policy.builders) {
    if (own === undefined || !build.builders.includes(called) || own.some((digest) => digests.has(digest))) continue;
    objections.push({ problem: `the provenance names no approved image of builder '${called}'`, wayOut });
  }
  return objections;
}
