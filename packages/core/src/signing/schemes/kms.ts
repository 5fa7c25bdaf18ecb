import { z } from "zod";
import { signerTimes } from "../signer-times.ts";
import { key } from "./key.ts";
import type { SigningScheme } from "./scheme.ts";

const signerSchema = z.strictObject({
  kind: z
    .literal("kms")
    .describe("How this signer signs: with a private key that a hardware module or a key service keeps."),
  publicKey: key.signerSchema.shape.publicKey,
  ...signerTimes,
});
export type KmsSignerFields = z.infer<typeof signerSchema>;

/**
 * Keys that nobody can read. To whoever verifies they are keys like any: where the private half is kept is not seen in
 * a signature.
 */
export const kms = { ...key, kind: "kms", signerSchema } as const satisfies SigningScheme<KmsSignerFields>;
