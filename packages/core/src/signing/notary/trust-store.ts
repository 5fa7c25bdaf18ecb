import { z } from "zod";
import { CertificateProblem } from "../extensions.ts";
import { serviceUrl } from "../sigstore-instance.ts";
import { type Certificate, readPemCertificates } from "./certificates.ts";

const certificates = z
  .string()
  .regex(/^-----BEGIN CERTIFICATE-----/, "expected certificates in PEM (-----BEGIN CERTIFICATE-----)")
  .superRefine((text, context) => {
    const problem = findProblem(text);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  });

/** A trust store of a policy: whose certificates count for signers of kind notation, and whose timestamps. */
export const trustStoreSchema = z.strictObject({
  certificates: certificates.describe(
    "The authorities whose certificates count, in PEM. Each is an authority's: a signer's own certificate is refused.",
  ),
  timestamp: z
    .strictObject({
      certificates: certificates.describe("The authorities of those whose timestamps count, in PEM."),
      url: serviceUrl
        .optional()
        .describe(
          "The timestamp authority (RFC 3161) that stages ask when they sign. Without it nobody signs with this store.",
        ),
    })
    .optional()
    .describe(
      "With it each signature has a timestamp, and holds for as long as it says itself; without it no longer than its certificates do.",
    ),
});
export type TrustStore = z.output<typeof trustStoreSchema>;

function findProblem(text: string): string | undefined {
  try {
    const stranger = readPemCertificates(text).findIndex((each) => !each.node.ca);
    return stranger === -1 ? undefined : `certificate ${stranger + 1} is no authority's`;
  } catch (error) {
    if (error instanceof CertificateProblem) return `a certificate of it can't be taken: ${error.message}`;
    throw error;
  }
}

/** Whom a store trusts, and nobody besides. */
export interface Trusted {
  authorities: readonly Certificate[];
  timestamps: readonly Certificate[] | undefined;
}

export function readTrustStore({ certificates: own, timestamp }: TrustStore): Trusted {
  return {
    authorities: readPemCertificates(own),
    timestamps: timestamp === undefined ? undefined : readPemCertificates(timestamp.certificates),
  };
}

/** True where one of the chain's authorities is one of these. */
export function leadsTo(chain: readonly Certificate[], authorities: readonly Certificate[]): boolean {
  return chain.slice(1).some((each) => authorities.some(({ raw }) => raw.equals(each.raw)));
}
