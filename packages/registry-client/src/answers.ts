import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { Repository } from "./oci/reference.ts";
import { formatRepository } from "./oci/reference.ts";
import { classifyRefusal, refusalError } from "./refusals.ts";
import type { TransportResponse } from "./transport.ts";

/** One entry of the distribution specification's error body. */
export interface RegistryProblem {
  /** `MANIFEST_UNKNOWN`, `DENIED`, … */
  code: string;
  message: string;
  /** Where it is a text: Nexus says only there what is wrong. */
  detail?: string;
}

/**
 * `{"errors":[{"code","message"}]}` → its entries, in the printable characters alone; none for anything else. Never
 * throws: it only serves messages.
 */
export function parseProblems(bytes: Uint8Array): RegistryProblem[] {
  let json: unknown;
  try {
    json = parseJson(new TextDecoder().decode(bytes));
  } catch {
    return [];
  }
  const errors =
    typeof json === "object" && json !== null && "errors" in json && Array.isArray(json.errors)
      ? (json.errors as unknown[])
      : [];
  return errors.slice(0, 5).flatMap((error) => {
    if (typeof error !== "object" || error === null) return [];
    const { code, message, detail } = error as { code?: unknown; message?: unknown; detail?: unknown };
    const more = printable(detail);
    return [{ code: printable(code), message: printable(message), ...(more === "" ? {} : { detail: more }) }];
  });
}

/** A server's text: one line, no runs of blanks, not long. Empty for what is no text. */
export function printable(value: unknown): string {
  if (typeof value !== "string") return "";
  // A server has no reason to write what can't be seen: it is a blank here, where the cleaner would show that there was
  // something.
  const blanked = value
    .slice(0, 2000)
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim();
  return cleanLine(blanked).slice(0, 200).toWellFormed();
}

export function hasProblem(response: TransportResponse, code: string): boolean {
  return parseProblems(response.bytes).some((problem) => problem.code === code);
}

/** ` (404: MANIFEST_UNKNOWN manifest unknown)`, for the end of a sentence. */
function describeAnswer(response: TransportResponse): string {
  const problems = parseProblems(response.bytes).map(({ code, message, detail }) =>
    [code, message, ...(detail === undefined ? [] : [`(${detail})`])].join(" ").trim(),
  );
  return `(${[String(response.status), ...problems].join(": ")})`;
}

export function unauthorizedError(repository: Repository, action: string, why: string): UserError {
  return new UserError(`${repository.registry} does not allow to ${action} ${formatRepository(repository)} ${why}`, {
    code: "registry-unauthorized",
    wayOut: `Log in with an account that may: docker login ${repository.registry}`,
  });
}

/**
 * An answer that is not the one hoped for → the error to throw: `registry-unauthorized`, `too-large`, `registry-error`,
 * and for writes what {@link classifyRefusal} knows by name. `action` reads after "allow to": `pull from`, `push to`;
 * `tag` is the one that was to be set.
 */
export function answerError(
  response: TransportResponse,
  repository: Repository,
  action: string,
  thing: string,
  tag?: string,
): UserError | InfrastructureError {
  const answer = describeAnswer(response);
  if (action.startsWith("push")) {
    const refusal = classifyRefusal({ status: response.status, problems: parseProblems(response.bytes), tag });
    if (refusal !== undefined) return refusalError(refusal, repository, thing, answer, tag);
  }
  if (response.status === 401 || response.status === 403) return unauthorizedError(repository, action, answer);
  if (response.status === 413) {
    return new InfrastructureError(`${repository.registry} refuses ${thing} as too large ${answer}`, {
      code: "too-large",
      safeToRetry: false,
    });
  }
  return new InfrastructureError(
    `${repository.registry} gives an unexpected answer for ${thing} in ${formatRepository(repository)} ${answer}`,
    {
      code: "registry-error",
      attempts: response.attempts,
    },
  );
}
