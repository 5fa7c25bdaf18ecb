import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import type { Policy, PolicyBuilder } from "../../policy/schema.ts";
import type { ContextRules } from "./judge.ts";

/** What a policy lets files name: its bases, and the images of its builders of whatever kind. */
export function rulesOfPolicy({ bases, build }: Pick<Policy, "bases" | "build">, now: Date): ContextRules {
  return { bases, buildImages: build.builders.flatMap(imagesOf), now };
}

/** The fields of builders that name images, whichever of them a kind has. */
interface NamedImages {
  image?: string;
  digests?: Digest[];
  lifecycleImage?: string;
  images?: string[];
  buildpacks?: string[];
  allowBuildpacks?: string[];
}

function imagesOf(builder: PolicyBuilder): ContextRules["buildImages"][number][] {
  const {
    image,
    digests,
    lifecycleImage = [],
    images = [],
    buildpacks = [],
    allowBuildpacks = [],
  } = builder as NamedImages;
  const named = [lifecycleImage, images, buildpacks, allowBuildpacks].flat().map(readImage);
  // Without versions it would be one of which any may be named.
  if (image === undefined || digests === undefined) return named;
  return [{ image, digests }, ...named];
}

function readImage(text: string): { image: string; digests: Digest[] } {
  const { digest, ...reference } = parseReference(text);
  return { image: formatRepository(reference), digests: digest === undefined ? [] : [digest] };
}
