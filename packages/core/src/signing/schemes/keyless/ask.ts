import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanLine, hideTokens } from "@goldenpath/foundation/text/clean";
import { readAnswerAs } from "@goldenpath/foundation/text/json";
import { createTransport, type TransportRequest, type TransportResponse } from "@goldenpath/registry-client/transport";
import type { z } from "zod";

/** By what a service is to give: what to look at where it refuses. */
const wayOuts = {
  certificate: "Look whether that instance takes tokens of this issuer, and whether the policy names the right one.",
  "log entry":
    "Look whether that log takes entries by certificates of this instance, and whether the policy's `rekorVersion` is the log's.",
  timestamp:
    "Look whether the policy's URL is that of a timestamp authority by RFC 3161 which takes requests over SHA-256 without a login.",
} as const;

/** What is asked of a service of a Sigstore, or of a timestamp authority. */
export interface Question {
  what: keyof typeof wayOuts;
  url: URL;
  method?: "GET" | "POST";
  json?: unknown;
  /** A body as it stands, of a type. */
  body?: { type: string; bytes: Uint8Array };
  /** Statuses that are answers. */
  taken: readonly number[];
}

export type Surroundings = Pick<Context, "ports" | "env" | "signal">;

const attempts = 3;
/** A log of the second version answers when the entry is in it, and writes a few times a minute. Milliseconds. */
const stallTimeout = 60_000;
/** Far more than a bundle's parts have. Bytes. */
const maxAnswer = 1024 * 1024;

/**
 * Asks a service, again where that may help.
 * @throws InfrastructureError `sigstore-unavailable`; UserError `sigstore-refused`
 */
export async function askSigstore(
  question: Question,
  { ports, env, signal }: Surroundings,
): Promise<TransportResponse> {
  const transport = createTransport({ ports, env, signal, attempts, stallTimeout });
  try {
    const response = await transport.send(renderRequest(question));
    if (question.taken.includes(response.status)) return response;
    const said = cleanLine(hideTokens(new TextDecoder().decode(response.bytes))).slice(0, 300);
    const answer = `it answers ${response.status}${said === "" ? "" : ` (${said})`}`;
    // The transport has asked again where that may help (408, 429, 5xx), and throws in the end.
    throw response.status < 500 ? refused(question, answer) : unavailable(question, answer);
  } catch (error) {
    if (!(error instanceof InfrastructureError) || ["sigstore-unavailable", "aborted"].includes(error.code))
      throw error;
    throw unavailable(question, error.message, error);
  } finally {
    await transport.close();
  }
}

/** @throws InfrastructureError `sigstore-unavailable` where it is not what the service's documentation says */
export function readSigstoreAnswer<T extends z.ZodType>(
  { bytes }: TransportResponse,
  schema: T,
  question: Question,
): z.output<T> {
  const read = readAnswerAs(new TextDecoder().decode(bytes), schema);
  if ("value" in read) return read.value;
  throw unavailable(question, `it answers something else than documented (${read.wrong})`);
}

function renderRequest({ url, method = "POST", json, body }: Question): TransportRequest {
  const sent = json === undefined ? body : { type: "application/json", bytes: Buffer.from(JSON.stringify(json)) };
  return {
    method,
    url,
    headers: {
      accept: sent?.type === "application/timestamp-query" ? "application/timestamp-reply" : "application/json",
      ...(sent === undefined ? {} : { "content-type": sent.type }),
    },
    ...(sent === undefined ? {} : { body: sent.bytes }),
    staysOnHost: true,
    readUpTo: maxAnswer,
  };
}

function refused({ what, url }: Question, why: string): UserError {
  return new UserError(`${url.origin} gives no ${what}: ${why}`, {
    code: "sigstore-refused",
    wayOut: wayOuts[what],
  });
}

function unavailable({ what, url }: Question, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`${url.origin} can't be had for a ${what}: ${why}`, {
    code: "sigstore-unavailable",
    attempts,
    wayOut: "Run the job again when it is there: nothing is promoted that is not signed.",
    ...(cause === undefined ? {} : { cause }),
  });
}
