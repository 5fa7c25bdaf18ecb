import { z } from "zod";
import { duration, name, ownDay, tagName } from "./schema-text.ts";

const least = (most: number) => z.number().int().min(1).max(most).optional();

/** The questions of `base/score/score.ts`, each with what of its points can be proven. */
const scoreSection = z.strictObject({
  publisher: least(25).describe("Is its publisher reputable? By a signature, and the repository that it lies in."),
  updated: least(15).describe("Is it updated regularly? By who else dates what is signed about it."),
  open: least(20).describe("Is it built in the open? By signed provenance, and a signed SBOM."),
  needless: least(25).describe("Is nothing needless in it? By its layers."),
});

/** By whose signature a base counts, and how long. */
export const approvalSection = z.strictObject({
  signers: z
    .array(name)
    .min(1)
    .describe(
      "Who must have signed the approval of a version, as `goldenpath base approve` does; one of them is enough.",
    ),
  maxAge: duration.optional().describe("How long after its approval a version may be stood on, such as 90d."),
  maxBehind: duration
    .optional()
    .describe(
      "How much older than that of the newest version the approval of a version may be, such as 30d. Default: any.",
    ),
  grace: duration
    .optional()
    .describe("How long images still pass after the end of life, `maxAge` or `maxBehind` was reached, such as 7d."),
  warnBefore: duration
    .optional()
    .describe("How long before the end of life or `maxAge` it is said that the version ends, such as 14d."),
  score: scoreSection
    .optional()
    .describe(
      "How many points a version must have at least, by question of `goldenpath base score` and on each platform: of what rests on proof alone. `goldenpath base approve` signs no version with fewer, and one whose approval does not say so does not count.",
    ),
  enforceFrom: ownDay
    .optional()
    .describe(
      "The first day (UTC) on which `maxAge`, `maxBehind` and `score` refuse an image; until then they warn. Whose approval counts, its role and its end of life wait for nothing. Default: that of base.expired or base.behind in `enforceFrom`, or at once.",
    ),
  tag: tagName
    .optional()
    .describe(
      "The floating tag, such as stable, for who pulls or builds by a tag: `goldenpath base tag` points it at the newest approved version, and a withdrawal takes it back. It decides nothing.",
    ),
});

/** The same of an image that builds run in. */
export const builderApproval = approvalSection.pick({ signers: true, maxAge: true, tag: true });

export type ApprovalRules = z.infer<typeof approvalSection>;
