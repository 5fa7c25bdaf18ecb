import { parseJson } from "@goldenpath/foundation/text/json";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { type TrustMaterial, toTrustMaterial } from "@sigstore/verify";
import { z } from "zod";
import { parseStrictJson } from "./strict-json.ts";
import { embeddedNames, readEmbeddedRoot } from "./trust-roots/embedded.ts";

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

const sha256 = z
  .custom<`sha256:${string}`>(
    (text) => typeof text === "string" && /^sha256:[0-9a-f]{64}$/.test(text),
    "expected sha256: and 64 lowercase hexadecimal digits",
  )
  .meta({ type: "string", pattern: "^sha256:[0-9a-f]{64}$" });

/** Below the policy's own folder, so that it is the same wherever the policy is. */
const beside = z
  .string()
  .regex(
    /^(?!\.{1,2}(?:\/|$))[^/\\\s:]+(?:\/(?!\.{1,2}(?:\/|$))[^/\\\s:]+)*$/,
    "expected a path below the policy's folder, such as trust/root.json, without . or ..",
  );

const fileSchema = z.strictObject({
  path: beside.describe("Of the file, from the policy's folder."),
  digest: sha256.describe("Of the file's bytes. Another file is an error."),
});
export type TrustFile = z.output<typeof fileSchema>;

const tufSchema = z.strictObject({
  mirror: serviceUrl.describe("Where the repository's metadata lies: https://tuf-repo.github.com"),
  root: z
    .strictObject({
      digest: sha256.describe("Of its bytes: nothing is believed that it does not lead to."),
      path: beside
        .optional()
        .describe("Where it lies, from the policy's folder. Without it, it is asked of the mirror."),
      version: z.number().int().positive().default(1).describe("Which version it is, to ask the mirror for it."),
    })
    .describe("The root metadata (root.json) that trust begins with."),
  target: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,200}$/, "expected a target's name, such as trusted_root.json")
    .default("trusted_root.json")
    .describe("The target that is the instance's trusted root."),
});
export type TufSource = z.output<typeof tufSchema>;

/** A policy names one of these, and nothing besides. */
const rootFields = ["trustedRoot", "file", "tuf", "embedded"] as const;

/** A Sigstore of a policy: whom it trusts there, and, for those who sign, where it is. */
export const sigstoreSchema = z
  .strictObject({
    trustedRoot: z
      .string()
      .superRefine((text, context) => {
        const problem = findRootProblem(text);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .optional()
      .describe(
        "The instance's trusted root, in JSON: certificate authorities, logs and timestamp authorities. As part of the policy it is reviewed with it, and needs no network. In its place: `file`, `tuf` or `embedded`.",
      ),
    file: fileSchema.optional().describe("The trusted root in a file that lies with the policy."),
    tuf: tufSchema
      .optional()
      .describe(
        "The trusted root as a repository by The Update Framework has it. It is asked for when the policy is read, and is whatever the keys of its root sign, without a change of the policy.",
      ),
    embedded: z
      .enum(embeddedNames)
      .optional()
      .describe(
        "The trusted root that this goldenpath brings: of the public instance, or of GitHub's own (private repositories, whose signatures have `proof: timestamp`). A newer goldenpath brings a newer one.",
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
      .union([z.literal(1), z.literal(2)], "expected 1 or 2")
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
  .superRefine((given, context) => {
    const named = rootFields.filter((field) => given[field] !== undefined);
    const [first, second] = named;
    if (second !== undefined) {
      const message = `is there beside ${first}: whom an instance trusts is said once`;
      context.addIssue({ code: "custom", path: [second], message });
    } else if (first === undefined) {
      context.addIssue({
        code: "custom",
        message: "does not say whom it trusts: one of `trustedRoot`, `file`, `tuf` and `embedded` does",
      });
    }
  })
  .superRefine(({ fulcio, rekor, rekorVersion, timestamp, proof }, context) => {
    if (fulcio === undefined) return;
    const miss = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    if (proof === "log" && rekor === undefined) miss("rekor", "is missing: `proof` asks for an entry in a log");
    // An entry of the newer log has no time of its own.
    if ((rekor === undefined || rekorVersion === 2) && timestamp === undefined)
      miss("timestamp", "is missing: without it a signature has no verified time");
  });

/** As a policy says it. */
export type SigstoreSection = z.output<typeof sigstoreSchema>;

/** With its trusted root at hand. */
export type SigstoreInstance = SigstoreSection & { trustedRoot: string };

/**
 * Of a policy's Sigstores those whose trusted root is at hand: in the policy, or in this goldenpath. Nobody's
 * certificates are trusted by another one.
 */
export function listInstances(sections: Readonly<Record<string, SigstoreSection>>): Record<string, SigstoreInstance> {
  return Object.fromEntries(
    Object.entries(sections).flatMap(([name, section]) => {
      const trustedRoot =
        section.trustedRoot ?? (section.embedded === undefined ? undefined : readEmbeddedRoot(section.embedded));
      return trustedRoot === undefined ? [] : [[name, { ...section, trustedRoot }] as const];
    }),
  );
}

/** Why a text is no trusted root that anybody could be verified by. */
export function findRootProblem(text: string): string | undefined {
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
