import { buildpacksRunner } from "./buildpacks/run.ts";
import { dockerfileRunner } from "./dockerfile/run.ts";
import type { BuildingStrategyName } from "./find.ts";
import { jibRunner } from "./jib/run.ts";
import { kanikoRunner } from "./kaniko/run.ts";
import type { StrategyRunner } from "./runner.ts";
import { springBootRunner } from "./spring-boot/run.ts";

/**
 * What builds, by strategy. The build's verb alone loads this: whoever judges an image has no code in it that could
 * make one.
 */
export const runners = {
  buildpacks: buildpacksRunner,
  "spring-boot": springBootRunner,
  jib: jibRunner,
  dockerfile: dockerfileRunner,
  kaniko: kanikoRunner,
} satisfies Readonly<Record<BuildingStrategyName, StrategyRunner>>;
