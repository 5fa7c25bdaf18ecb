import { createHash, X509Certificate } from "node:crypto";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { TransparencyLogEntry } from "@sigstore/bundle";
import { TransparencyLogEntry as entries } from "@sigstore/protobuf-specs";
import { z } from "zod";
import { askSigstore, type Question, readSigstoreAnswer, type Surroundings } from "./ask.ts";

/** A signature over an envelope's payload, as both kinds of log are told of it. */
export interface SignedEnvelope {
  /** What the signature is over: the envelope's pre-authentication encoding. */
  signed: Uint8Array;
  signature: Uint8Array;
  /** PEM. */
  certificate: string;
  /** In JSON, as DSSE writes it. */
  envelope: string;
}

/**
 * An entry for a signature in a log: of the first version an entry of the whole envelope, of the second one of the
 * digest of what is signed, as cosign reads it. Nothing of the answer is verified here.
 * @throws InfrastructureError `sigstore-unavailable`; UserError `sigstore-refused`
 */
export async function writeToLog(
  given: SignedEnvelope,
  { rekor, rekorVersion }: { rekor: string; rekorVersion: 1 | 2 },
  surroundings: Surroundings,
): Promise<TransparencyLogEntry> {
  return rekorVersion === 1 ? writeToFirst(given, rekor, surroundings) : writeToSecond(given, rekor, surroundings);
}

/** https://github.com/sigstore/rekor-tiles/blob/main/docs/openapi/rekor_service.swagger.json */
async function writeToSecond(
  given: SignedEnvelope,
  rekor: string,
  surroundings: Surroundings,
): Promise<TransparencyLogEntry> {
  const verifier = {
    x509Certificate: { rawBytes: new X509Certificate(given.certificate).raw.toString("base64") },
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
  };
  const question: Question = {
    what: "log entry",
    url: under(rekor, "api/v2/log/entries"),
    json: {
      hashedRekordRequestV002: {
        digest: createHash("sha256").update(given.signed).digest("base64"),
        signature: { content: Buffer.from(given.signature).toString("base64"), verifier },
      },
    },
    taken: [200, 201],
  };
  const answer = await askSigstore(question, surroundings);
  return asEntry(readSigstoreAnswer(answer, z.record(z.string(), z.unknown()), question), question);
}

const firstAnswer = z
  .record(
    z.string(),
    z.object({
      body: z.string(),
      logID: z.string(),
      logIndex: z.number(),
      integratedTime: z.number(),
      verification: z.object({
        signedEntryTimestamp: z.string().optional(),
        inclusionProof: z
          .object({
            logIndex: z.number(),
            treeSize: z.number(),
            rootHash: z.string(),
            hashes: z.array(z.string()),
            checkpoint: z.string(),
          })
          .optional(),
      }),
    }),
  )
  .refine((entries) => Object.keys(entries).length === 1);

const kindSchema = z.object({ kind: z.string(), apiVersion: z.string() });

/** https://github.com/sigstore/rekor/blob/main/openapi.yaml */
async function writeToFirst(
  given: SignedEnvelope,
  rekor: string,
  surroundings: Surroundings,
): Promise<TransparencyLogEntry> {
  const verifiers = [Buffer.from(given.certificate).toString("base64")];
  const question: Question = {
    what: "log entry",
    url: under(rekor, "api/v1/log/entries"),
    json: { apiVersion: "0.0.1", kind: "dsse", spec: { proposedContent: { envelope: given.envelope, verifiers } } },
    taken: [200, 201, 409],
  };
  let answer = await askSigstore(question, surroundings);
  // An answer that was lost: the entry of the first try is there.
  const known = answer.status === 409 ? answer.header("location")?.split("/").pop() : undefined;
  if (known !== undefined && /^[0-9a-f]{64,80}$/.test(known)) {
    const url = under(rekor, `api/v1/log/entries/${known}`);
    answer = await askSigstore({ ...question, method: "GET", url, json: undefined, taken: [200] }, surroundings);
  }
  const [entry] = Object.values(readSigstoreAnswer(answer, firstAnswer, question));
  if (entry === undefined) throw new TypeError("an answer without an entry");
  return asEntry(translate(entry, question), question);
}

/** An answer of the first version → an entry as a bundle has it, in JSON. */
function translate(entry: z.output<typeof firstAnswer>[string], question: Question): object {
  const { signedEntryTimestamp, inclusionProof } = entry.verification;
  const fromHex = (text: string): string => Buffer.from(text, "hex").toString("base64");
  const kind = kindSchema.safeParse(tryJson(Buffer.from(entry.body, "base64").toString("utf8")));
  if (!kind.success) throw unusable(question);
  return {
    logIndex: `${entry.logIndex}`,
    logId: { keyId: fromHex(entry.logID) },
    integratedTime: `${entry.integratedTime}`,
    kindVersion: { kind: kind.data.kind, version: kind.data.apiVersion },
    canonicalizedBody: entry.body,
    ...(signedEntryTimestamp === undefined ? {} : { inclusionPromise: { signedEntryTimestamp } }),
    ...(inclusionProof === undefined
      ? {}
      : {
          inclusionProof: {
            logIndex: `${inclusionProof.logIndex}`,
            treeSize: `${inclusionProof.treeSize}`,
            rootHash: fromHex(inclusionProof.rootHash),
            hashes: inclusionProof.hashes.map(fromHex),
            checkpoint: { envelope: inclusionProof.checkpoint },
          },
        }),
  };
}

function asEntry(json: object, question: Question): TransparencyLogEntry {
  const { logId, kindVersion, ...rest } = entries.fromJSON(json);
  if (logId === undefined || kindVersion === undefined) throw unusable(question);
  return { ...rest, logId, kindVersion };
}

function tryJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function unusable({ url }: Question): InfrastructureError {
  return new InfrastructureError(`${url.origin} gave an entry that can't be read`, {
    code: "sigstore-unavailable",
    wayOut: "Look whether the policy's `rekorVersion` is that log's.",
  });
}

/** A path below a service's own. */
export function under(base: string, path: string): URL {
  return new URL(path, base.endsWith("/") ? base : `${base}/`);
}
