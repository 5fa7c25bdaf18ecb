import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { SignedView } from "../build/strategies/strategy.ts";
import { namesSubject } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import type { GateFacts } from "./facts.ts";

/**
 * What was collected for a digest and is about it: a statement that lies with another digest counts for nothing,
 * whoever put it there.
 */
export function evidenceAbout(facts: Pick<GateFacts, "evidence">, digest: Digest): CollectedEvidence {
  const collected = facts.evidence.get(digest) ?? { statements: [], lapsed: [], rejected: [] };
  const isAbout = (signed: VerifiedStatement): boolean =>
    signed.subject === digest && namesSubject(signed.statement, digest);
  return {
    statements: collected.statements.filter(isAbout),
    lapsed: collected.lapsed.filter(isAbout),
    rejected: collected.rejected,
  };
}

/** The same for the image and all that runs of it, for strategies whose builds rest on what others have signed. */
export function viewSigned(facts: Pick<GateFacts, "evidence" | "image" | "now">): SignedView {
  const { repository, digest, children } = facts.image;
  const about = [...new Set([digest, ...children])].map((each) => evidenceAbout(facts, each));
  const [statements, lapsed] = [about.flatMap((each) => each.statements), about.flatMap((each) => each.lapsed)];
  return { repository, digest, children, statements, lapsed, now: facts.now };
}
