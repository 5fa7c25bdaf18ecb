import { z } from "zod";
import { duration, name, text } from "../policy/schema-text.ts";

/** The levels of SLSA's Build track that there are: 0, which promises nothing, to this one. */
const highestLevel = 3;
const level = z.number().int().min(1).max(highestLevel);

const verifierSchema = z.strictObject({
  id: text.describe("The `verifier.id` of its summaries."),
  signers: z
    .array(name)
    .min(1)
    .describe("The signers whose summaries by that verifier count. None speaks for a stage."),
  upTo: level.describe("The highest level that it may vouch for; of a higher one that it states this much counts."),
  resources: z
    .array(text)
    .min(1)
    .describe(
      "The `resourceUri` that a summary has to have, without tag and digest; * stands for one path component. An image's reference and its package URL (pkg:oci) are both compared as oci://HOST/NAME.",
    ),
  policies: z
    .array(text)
    .min(1)
    .optional()
    .describe("The `policy.uri` that a summary has to have: what the verifier verified by. Default: any."),
  maxAge: duration.describe("How old a summary may be."),
});

/**
 * The least level that images of a builder need, and by whose word one has it: the policy's own, of a builder, as SLSA
 * asks of whoever verifies (https://slsa.dev/spec/v1.2/verifying-artifacts), or that of a verifier whom it names.
 */
export const levelSection = z
  .strictObject({
    atLeast: level.describe("The least level of SLSA's Build track that counts."),
    builders: z
      .array(
        z.strictObject({
          builder: text.describe("One of the entry's `builders`, as it is written there."),
          level: level.describe("The level that the policy's owners take it to have."),
        }),
      )
      .default([])
      .describe("Builders whose level this policy vouches for. Of several that fit a build the least counts."),
    verifiers: z
      .array(verifierSchema)
      .default([])
      .describe(
        "Who may vouch for the level of one image, by a signed SLSA verification summary of it. It says neither source nor builder: those are still the provenance's. A newer one that FAILED refuses the image.",
      ),
  })
  .refine(
    ({ atLeast, builders, verifiers }) =>
      builders.some((each) => each.level >= atLeast) || verifiers.some(({ upTo }) => upTo >= atLeast),
    "has no builder and no verifier by whose word an image has `atLeast`",
  )
  .refine(
    ({ builders, verifiers }) =>
      [builders.map(({ builder }) => builder), verifiers.map(({ id }) => id)].every(
        (names) => new Set(names).size === names.length,
      ),
    "names a builder or a verifier twice",
  );
export type LevelRule = z.infer<typeof levelSection>;
export type LevelVerifier = LevelRule["verifiers"][number];

const ofBuildTrack = "SLSA_BUILD_LEVEL_";

/**
 * The `verifiedLevels` of a summary → the level of the Build track. Other tracks, properties and custom words say nothing
 * of it, and a later minor version of SLSA may bring more of them. A summary has one level of a track at most.
 * https://slsa.dev/spec/v1.2/verification_summary#slsaresult
 */
export function readBuildLevel(words: readonly string[]): number | { problem: string } {
  if (words.includes("FAILED")) return { problem: "it passes, and has the level FAILED" };
  const [word, ...others] = words.filter((each) => each.startsWith(ofBuildTrack));
  if (word === undefined)
    return { problem: `it names no level of the Build track (it names: ${words.join(", ") || "none"})` };
  if (others.length > 0)
    return { problem: `it names several levels of the Build track: ${[word, ...others].join(", ")}` };
  const found = Number(/^[0-9]$/.exec(word.slice(ofBuildTrack.length))?.[0]);
  if (!(found <= highestLevel))
    return { problem: `it names ${word}, and the levels are ${ofBuildTrack}0 to ${ofBuildTrack}${highestLevel}` };
  return found;
}
