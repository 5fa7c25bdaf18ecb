import { fieldOfEach } from "@goldenpath/foundation/tables";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { z } from "zod";
import { buildpacks } from "./buildpacks.ts";
import { strategies } from "./strategies.ts";
import type { Builder, BuildStrategy, OwnPolicy } from "./strategy.ts";

type Strategy = (typeof strategies)[number];
export type StrategyName = Strategy["name"];

/** The values of the input `engine`, of whatever strategy. */
export const engineNames = [...new Set(strategies.flatMap(({ engines }) => engines))];

/** Those that build something, and so have a runner. */
export type BuildingStrategyName = Exclude<Strategy, { isElsewhere: true }>["name"];

export const strategyNames = strategies.map(({ name }) => name) as [StrategyName, ...StrategyName[]];

/** Of each strategy, in the table's order. */
export const builderSchemas = fieldOfEach(strategies, "builderSchema");

/** For code that takes any: strategies are alike by their interface alone. */
const all: readonly BuildStrategy[] = strategies;

export function findStrategy(name: StrategyName): BuildStrategy {
  const strategy = all.find((each) => each.name === name);
  if (strategy === undefined) throw new TypeError(`${name} is no strategy`);
  return strategy;
}

export function buildsHere(name: StrategyName): name is BuildingStrategyName {
  return findStrategy(name).isElsewhere !== true;
}

/** Whether a provenance is of a strategy that builds nothing. */
export function isOfElsewhere({ buildType }: { buildType: string }): boolean {
  return findByBuildType(buildType)?.isElsewhere === true;
}

export function findByBuildType(buildType: string): BuildStrategy | undefined {
  return all.find((each) => each.buildType === buildType);
}

/** The strategy that a builder is for. */
export function kindOf(builder: Builder): string {
  return builder.kind ?? buildpacks.name;
}

/** The images of a policy that applications are built in, and that none stands on. */
export function listBuildImages(builders: readonly Builder[]): { name: string; image: string; digests: Digest[] }[] {
  return builders.flatMap(({ name, image, digests = [] }) =>
    image === undefined ? [] : [{ name, image, digests: [...digests] }],
  );
}

/** What of a policy is one strategy's. */
export function ownPolicy<Strategy extends Pick<BuildStrategy, "name" | "builderSchema">>(
  { name, build }: { name: string; build: { builders: readonly Builder[] } },
  strategy: Strategy,
): OwnPolicy<z.output<Strategy["builderSchema"]>> {
  type Own = z.output<Strategy["builderSchema"]>;
  // Its own schema has read those of its kind.
  return { name, builders: build.builders.filter((builder): builder is Own => kindOf(builder) === strategy.name) };
}

/** Whatever any strategy's plan has, each where its strategy was taken. */
type PlanOf<Table extends readonly unknown[]> = Table[number] extends infer Each
  ? Each extends { plan(builder: never): infer Plan }
    ? Plan
    : never
  : never;
type Merged<Plan> = {
  [Key in Plan extends unknown ? keyof Plan : never]?: Plan extends { [K in Key]: infer Value } ? Value : never;
};
export type StrategyPlan = Merged<PlanOf<typeof strategies>>;
