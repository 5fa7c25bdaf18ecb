import { parseJson } from "@goldenpath/foundation/text/json";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { type TrustMaterial, toTrustMaterial } from "@sigstore/verify";
import { z } from "zod";
import { parseStrictJson } from "./strict-json.ts";

const mediaType = /^application\/vnd\.dev\.sigstore\.trustedroot(?:\+json;version=0\.[12]|\.v0\.[12]\+json)$/;

/** Of a service that signatures take. */
export const serviceUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^https:$|^http:$/.test(new URL(text).protocol) && isSafe(new URL(text)),
    "expected an https URL (http for localhost), without a login in it",
  )
  .meta({ type: "string", format: "uri" });

function isSafe({ protocol, hostname, username, password, search, hash }: URL): boolean {
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  return [username, password, search, hash].every((part) => part === "") && (protocol === "https:" || isLocal);
}

/** A Sigstore of a policy: whom it trusts there, and, for those who sign, where it is. */
export const sigstoreSchema = z
  .strictObject({
    trustedRoot: z
      .string()
      .superRefine((text, context) => {
        const problem = findProblem(text);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .describe(
        "The instance's trusted root, in JSON: certificate authorities, logs and timestamp authorities. As part of the policy it is reviewed with it, and needs no network.",
      ),
    proof: z
      .enum(["log", "timestamp"])
      .default("log")
      .describe(
        "What a signature has besides: an entry in a transparency log of the trusted root (and a verified time), or a verified time alone.",
      ),
    fulcio: serviceUrl.optional().describe("Where certificates are asked for. Without it nobody signs with it."),
    rekor: serviceUrl.optional().describe("The transparency log that signatures are written to."),
    rekorVersion: z
      .union([z.literal(1), z.literal(2)])
      .default(2)
      .describe("Of the log's interface."),
    timestamp: serviceUrl
      .optional()
      .describe("The timestamp authority (RFC 3161), with its path: https://HOST/api/v1/timestamp"),
    privateNames: z
      .boolean()
      .default(false)
      .describe(
        "true: certificates and log entries may name repositories that are not public. Whoever can read the instance's logs reads those names.",
      ),
  })
  .superRefine(({ fulcio, rekor, rekorVersion, timestamp, proof }, context) => {
    if (fulcio === undefined) return;
    const miss = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    if (proof === "log" && rekor === undefined) miss("rekor", "is missing: `proof` asks for an entry in a log");
    // An entry of the newer log has no time of its own.
    if ((rekor === undefined || rekorVersion === 2) && timestamp === undefined)
      miss("timestamp", "is missing: without it a signature has no verified time");
  });

export type SigstoreInstance = z.infer<typeof sigstoreSchema>;

function findProblem(text: string): string | undefined {
  const json = parseStrictJson(new TextEncoder().encode(text));
  if ("problem" in json) return `is no trusted root: ${json.problem}`;
  const { value } = json;
  const type = typeof value === "object" && value !== null ? (value as { mediaType?: unknown }).mediaType : undefined;
  if (typeof type !== "string" || !mediaType.test(type))
    return "is no trusted root: expected the media type application/vnd.dev.sigstore.trustedroot+json;version=0.1";
  try {
    const { certificateAuthorities } = toTrustMaterial(TrustedRoot.fromJSON(value));
    return certificateAuthorities.length > 0 ? undefined : "has no certificate authority, so that nobody is trusted";
  } catch {
    return "is no trusted root: a certificate or a key of it can't be read";
  }
}

/** Whom an instance trusts: its own trusted root, and nobody besides. */
export function readTrust({ trustedRoot }: Pick<SigstoreInstance, "trustedRoot">): TrustMaterial {
  return toTrustMaterial(TrustedRoot.fromJSON(parseJson(trustedRoot)));
}
