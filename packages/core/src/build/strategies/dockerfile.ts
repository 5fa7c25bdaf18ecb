import { parseReference, type Reference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { isParsable, name } from "../../policy/schema-text.ts";
import { dockerfileName } from "../survey/markers.ts";
import { type ApprovedBase, type BuildStrategy, isMarked, judgeBuilders, type SeenImage } from "./strategy.ts";

/** `HOST/NAME` or `HOST/NAME@sha256:…`, never a tag: that is whatever it is given to be. */
const imageText = z
  .string()
  .refine(
    (text) => isParsable(() => parseReference(text)) && parseReference(text).tag === undefined,
    "expected HOST/NAME, or HOST/NAME@sha256:DIGEST",
  );

const builderSchema = z.strictObject({
  kind: z.literal("dockerfile").describe("The strategy that this builder is for."),
  name: name.describe("How messages call this builder."),
  bases: z
    .array(name)
    .min(1)
    .optional()
    .describe("Names of the approved bases that the result may stand on. Default: all."),
  images: z
    .array(imageText)
    .default([])
    .describe(
      "What a Dockerfile may use besides the bases, such as compilers, whose files it copies: a repository (then the tag that the file names is resolved once), or an image by digest.",
    ),
  downloads: z
    .array(z.url({ protocol: /^https$/, error: "expected the beginning of an https URL" }))
    .default([])
    .describe("Beginnings of URLs that ADD may fetch, with a checksum beside each. Default: none."),
});
export type DockerfileBuilder = z.infer<typeof builderSchema>;

export interface DockerfilePlan {
  dockerfile: {
    bases: readonly ApprovedBase[];
    /** Repositories, and images by digest. */
    images: readonly Reference[];
    downloads: readonly string[];
  };
}

/** A Dockerfile, built by BuildKit. docs/build-type-dockerfile.md says what its provenance means. */
export const dockerfile = {
  name: "dockerfile",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/dockerfile/v1",
  takes: ["file", "target", "build-args", "secrets"],
  engines: [],
  evidence: "dockerfile",
  detect: ({ files }) => files.filter((each) => dockerfileName.test(each)),
  // Steps run on images that were judged, and nowhere else.
  isContained: () => true,
  plan: (builder, bases) => ({
    dockerfile: {
      bases: bases.filter(({ name }) => builder.bases?.includes(name) ?? true),
      images: builder.images.map((text) => parseReference(text)),
      downloads: builder.downloads,
    },
  }),
  prove: (image, { builders }) => ({
    builders: builders.filter((builder) => provesBase(image, builder)).map((builder) => builder.name),
    // What its stages copied from where, no image proves.
    materials: [],
    // The last step's: bases that BuildKit made have its mark as well.
    isClaimed: isMarked(image, (config) => config?.history?.at(-1)?.comment === "buildkit.dockerfile.v0"),
  }),
  judge: judgeBuilders,
} as const satisfies BuildStrategy<DockerfileBuilder, DockerfilePlan>;

/** Every part of it is on an approved base, and on one that this builder lets a Dockerfile choose. */
export function provesBase({ children }: SeenImage, { bases }: Pick<DockerfileBuilder, "bases">): boolean {
  return (
    children.length > 0 &&
    children.every(
      ({ base }) => base !== undefined && (bases === undefined || base.names.some((each) => bases.includes(each))),
    )
  );
}
