import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import type { Policy, PolicyBuilder } from "../../policy/schema.ts";
import type { ContextRules } from "./judge.ts";

/** What a policy lets files name: its bases, and the images of its builders of whatever kind. */
export function rulesOfPolicy({ bases, build }: Pick<Policy, "bases" | "build">, now: Date): ContextRules {
  return { bases, buildImages: build.builders.flatMap(imagesOf), now };
}

function imagesOf(builder: PolicyBuilder): ContextRules["buildImages"][number][] {
  const { image, digests, lifecycleImage, images, buildpacks, allowBuildpacks } = builder as Partial<
    Record<string, unknown>
  >;
  const lists = [lifecycleImage, images, buildpacks, allowBuildpacks].flat();
  const named = lists.filter((each): each is string => typeof each === "string").map(readImage);
  if (typeof image !== "string") return named;
  return [{ image, digests: Array.isArray(digests) ? digests.filter(isDigest) : [] }, ...named];
}

function readImage(text: string): { image: string; digests: Digest[] } {
  const { digest, ...reference } = parseReference(text);
  return { image: formatRepository(reference), digests: digest === undefined ? [] : [digest] };
}
