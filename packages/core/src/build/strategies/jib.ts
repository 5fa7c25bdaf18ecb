import { z } from "zod";
import { name } from "../../policy/schema-text.ts";
import { describePlugin, findSkip, type ImagePlugin } from "./image-plugins.ts";
import { type BuildStrategy, isMarked, judgeBuilders, listBuildersOnBase } from "./strategy.ts";

const builderSchema = z.strictObject({
  kind: z.literal("jib").describe("The strategy that this builder is for."),
  name: name.describe("How messages call this builder."),
  plugin: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/, "expected a version such as 3.4.6")
    .optional()
    .describe(
      "The version of jib's Maven plugin that builds, whatever the application says of it, also where it does not have the plugin at all. Default: the application's own. With Gradle it is always that.",
    ),
  runImage: name.describe("The name of the approved base that the application is put on. It has Java in it."),
});
export type JibBuilder = z.infer<typeof builderSchema>;

export interface JibPlan {
  /** Of the Maven plugin; undefined for the application's own. */
  jibPlugin: string | undefined;
}

export const jibPlugin: ImagePlugin = {
  title: "jib",
  maven: { groupId: "com.google.cloud.tools", artifactId: "jib-maven-plugin", skip: "jib.skip" },
  gradle: "com.google.cloud.tools.jib",
};

/** jib, by its Maven and its Gradle plugin. docs/build-type-jib.md says what its provenance means. */
export const jib = {
  name: "jib",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/jib/v1",
  takes: ["env", "module", "secrets"],
  engines: ["maven", "gradle"],
  evidence: "plugin",
  detect: (survey) => describePlugin(survey, jibPlugin),
  findIdle: (survey) => findSkip(survey, jibPlugin),
  plan: ({ plugin }) => ({ jibPlugin: plugin }),
  prove: (image, policy) => ({
    builders: listBuildersOnBase(image, policy.builders).map((builder) => builder.name),
    materials: [],
    // jib writes itself into the history of each layer that it adds; so could anything else.
    isClaimed: isMarked(image, (config) =>
      (config?.history ?? []).some(({ created_by }) => jibMark.test(created_by ?? "")),
    ),
  }),
  judge: judgeBuilders,
} as const satisfies BuildStrategy<JibBuilder, JibPlan>;

const jibMark = /^jib-(?:maven|gradle)-plugin(?::|$)/;
