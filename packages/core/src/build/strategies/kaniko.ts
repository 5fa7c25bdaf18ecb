import { z } from "zod";
import { type DockerfilePlan, dockerfile, provesBase } from "./dockerfile.ts";
import { type BuildStrategy, isMarked, judgeBuilders } from "./strategy.ts";

const builderSchema = dockerfile.builderSchema
  .omit({ downloads: true })
  .extend({ kind: z.literal("kaniko").describe("The strategy that this builder is for.") });
export type KanikoBuilder = z.infer<typeof builderSchema>;

/**
 * A Dockerfile, built by kaniko, for files that rest on how kaniko does it. It was archived in 2025:
 * docs/dockerfiles.md says what to move to, and docs/build-type-dockerfile.md what its provenance means.
 */
export const kaniko = {
  name: "kaniko",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/kaniko/v1",
  takes: ["file", "target", "build-args"],
  engines: [],
  evidence: "dockerfile",
  // No file asks for it, and not for what is archived: whoever wants it says so.
  detect: () => [],
  // Its steps are changed to another root and no more: what every user of the machine may read, they can find.
  plan: (builder, bases) => dockerfile.plan({ ...builder, kind: "dockerfile", downloads: [] }, bases),
  prove: (image, { builders }) => ({
    builders: builders.filter((builder) => provesBase(image, builder)).map((builder) => builder.name),
    materials: [],
    // It signs each step of the history as its author.
    isClaimed: isMarked(image, (config) => config?.history?.at(-1)?.["author"] === "kaniko"),
  }),
  judge: judgeBuilders,
} as const satisfies BuildStrategy<KanikoBuilder, DockerfilePlan>;
