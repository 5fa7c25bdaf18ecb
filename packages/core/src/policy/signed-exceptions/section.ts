import { z } from "zod";
import { exceptionRules } from "../scan-section.ts";
import { duration, name, prefixText, repositoryText } from "../schema-text.ts";

const granter = z.strictObject({
  signer: name.describe("One of `signers`, who speaks for no stage."),
  repositories: z
    .array(prefixText)
    .min(1)
    .optional()
    .describe("The repositories of images, or parents of such, that it may grant exceptions for. Default: all."),
  rules: z
    .array(z.enum(exceptionRules))
    .min(1)
    .optional()
    .describe("The rules that it may set aside. Default: all but scan.malicious."),
  longest: duration
    .optional()
    .describe("How long an exception of its may hold, from its first day on, such as 14d. Default: 90d."),
});
export type Granter = z.infer<typeof granter>;

export const signedExceptionsSection = z
  .strictObject({
    repository: repositoryText.describe("The repository in which they are kept: for them alone, and no image's."),
    signers: z.array(granter).min(1).describe("Who may grant exceptions, and within what."),
  })
  .describe(
    "Exceptions as signed documents beside the policy (`goldenpath exception grant`): each counts for images of one repository, and changes neither the policy nor its serial. Without it, `exceptions` are all that there are.",
  );
export type SignedExceptions = z.infer<typeof signedExceptionsSection>;
