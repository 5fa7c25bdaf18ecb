import type { PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { builderApproval } from "../../policy/approval-section.ts";
import { approvedDay, day, digestText, name, pinnedReference, repositoryText } from "../../policy/schema-text.ts";
import { parsePinned } from "../pinned.ts";
import { detectEcosystems, languages } from "../survey/ecosystems.ts";
import type { Survey } from "../survey/survey.ts";
import { isExportedTo, judgeBuilderImages, listBuilderImages, pinBuilderImages } from "./builder-images.ts";
import { extensionText } from "./extensions.ts";
import { type OwnBuildpack, planOwnBuildpacks } from "./own-buildpacks.ts";
import {
  type ApprovedBase,
  type BuildStrategy,
  type DescribedApplication,
  isMarked,
  listBuildersOnBase,
  type Material,
} from "./strategy.ts";

const builderSchema = z
  .strictObject({
    // Policies are older than kinds: a builder without one is of this.
    kind: z.literal("buildpacks").optional().describe("The strategy that this builder is for. Default: buildpacks."),
    name: name.describe("How messages call this builder."),
    buildpacks: z
      .array(pinnedReference)
      .min(1)
      .optional()
      .describe("Buildpacks as images (buildpackages), by digest, in the order in which they are tried together."),
    image: repositoryText
      .optional()
      .describe(
        "Instead of buildpacks: the repository of a builder image, which has buildpacks, their order and what they run in.",
      ),
    digests: z
      .array(digestText)
      .min(1)
      .optional()
      .describe("The approved versions of the builder image. New builds use the last one."),
    approval: builderApproval
      .optional()
      .describe(
        "Of `digests`, those count for new builds whose approval is signed as `build-only` or `both`, as `goldenpath base approve` does, and as long as that says; they use the one that was approved last. The gate goes by `digests`.",
      ),
    lifecycleImage: pinnedReference
      .optional()
      .describe(
        "With `image`, for builds by pack: the image of the lifecycle, by digest, whose phases have the registry's login.",
      ),
    allowInline: z
      .boolean()
      .optional()
      .describe(
        "true: applications may bring inline buildpacks, which are scripts in project.toml. They run where the application's own code runs. Default: they are refused.",
      ),
    allowBuildpacks: z
      .array(pinnedReference)
      .min(1)
      .optional()
      .describe(
        "Buildpacks as images, by digest, that applications may name in project.toml as `docker://HOST/NAME@DIGEST`. Default: none, and whoever names one is refused.",
      ),
    allowExtensions: z
      .array(extensionText)
      .min(1)
      .optional()
      .describe(
        "With `image` and `lifecycleImage`: the extensions of that image which may run, as ID or ID@VERSION. Their Dockerfiles' steps are root's, in containers of engine pack. Default: none, and pack refuses a builder that has others.",
      ),
    approved: approvedDay.optional(),
    until: day.optional().describe("The last day (UTC) on which anything is built with it."),
    runImage: name.describe("The name of the approved base that the application is put on."),
    languages: z
      .array(z.enum(languages))
      .min(1)
      .optional()
      .describe(
        "Languages that its buildpacks build. The first builder that builds the application's is taken; without it, a builder counts as building any.",
      ),
  })
  .refine(({ buildpacks, image }) => (buildpacks === undefined) !== (image === undefined), {
    message: "has either `buildpacks` or a builder's `image`",
  })
  .refine(({ image, digests }) => (image === undefined) === (digests === undefined), {
    message: "has `image` and `digests` only together",
  })
  .refine(({ approval, image }) => approval === undefined || image !== undefined, {
    message: "has `approval` only with a builder's `image`",
  })
  .refine(({ allowExtensions, lifecycleImage, image }) => allowExtensions === undefined || (lifecycleImage && image), {
    message: "has `allowExtensions` only with `image` and `lifecycleImage`, since pack alone runs extensions",
  });
export type BuildpacksBuilder = z.infer<typeof builderSchema>;

export interface BuildpacksPlan {
  /** Pinned, in the order in which they are tried together; none where a builder image has them. */
  buildpacks: PinnedReference[];
  /** What strangers' code has for a root. */
  builderImage: PinnedReference | undefined;
  /** For pack: what has the login. */
  lifecycleImage: PinnedReference | undefined;
  /** Extensions of the builder image that may run, as the policy writes them; missing where none may. */
  allowedExtensions?: readonly string[];
  /** What the application brings besides; missing where it brings nothing. */
  ownBuildpacks?: readonly OwnBuildpack[];
}

/** Cloud Native Buildpacks. docs/build-type.md says what its provenance means. */
export const buildpacks = {
  name: "buildpacks",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/buildpacks/v1",
  takes: ["env", "module", "engine"],
  engines: ["lifecycle", "pack"],
  evidence: "language",
  detect: detectBuildpacks,
  isContained: ({ image }) => image !== undefined,
  plan: (builder: BuildpacksBuilder, _bases?: readonly ApprovedBase[], application?: DescribedApplication) => ({
    buildpacks: (builder.buildpacks ?? []).map((text) => parsePinned(text, `buildpack of builder '${builder.name}'`)),
    builderImage: pinBuilderImages(builder).at(-1),
    lifecycleImage:
      builder.lifecycleImage === undefined
        ? undefined
        : parsePinned(builder.lifecycleImage, `lifecycle of builder '${builder.name}'`),
    ...(builder.allowExtensions === undefined ? {} : { allowedExtensions: builder.allowExtensions }),
    ...planOwn(builder, application),
  }),
  prove: (image, policy) => {
    const builders = listBuildersOnBase(image, policy.builders);
    return {
      builders: builders.map((builder) => builder.name),
      materials: [...listBuilderImages(builders), ...listBuildpacks(builders)],
      isClaimed: isMarked(image, isExportedTo("registry")),
    };
  },
  judge: judgeBuilderImages,
} as const satisfies BuildStrategy<BuildpacksBuilder, BuildpacksPlan>;

function planOwn(
  builder: BuildpacksBuilder,
  application: DescribedApplication | undefined,
): Pick<BuildpacksPlan, "ownBuildpacks"> {
  const declared = application?.project.buildpacks;
  const own =
    declared === undefined ? undefined : planOwnBuildpacks(declared, builder, { file: application?.file ?? "" });
  return own === undefined ? {} : { ownBuildpacks: own };
}

/**
 * All of the builders' buildpacks, each once, also those that did not apply, and those that applications may bring: an
 * image does not prove which did.
 */
export function listBuildpacks(builders: readonly BuildpacksBuilder[]): Material[] {
  const texts = new Set(
    builders.flatMap(({ buildpacks: own = [], allowBuildpacks = [] }) => [...own, ...allowBuildpacks]),
  );
  return [...texts].map((text) => {
    const { registry, name, digest } = parsePinned(text, "buildpack");
    return { name: "buildpack", repository: { registry, name }, digest };
  });
}

/**
 * Nothing in the specification says which of several applications is built. Buildpacks have variables for it, each its
 * own: Paketo's for Maven, Gradle, npm's workspaces and Go, and Google's for all.
 */
export function nameModule(module: string | undefined): Record<string, string> {
  if (module === undefined) return {};
  return {
    BP_MAVEN_BUILT_MODULE: module,
    BP_GRADLE_BUILT_MODULE: module,
    BP_NODE_PROJECT_PATH: module,
    BP_GO_TARGETS: `./${module}`,
    GOOGLE_BUILDABLE: module,
  };
}

function detectBuildpacks(survey: Survey): string[] {
  const reasons = detectEcosystems(survey).map(
    ({ file, title, lock }) => `${file} (${title})${lock === undefined ? "" : ` with ${lock}`}`,
  );
  return survey.files.includes("project.toml") ? ["project.toml", ...reasons] : reasons;
}
