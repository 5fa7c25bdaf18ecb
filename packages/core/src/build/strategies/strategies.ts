import { buildpacks } from "./buildpacks.ts";
import { dockerfile } from "./dockerfile.ts";
import { image } from "./image.ts";
import { jib } from "./jib.ts";
import { kaniko } from "./kaniko.ts";
import { rebase } from "./rebase.ts";
import { springBoot } from "./spring-boot.ts";
import type { BuildStrategy } from "./strategy.ts";

/**
 * Every way of making images, by what decides. What the policy's schema, the inputs, the plan, the attestation and the
 * gate know of strategies is from here.
 */
export const strategies = [
  buildpacks,
  springBoot,
  jib,
  dockerfile,
  kaniko,
  image,
  rebase,
] as const satisfies readonly BuildStrategy[];
