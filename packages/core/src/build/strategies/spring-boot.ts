import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { builderApproval } from "../../policy/approval-section.ts";
import { approvedDay, day, digestText, name, repositoryText } from "../../policy/schema-text.ts";
import { isExportedTo, judgeBuilderImages, listBuilderImages, pinBuilderImages } from "./builder-images.ts";
import { describePlugin, findSkip, type ImagePlugin } from "./image-plugins.ts";
import { type BuildStrategy, isMarked, listBuildersOnBase } from "./strategy.ts";

const builderSchema = z.strictObject({
  kind: z.literal("spring-boot").describe("The strategy that this builder is for."),
  name: name.describe("How messages call this builder."),
  image: repositoryText.describe(
    "The repository of the Cloud Native Buildpacks builder: Paketo's, another vendor's, the organisation's own.",
  ),
  digests: z
    .array(digestText)
    .min(1)
    .describe("The approved versions of the builder image. New builds use the last one."),
  approval: builderApproval
    .optional()
    .describe(
      "Of `digests`, those count for new builds whose approval is signed as `build-only` or `both`, as `goldenpath base approve` does, and as long as that says; they use the one that was approved last. The gate goes by `digests`.",
    ),
  approved: approvedDay.optional(),
  until: day.optional().describe("The last day (UTC) on which anything is built with it."),
  runImage: name.describe("The name of the approved base that the application is put on."),
});
export type SpringBootBuilder = z.infer<typeof builderSchema>;

export interface SpringBootPlan {
  springBootBuilder: PinnedReference;
}

export const springBootPlugin: ImagePlugin = {
  title: "Spring Boot",
  maven: {
    groupId: "org.springframework.boot",
    artifactId: "spring-boot-maven-plugin",
    skip: "spring-boot.build-image.skip",
  },
  gradle: "org.springframework.boot",
};

/** Spring Boot's own `build-image`. docs/build-type-spring-boot.md says what its provenance means. */
export const springBoot = {
  name: "spring-boot",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/spring-boot/v1",
  takes: ["env", "module", "secrets"],
  engines: ["maven", "gradle"],
  evidence: "plugin",
  hasDaemon: true,
  detect: (survey) => describePlugin(survey, springBootPlugin),
  findIdle: (survey) => findSkip(survey, springBootPlugin),
  plan: (builder) => ({ springBootBuilder: newestImage(builder) }),
  prove: (image, policy) => {
    const builders = listBuildersOnBase(image, policy.builders);
    return {
      builders: builders.map((builder) => builder.name),
      materials: listBuilderImages(builders),
      isClaimed: isMarked(image, isExportedTo("daemon")),
    };
  },
  judge: judgeBuilderImages,
} as const satisfies BuildStrategy<SpringBootBuilder, SpringBootPlan>;

function newestImage(builder: SpringBootBuilder): PinnedReference {
  const newest = pinBuilderImages(builder).at(-1);
  if (newest === undefined) throw new TypeError("a builder has at least one version");
  return newest;
}
