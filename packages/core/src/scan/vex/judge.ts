import type { Violation } from "../../result.ts";
import type { CollectedEvidence, VerifiedStatement } from "../../signing/types.ts";
import { listNames, type SignedVex, type UnmatchedVex } from "./match.ts";
import { readVex } from "./read.ts";

/** Times of other machines may be ahead of ours by so much. */
const clockSkew = 5 * 60_000;

export interface ChosenVex {
  documents: SignedVex[];
  problems: { signer: string; problem: string }[];
}

/** What of an image's, or a base's, evidence is VEX by a signer whose word counts; and what of it can't be understood. */
export function chooseVex(
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
  allowed: readonly string[],
  { about, digests }: Pick<SignedVex, "about" | "digests">,
  now: Date,
): ChosenVex {
  const documents: SignedVex[] = [];
  const problems: { signer: string; problem: string }[] = [];
  const read = ({ statement, signers, time }: VerifiedStatement, isLapsed: boolean): void => {
    const signer = signers.find((name) => allowed.includes(name));
    const document = signer === undefined ? undefined : readVex(statement.predicate);
    if (signer === undefined || document === undefined) return;
    if ("problem" in document) {
      if (!isLapsed) problems.push({ signer, problem: document.problem });
    } else if (document.statements.some((each) => each.time.getTime() > now.getTime() + clockSkew))
      problems.push({ signer, problem: "it has a statement of the future" });
    else documents.push({ document, signer, about, digests, time, ...(isLapsed ? { isLapsed } : {}) });
  };
  for (const each of statements) read(each, false);
  for (const each of lapsed) read(each, true);
  return { documents, problems };
}

/** Documents that can't be understood, and, unless they are only told, statements that concern nothing. */
export function judgeVex(
  image: string,
  problems: readonly { signer: string; problem: string }[],
  unmatched: readonly UnmatchedVex[],
): Violation[] {
  return [
    ...problems.map(
      ({ signer, problem }): Violation => ({
        rule: "scan.vex",
        thing: `a VEX document about ${image}, signed by ${signer}`,
        problem: `It can't be understood: ${problem}.`,
        wayOut:
          "Write it after its format's schema (OpenVEX 0.2, CSAF 2.0's VEX profile, CycloneDX 1.4 or later), and sign it again.",
      }),
    ),
    ...unmatched.map(
      (each): Violation => ({
        rule: "scan.vex",
        thing: `${each.statement.vulnerability[0] ?? ""} in VEX document ${each.document}, signed by ${each.signer}`,
        problem: describeUnmatched(each),
        wayOut:
          "Correct the statement, or take it out, and sign the document again; the policy's `scan.vex.unmatched: tell` lets such statements be.",
      }),
    ),
  ];
}

/** One sentence. */
export function describeUnmatched({ statement, nearest }: UnmatchedVex): string {
  const of = listNames(statement).slice(0, 3).join(", ") || "something";
  return `It says that ${of} is ${statement.status.replaceAll("_", " ")}, which concerns nothing that was found${nearest === undefined ? "" : ` (${nearest})`}.`;
}
