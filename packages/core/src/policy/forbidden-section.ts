import { z } from "zod";
import { digestText, name, ownDay, repositoryText, text } from "./schema-text.ts";

export const forbiddenBaseSchema = z.strictObject({
  name: name.describe("How results call it."),
  image: repositoryText.describe("The repository in which it is kept."),
  digests: z
    .array(digestText)
    .min(1)
    .optional()
    .describe(
      "The versions, by digest (of an index or of one platform's image). Default: whatever the repository's tags point at, where that is no approved base.",
    ),
  lineage: z
    .boolean()
    .default(true)
    .describe(
      "Whether what stands on it by way of an approved base is refused as well. false: only what stands on nothing longer that is approved.",
    ),
  reason: text.optional().describe("Why; violations repeat it."),
  enforceFrom: ownDay.optional(),
});

export type ForbiddenBase = z.infer<typeof forbiddenBaseSchema>;
