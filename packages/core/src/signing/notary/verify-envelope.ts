import { asProblem, CertificateProblem } from "../extensions.ts";
import { assertChain, type Certificate, readCertificate, subjectOf, validityOf } from "./certificates.ts";
import { assertSignature, type OpenedEnvelope, openEnvelope } from "./envelope.ts";
import { type Held, judgeDated, judgeUndated } from "./judge-envelope.ts";
import { verifyTimestamp } from "./timestamp-token.ts";
import { leadsTo, type Trusted } from "./trust-store.ts";

/** An envelope whose signature holds by its own certificates, whomever those lead to. */
export interface SignedEnvelope extends OpenedEnvelope {
  chain: readonly Certificate[];
  /** Who its signer's certificate is for. */
  subject: string;
}

/**
 * Bytes → an envelope that is whole in itself: its form, its certificates' form and order, its signature. Anybody may
 * have made it: whatever is malformed in it is a problem of its own.
 * @throws CertificateProblem
 */
export function openSigned(bytes: Uint8Array): SignedEnvelope {
  const opened = openEnvelope(bytes);
  try {
    const chain = opened.certificates.map(readCertificate);
    assertChain(chain, "codeSigning");
    const [leaf] = chain;
    if (leaf === undefined) throw new TypeError("a chain of nothing");
    assertSignature(opened, leaf.node.publicKey);
    return { ...opened, chain, subject: subjectOf(leaf) };
  } catch (error) {
    throw asProblem(error, "its certificates are malformed");
  }
}

/**
 * By whose authorities, and until when: the chain leads to a store's, and held when the signature was made. Where the
 * store trusts timestamps, one of them says when that was, and the signature holds for as long as it says itself; else
 * nobody knows when it was made, and it holds while its certificates do.
 * @throws CertificateProblem
 */
export function judgeEnvelope(envelope: SignedEnvelope, { authorities, timestamps }: Trusted): Held {
  const { chain, expires, timestamp, signature } = envelope;
  if (!leadsTo(chain, authorities)) throw new CertificateProblem("its certificate is of no authority of the policy's");
  if (timestamps === undefined) return judgeUndated(validityOf(chain), expires);
  if (timestamp === undefined) throw new CertificateProblem("it has no timestamp, and the policy wants one");
  return judgeDated(validityOf(chain), expires, readTime(timestamp, signature, timestamps));
}

function readTime(timestamp: Buffer, signature: Buffer, authorities: readonly Certificate[]): Date {
  try {
    return verifyTimestamp(timestamp, signature, authorities);
  } catch (error) {
    if (error instanceof CertificateProblem)
      throw new CertificateProblem(`its timestamp does not hold: ${error.message}`);
    throw error;
  }
}
