import { isDigest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import { levelSection } from "../../origin/build-level.ts";
import type { OriginSource } from "../../origin/git-commits.ts";
import { findOrigin, type OriginObjection } from "../../origin/judge-origin.ts";
import { githubBuildType } from "../../origin/read-foreign.ts";
import { name, workflowPattern } from "../../policy/schema-text.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import {
  type BuildStrategy,
  type JudgedBuild,
  judgeBuilders,
  type Objection,
  type OwnPolicy,
  type SignedView,
} from "./strategy.ts";

const signers = z.array(name).min(1);

const builderSchema = z
  .strictObject({
    kind: z.literal("image").describe("The strategy that this builder is for."),
    name: name.describe("How messages call this builder."),
    provenance: z
      .strictObject({
        signers: signers.describe("The signers whose provenance is taken. None of them speaks for a stage."),
        builders: z
          .array(z.union([workflowPattern, z.url({ protocol: /^https$/ })], "expected the URL of a builder"))
          .min(1)
          .describe(
            "The `builder.id` that it has to have: a URL, or a workflow with its ref, https://HOST/OWNER/REPO/.github/workflows/FILE@REF; * stands for one path component.",
          ),
        buildTypes: z
          .array(z.url("expected the URL of a build type"))
          .min(1)
          .default([githubBuildType])
          .describe(
            "The build types that it may have. Of another than GitHub's it is asked that it names one commit of one Git repository.",
          ),
        level: levelSection
          .optional()
          .describe("The least SLSA Build level that its builds need. Default: none is asked for."),
      })
      .optional()
      .describe(
        "Images that a pipeline of one's own has built, by its SLSA provenance (v1, or v0.2); `sources` says of what.",
      ),
    import: z
      .strictObject({
        signers: signers.describe("The platform's signers, who import. None of them speaks for a stage."),
      })
      .optional()
      .describe("Images of vendors that `goldenpath import` let in; `sources` says which, as oci://HOST/NAME."),
  })
  .refine(
    (builder) => (builder.provenance === undefined) !== (builder.import === undefined),
    "expected either `provenance` or `import`",
  );
export type ImageBuilder = z.infer<typeof builderSchema>;

/**
 * An image that something else built: nothing is built, its bytes are taken as they are, by the word of those that the
 * policy names. docs/build-type-image.md says what its provenance means.
 */
export const image = {
  name: "image",
  builderSchema,
  buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/image/v1",
  takes: [],
  engines: [],
  evidence: "dockerfile",
  isElsewhere: true,
  // No file asks for it: who has an image names it.
  detect: () => [],
  plan: () => ({}),
  prove: ({ signed }, { builders }) => {
    const found = signed === undefined ? { objections: [] } : findOrigin(signed, builders);
    if ("objections" in found || signed === undefined) {
      const objections = "objections" in found ? found.objections.map(({ problem }) => problem) : [];
      return { builders: [], materials: [], isClaimed: false, objections };
    }
    const { repository } = signed;
    return {
      builders: found.builders,
      materials: found.rests.map(({ kind, bundle }) => ({ name: kind, repository, digest: bundle })),
      // It is signed, and not the build's word; nobody's signature is on an image by accident.
      isClaimed: true,
      source: found.source,
    };
  },
  judge: judgeImage,
} as const satisfies BuildStrategy<ImageBuilder>;

const wayOut = "Import it again, or have it built again by who the policy names; then take it in by strategy 'image'.";

/** What the provenance rests on has to be there still, and to count under the policy and on the day of now. */
function judgeImage(build: JudgedBuild, policy: OwnPolicy<ImageBuilder>, signed?: SignedView): Objection[] {
  const strangers = judgeBuilders(build, policy);
  if (strangers.length > 0) return strangers;
  const named = new Set(
    build.dependencies
      .filter(({ name: called }) => called === "provenance" || called === "import")
      .flatMap(({ digest = {} }) => Object.entries(digest).map(([algorithm, hex]) => `${algorithm}:${hex}`))
      .filter(isDigest),
  );
  const statements = signed?.statements.filter(({ bundle }) => named.has(bundle.digest)) ?? [];
  if (signed === undefined || statements.length === 0)
    return [{ problem: "the statement that says where the image comes from is not there", wayOut }];
  const rules = policy.builders.filter(({ name: called }) => build.builders.includes(called));
  // Of the level the newest word counts, and not the one that was the newest when it was attested.
  const summaries = signed.statements.filter(
    ({ statement }) => statement.predicateType === predicateTypes.verificationSummary,
  );
  const found = findOrigin({ ...signed, statements: [...statements, ...summaries] }, rules);
  if ("objections" in found) return found.objections.map(object);
  return compareWithSource(build, found.source);
}

/** `build.sources` is asked of what the provenance says: so it says all that was signed, and nothing more. */
function compareWithSource(build: JudgedBuild, source: OriginSource): Objection[] {
  const pairs: [what: string, said: string | undefined, signed: string | undefined][] = [
    ["repository", build.sourceRepository, source.repository],
    ["version", build.sourceCommit, source.version],
    ["ref", build.sourceRef, source.ref],
    ["event", build.event, source.event],
    ["workflow", build.callerId, source.callerId],
  ];
  const differences = pairs
    .filter(([, said, signed]) => said !== signed)
    .map(([what, said = "unknown", signed = "unknown"]) => `its ${what} is ${said}, and by what it rests on ${signed}`);
  if (differences.length === 0) return [];
  return [{ problem: `the provenance says something else of its source: ${differences.join("; ")}`, wayOut }];
}

function object({ problem, isOver }: OriginObjection): Objection {
  return isOver === true ? { problem, wayOut, rule: "gate.import" } : { problem, wayOut };
}
