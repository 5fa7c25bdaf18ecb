import { UserError } from "@goldenpath/foundation/errors";
import { describeIssues } from "@goldenpath/foundation/text/json";
import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { statementType } from "./predicates.ts";
import { parseStrictJson } from "./strict-json.ts";
import type { Statement, StatementSubject } from "./types.ts";

/**
 * In-toto's type of version 0.1, which has the same fields: cosign 3 still writes it. Read, never written.
 * https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
 */
export const statementTypeV01 = "https://in-toto.io/Statement/v0.1";

const hex = z.string().regex(/^[0-9a-f]+$/, "expected lowercase hexadecimal digits");

const statementSchema = z.object({
  _type: z.enum([statementType, statementTypeV01]),
  subject: z
    .array(
      z.object({
        name: z.string().default(""),
        digest: z.record(z.string().min(1), hex).refine((digest) => Object.keys(digest).length > 0, "is empty"),
      }),
    )
    .min(1),
  predicateType: z.string().min(1),
  predicate: z.record(z.string(), z.unknown()),
});

/**
 * The payload of an envelope → statement. What two readers could read differently is refused: a key twice in one
 * object, a subject twice.
 * @param mayRepeatSubjects for what BuildKit writes, which has one image once for each name that it was pushed under
 * @throws UserError `statement-invalid`
 */
export function parseStatement(payload: Uint8Array, { mayRepeatSubjects = false } = {}): Statement {
  const invalid = (why: string): UserError =>
    new UserError(`the payload is not an in-toto statement: ${why}`, { code: "statement-invalid" });
  const json = parseStrictJson(payload);
  if ("problem" in json) throw invalid(json.problem);
  const parsed = statementSchema.safeParse(json.value);
  if (!parsed.success) throw invalid(describeIssues(parsed.error));
  const digests = parsed.data.subject.flatMap((subject) =>
    Object.entries(subject.digest).map(([algorithm, value]) => `${algorithm}:${value}`),
  );
  const seen = new Set<string>();
  const twice = digests.find((digest) => seen.size === seen.add(digest).size);
  if (twice !== undefined && !mayRepeatSubjects) throw invalid(`it names the subject ${twice} twice`);
  return parsed.data as Statement;
}

/** @throws UserError `statement-invalid`: what goldenpath signs is held to what it reads. */
export function buildStatement(
  subject: StatementSubject[],
  predicateType: string,
  predicate: Record<string, unknown>,
): Statement {
  return parseStatement(encodeStatement({ _type: statementType, subject, predicateType, predicate }));
}

/** The bytes that are signed. */
export function encodeStatement(statement: Statement): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(statement));
}

/** One subject per digest, each once: the image, and each child that the statement covers. */
export function buildSubjects(repository: Repository, digests: readonly Digest[]): StatementSubject[] {
  return [...new Set(digests)].map((digest) => ({ name: formatRepository(repository), digest: digestSet(digest) }));
}

/** Whether each subject is called by this repository: the same image may be in others, of which it says nothing. */
export function isOfRepository({ subject }: Pick<Statement, "subject">, repository: Repository): boolean {
  const name = formatRepository(repository);
  return subject.length > 0 && subject.every((each) => each.name === name);
}

export function namesSubject(statement: Statement, digest: Digest): boolean {
  return statement.subject.some((subject) => isDigestIn(subject.digest, digest));
}

/** True where the set has the digest under its own algorithm. */
export function isDigestIn(set: Readonly<Record<string, string>>, digest: Digest): boolean {
  const algorithm = digestAlgorithm(digest);
  return Object.hasOwn(set, algorithm) && set[algorithm] === digestHex(digest);
}

/** In-toto's way to write a digest: algorithm → hex. */
export function digestSet(digest: Digest): Record<string, string> {
  return { [digestAlgorithm(digest)]: digestHex(digest) };
}
