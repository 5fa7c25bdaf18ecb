import { z } from "zod";
import { duration, name, repositoryText } from "../../policy/schema-text.ts";
import { type BuildStrategy, type JudgedBuild, judgeBuilders, type Objection, type OwnPolicy } from "./strategy.ts";

/** More than anybody needs between two builds, and few enough that each can be looked at. */
export const mostRebases = 10;

const rolloutSchema = z.strictObject({
  canaries: z
    .array(repositoryText)
    .default([])
    .describe(
      "Repositories, or folders of them, below an environment's `to`: their images are put on a new version first, and no other before all of them stand on it. Default: the first image of all goes alone.",
    ),
  wave: z.int().min(1).max(50).default(10).describe("How many images of the others are put on it at a time."),
  pause: duration
    .default(86_400_000)
    .describe("How long after the promotion of the last image the next wave begins. Default: 1d."),
});
export type Rollout = z.infer<typeof rolloutSchema>;

const builderSchema = z.strictObject({
  kind: z.literal("rebase").describe("The strategy that this builder is for."),
  name: name.describe("How messages call this builder."),
  signers: z
    .array(name)
    .min(1)
    .describe("The signers who may attest rebases. Each has to be among those who speak for `build` as well."),
  most: z
    .int()
    .min(1)
    .max(mostRebases)
    .default(3)
    .describe("How often an image may be rebased after its build, one rebase on another."),
  buildMaxAge: duration
    .optional()
    .describe(
      "How old the build of an image may be that is rebased. Default: the `maxAge` of the requirement `build`.",
    ),
  rollout: rolloutSchema
    .optional()
    .describe("In which waves `fleet rebase` puts what is in vetted on a new version of its base."),
});
export type RebaseBuilder = z.infer<typeof builderSchema>;

/** The waves of a policy that says nothing of them. */
export const defaultRollout: Rollout = rolloutSchema.parse({});

/** The base, among what a provenance names. */
export const runImage = "run-image";
/** The image that was rebased, among the materials; those that it was rebased from itself come after it. */
export const rebasedImage = "rebased-image";

/**
 * An image that was put on another version of its base: nothing is built, and who built the image that was rebased has
 * built this one. docs/build-type-rebase.md says what its provenance means.
 */
export const rebase = {
  name: "rebase",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/rebase/v1",
  takes: [],
  engines: [],
  evidence: "dockerfile",
  isElsewhere: true,
  isRebase: true,
  // No file asks for it: who rebases names the image.
  detect: () => [],
  plan: () => ({}),
  prove: ({ signed }, { builders }) => {
    const { images = [], source, objections = ["input 'rebased-from' names no image"] } = signed?.rebased ?? {};
    const fitting = builders.filter(({ most }) => images.length <= most);
    const tooMany = `it was rebased ${images.length} times since its build, and the policy takes no more than ${Math.max(...builders.map(({ most }) => most))}`;
    const against = [...objections, ...(objections.length === 0 && fitting.length === 0 ? [tooMany] : [])];
    if (against.length > 0 || source === undefined)
      return { builders: [], materials: [], isClaimed: false, objections: against };
    return {
      builders: fitting.map((builder) => builder.name),
      materials: images.map((image) => ({ ...image, name: rebasedImage })),
      isClaimed: true,
      source,
    };
  },
  judge: judgeRebase,
} as const satisfies BuildStrategy<RebaseBuilder>;

/** What it says by itself. Of the image that was rebased the gate judges the build, layers and config. */
function judgeRebase(build: JudgedBuild, policy: OwnPolicy<RebaseBuilder>): Objection[] {
  const strangers = judgeBuilders(build, policy);
  if (strangers.length > 0) return strangers;
  return [runImage, rebasedImage]
    .filter((wanted) => !build.dependencies.some((each) => each.name === wanted))
    .map((wanted) => ({
      problem: `the provenance of the rebase names no ${wanted}`,
      wayOut: "Rebase the image by goldenpath base rebase, and attest that.",
    }));
}
