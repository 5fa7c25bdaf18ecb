import type { Seen } from "./facts.ts";
import type { Puller, QuarantineFacts, ReadAttempt } from "./quarantine.ts";
import { describeSeen } from "./verdicts.ts";

/** `readable` fails; `unknown` is no pass: it could not be found out. */
export type QuarantineAnswer = "readable" | "refused" | "unknown";

export interface AttemptJudgement {
  puller: Puller;
  answer: QuarantineAnswer;
  why: string;
}

export interface QuarantineReport {
  image: string;
  answer: QuarantineAnswer;
  attempts: readonly AttemptJudgement[];
  /** What to do about it; absent where it is refused. */
  wayOut?: string;
}

/**
 * May production read quarantine? It must not: nothing in there has been vetted. The worst of the attempts counts, and
 * whatever can also mean something else than a refusal is no refusal. Pure.
 */
export function judgeQuarantine(facts: QuarantineFacts): QuarantineReport {
  const attempts = facts.attempts.map((attempt) => ({ puller: attempt.puller, ...judgeAttempt(attempt, facts) }));
  const has = (answer: QuarantineAnswer): boolean => attempts.some((attempt) => attempt.answer === answer);
  const answer = has("readable") ? "readable" : has("unknown") || attempts.length === 0 ? "unknown" : "refused";
  const wayOut =
    answer === "readable"
      ? "Take the right to read quarantine from the accounts that production pulls with, and from everybody who is not logged in."
      : answer === "unknown"
        ? "Name an image that is in quarantine now, run this with a login that can read it, and give production's logins (--pull-config) with an image that they do pull (--vetted)."
        : undefined;
  return { image: facts.image, answer, attempts, ...(wayOut === undefined ? {} : { wayOut }) };
}

type Judged = Omit<AttemptJudgement, "puller">;

function judgeAttempt(attempt: ReadAttempt, facts: QuarantineFacts): Judged {
  const { manifest, tags, blob } = attempt;
  if (manifest.isManifest) return { answer: "readable", why: `reads the image: ${describeSeen(manifest)}` };
  if (blob?.status === 200) return { answer: "readable", why: `reads a layer of the image: ${describeSeen(blob)}` };
  if (tags.isList) return { answer: "readable", why: `reads the list of tags: ${describeSeen(tags)}` };
  if (attempt.puller === "pull-config" && attempt.login === "none")
    return { answer: "unknown", why: "the directory has no login at all, so it is not what production pulls with" };
  if (isRefusal(manifest)) return judgeRefusal(attempt, facts);
  if (manifest.status === 404) return judgeMissing(attempt, facts);
  return { answer: "unknown", why: `neither an image nor a refusal: ${describeSeen(manifest)}` };
}

/** 401, 403, or no token to ask with. */
function isRefusal(seen: Seen): boolean {
  return seen.status === 401 || seen.status === 403 || seen.failure === "registry-unauthorized";
}

/**
 * A 401 or 403 may be meant for what was asked, or for a login that is not good, with which everything would be
 * refused.
 */
function judgeRefusal(attempt: ReadAttempt, facts: QuarantineFacts): Judged {
  const seen = describeSeen(attempt.manifest);
  if (facts.control.status === 404)
    return {
      answer: "unknown",
      why: `refused (${seen}); but with your own login the registry says that there is no such image`,
    };
  if (attempt.login !== "own") return { answer: "refused", why: `refused: ${seen}${describeOther(attempt)}` };
  if (facts.vetted?.isManifest === true)
    return { answer: "refused", why: `refused: ${seen}; ${facts.vetted.image} it reads` };
  if (facts.vetted !== undefined)
    return {
      answer: "unknown",
      why: `refused (${seen}); but ${facts.vetted.image} is as well (${describeSeen(facts.vetted.answer)}): the login may not be good`,
    };
  if (isLoginTaken(attempt, facts)) return { answer: "refused", why: `refused: ${seen}; the login is taken` };
  return {
    answer: "unknown",
    why: `refused (${seen}); but nothing shows that the login is good, and a bad one is refused everywhere`,
  };
}

/** A registry may say "not found" to whoever may not know: only one who sees the image can tell. */
function judgeMissing(attempt: ReadAttempt, facts: QuarantineFacts): Judged {
  const seen = describeSeen(attempt.manifest);
  if (!facts.control.isManifest)
    return {
      answer: "unknown",
      why: `${seen}: either it is hidden, or there is no such image, and your own login does not see it either`,
    };
  if (attempt.login === "own" && facts.vetted?.isManifest !== true && !isLoginTaken(attempt, facts))
    return { answer: "unknown", why: `${seen}, for an image that is there; but nothing shows that the login is good` };
  return { answer: "refused", why: `hidden: ${seen}, for an image that is there${describeOther(attempt)}` };
}

/** The version endpoint lets it in, and nobody else. */
function isLoginTaken(attempt: ReadAttempt, facts: QuarantineFacts): boolean {
  const nobody = facts.attempts.find((each) => each.puller === "anonymous");
  return attempt.version.status === 200 && nobody !== undefined && isRefusal(nobody.version);
}

function describeOther(attempt: ReadAttempt): string {
  return attempt.puller === "pull-config" && attempt.login === "other"
    ? "; the directory has no login for this registry"
    : "";
}
