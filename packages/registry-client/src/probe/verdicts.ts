import type { Kept, Seen, Stored } from "./facts.ts";

export type ProbeAnswer = "yes" | "no" | "unknown";

/** What was seen, and what it means for goldenpath; a finding where a registry does what none may. */
export interface Verdict {
  answer: ProbeAnswer;
  seen: string;
  consequence: string;
  isFinding?: boolean;
}

export function unknown(seen: string): Verdict {
  return { answer: "unknown", seen, consequence: "" };
}

/** Answers that say nothing about what was asked: none, not allowed, too much, or broken. */
export function isTelling(seen: Seen): boolean {
  return seen.status !== undefined && ![401, 403, 408, 429].includes(seen.status) && seen.status < 500;
}

/** `no` only where the registry said so. */
export function judgeStored(stored: Stored, consequences: { yes: string; no: string }): Verdict {
  const seen = `${describeSeen(stored.answer)}${describeKept(stored.kept)}`;
  if (isGood(stored.answer)) {
    if (stored.kept === "right") return { answer: "yes", seen, consequence: consequences.yes };
    if (stored.kept === "unknown") return unknown(seen);
    return { answer: "no", seen, consequence: "it says yes, and does not keep what it was given", isFinding: true };
  }
  return isTelling(stored.answer) || stored.answer.status === 501
    ? { answer: "no", seen, consequence: consequences.no }
    : unknown(seen);
}

export function isGood(seen: Pick<Seen, "status">): boolean {
  return seen.status !== undefined && seen.status >= 200 && seen.status < 300;
}

export function describeKept(kept: Kept): string {
  return kept === "right"
    ? ", and it is there"
    : kept === "absent"
      ? ", and it is not there"
      : kept === "wrong"
        ? ", and other bytes are there"
        : "";
}

export function withHeaders(seen: Seen, ...names: string[]): string {
  const told = names.flatMap((name) =>
    seen.headers[name] === undefined ? [] : [`${name}: ${shortenDigests(seen.headers[name])}`],
  );
  return [describeSeen(seen), ...told].join(", ");
}

export function judgeWrong(wrong: Stored): Verdict {
  const seen = `${describeSeen(wrong.answer)}${isGood(wrong.answer) ? describeKept(wrong.kept) : ""}`;
  if (wrong.kept === "right" || wrong.kept === "wrong" || isGood(wrong.answer))
    return {
      answer: "no",
      seen,
      consequence: "it takes wrong bytes: goldenpath sees it when it reads, others may not",
      isFinding: true,
    };
  return isTelling(wrong.answer) ? { answer: "yes", seen, consequence: "wrong bytes are refused" } : unknown(seen);
}

/** `GET manifests/v1 → 401 (UNAUTHORIZED authentication required)` */
export function describeSeen(seen: Seen): string {
  const problem = shortenDigests(seen.problem ?? "");
  const answer = seen.status === undefined ? `no answer (${seen.failure ?? "unknown"})` : String(seen.status);
  return `${seen.asked} → ${answer}${problem === "" ? "" : ` (${problem})`}`;
}

/** A digest is known by its beginning, and a line has an end. */
function shortenDigests(text: string): string {
  return text.replaceAll(/\b(sha256|sha512):([0-9a-f]{12})[0-9a-f]{8,}/g, "$1:$2…");
}
