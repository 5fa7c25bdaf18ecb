import { describeIssues } from "@goldenpath/foundation/text/json";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { predicateTypes } from "../../signing/predicates.ts";
import { buildStatement, digestSet } from "../../signing/statement.ts";
import type { Statement } from "../../signing/types.ts";
import { exceptionKeys, exceptionRules, listMisplaced } from "../scan-section.ts";
import { day, name, repositoryText, text } from "../schema-text.ts";

const artifactType = "application/vnd.goldenpath.exceptions.v1";
const time = z.iso.datetime({ offset: true }).transform((said) => new Date(said));
const short = text.max(500);

const grant = z
  .strictObject({
    decision: z.literal("granted"),
    /** Names it to whoever takes it back. */
    id: z.uuid(),
    decidedAt: time,
    /** The policy's name: an exception from another's counts for nothing. */
    policy: name,
    /** The images that it is for. */
    repository: repositoryText,
    rule: z.enum(exceptionRules),
    vulnerability: short.optional(),
    package: short.optional(),
    license: short.optional(),
    gate: name.optional(),
    file: short.optional(),
    reason: short,
    owner: short,
    ticket: short.optional(),
    /** The first and the last day (UTC). */
    starts: day,
    expires: day,
  })
  .superRefine((given, context) => {
    // Its repository says whose images it is for, whatever the rule is set aside for.
    const isOfRepository = exceptionKeys[given.rule] === "repository";
    const named = { ...given, repository: isOfRepository ? given.repository : undefined };
    for (const { key, message } of listMisplaced(named)) context.addIssue({ code: "custom", path: [key], message });
    if (given.starts > given.expires)
      context.addIssue({ code: "custom", path: ["starts"], message: "is after the last day" });
  });
const withdrawal = z.strictObject({
  decision: z.literal("withdrawn"),
  /** Of the grant that it takes back. */
  id: z.uuid(),
  decidedAt: time,
  policy: name,
  repository: repositoryText,
  reason: short,
});
const documentSchema = z.discriminatedUnion("decision", [grant, withdrawal]);

/** What is signed beside a policy: that an exception holds, or that it does not any more. */
export type ExceptionDocument = z.infer<typeof documentSchema>;
export type ExceptionGrant = z.infer<typeof grant>;

/** A predicate → the document; what is not understood in it is a problem. */
export function readDocument(predicate: Readonly<Record<string, unknown>>): ExceptionDocument | { problem: string } {
  const parsed = documentSchema.safeParse(predicate);
  return parsed.success ? parsed.data : { problem: describeIssues(parsed.error) };
}

/**
 * What all exceptions of a policy for images of one repository refer to: a manifest without content, the same whoever
 * makes it, so that nobody has to be asked for its digest. OCI's image specification 1.1 has its form.
 */
export function buildAnchor(policyName: string, images: Repository): { bytes: Uint8Array; descriptor: Descriptor } {
  const empty: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const bytes = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config: empty,
      layers: [empty],
      annotations: {
        "com.github.goldenpath-ci.policy": policyName,
        "com.github.goldenpath-ci.repository": formatRepository(images),
      },
    }),
  );
  return { bytes, descriptor: { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.byteLength } };
}

/** @throws TypeError for a document that nobody could read */
export function buildDocumentStatement(document: ExceptionDocument, images: Repository): Statement {
  const { descriptor } = buildAnchor(document.policy, images);
  const predicate = { ...document, decidedAt: document.decidedAt.toISOString() };
  const read = readDocument(predicate);
  if ("problem" in read) throw new TypeError(`an exception that can't be read: ${read.problem}`);
  const subject = [{ name: document.policy, digest: digestSet(descriptor.digest) }];
  return buildStatement(subject, predicateTypes.exception, predicate);
}
