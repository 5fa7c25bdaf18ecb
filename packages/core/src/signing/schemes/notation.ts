import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { duration } from "../../policy/schema-text.ts";
import { readIntact } from "../content-errors.ts";
import { CertificateProblem } from "../extensions.ts";
import { exceedsValidity } from "../notary/judge-envelope.ts";
import { assertDescribed, metadata } from "../notary/metadata.ts";
import { parseIdentity } from "../notary/names.ts";
import { notationCheck } from "../notary/notation-check.ts";
import { findEnvelopeLayer, isSignature, listStatements, signatureType } from "../notary/referrer.ts";
import { readTrustStore, type Trusted, type TrustStore } from "../notary/trust-store.ts";
import { judgeEnvelope, openSigned, type SignedEnvelope } from "../notary/verify-envelope.ts";
import { signerTimes } from "../signer-times.ts";
import type {
  EvidenceVerifier,
  FoundReferrer,
  ReadBlob,
  SignedPayload,
  SigningScheme,
  TrustedSigner,
} from "./scheme.ts";

const signerSchema = z.strictObject({
  kind: z
    .literal("notation")
    .describe("How this signer signs: with a key and a certificate of an authority's, as the Notary Project has it."),
  trustStore: z.string().describe("Whose certificates count: a name of the policy's `trustStores`."),
  identity: z
    .string()
    .superRefine((text, context) => {
      const parsed = parseIdentity(text);
      if ("problem" in parsed) context.addIssue({ code: "custom", message: `is no identity: ${parsed.problem}` });
    })
    .describe(
      "The subject of its certificate, all of it: `x509.subject: C=…, ST=…, O=…, CN=…`. A certificate that says more is another's.",
    ),
  validity: duration
    .optional()
    .describe("How long each of its signatures holds, such as 90d; one that says longer, or not, counts for nothing."),
  ...signerTimes,
});
export type NotationFields = z.output<typeof signerSchema>;
/** As a policy that was read whole has it. */
type CompleteFields = NotationFields & { store?: TrustStore };

/** Certificates of a company's authority, and signatures by the Notary Project. */
export const notation = {
  kind: "notation",
  signerSchema,
  evidence: "a Notary Project signature",
  // The signature refers to the image, and the statement, which it names by its digest, to the signature.
  levels: 2,
  recognises: isSignature,
  listedAs: [signatureType],
  complete: (signer, { trustStores }): CompleteFields => {
    const store = Object.hasOwn(trustStores, signer.trustStore) ? trustStores[signer.trustStore] : undefined;
    return store === undefined ? signer : { ...signer, store };
  },
  identify: ({ identity }) => ({ field: "identity", what: "identity", text: `notation ${nameOf(identity)}` }),
  materialOf: ({ identity, trustStore, validity, store }: CompleteFields) => ({
    kind: "certificate",
    issuer: trustStore,
    identity: nameOf(identity),
    ...(store === undefined ? {} : { store }),
    ...(validity === undefined ? {} : { validity }),
  }),
  trust,
  checkByHand: (signer: CompleteFields, piece) => notationCheck(signer, piece),
} as const satisfies SigningScheme<NotationFields>;

/** In one way of writing; of what is no identity, the text. */
function nameOf(identity: string): string {
  const parsed = parseIdentity(identity);
  return "name" in parsed ? parsed.name : identity;
}

/** What lies below a signature that does not hold is nobody's; of what kind it says it is, tells what is wrong of what. */
async function readUnsigned(
  { below }: FoundReferrer,
  reason: string,
  read: ReadBlob,
): Promise<SignedPayload[] | { reason: string }> {
  const [found] = listStatements(below);
  if (found === undefined) return { reason };
  return [{ payload: await read(found.statement), signers: [], reason, bundle: found.statement }];
}

interface Signers {
  trusted: Trusted;
  signers: { name: string; identity: string; validity: number | undefined }[];
}

/** Envelopes of which it is remembered who signed them. */
const maxRemembered = 10_000;

type Answer = Pick<SignedPayload, "signers" | "time" | "holds" | "reason">;

function trust(trusted: readonly TrustedSigner[]): EvidenceVerifier {
  const stores = groupByStore(trusted);
  // By the envelope's digest: the same bytes lie at the source and at the destination.
  const known = new Map<Digest, Answer>();
  return {
    async verify(found, read) {
      const layer = findEnvelopeLayer(found.manifest);
      if (typeof layer === "string") return readUnsigned(found, layer, read);
      try {
        const envelope = openSigned(await read(layer));
        const signed = await readSigned(envelope, found, read);
        const answer = known.get(layer.digest) ?? findSigners(envelope, stores);
        if (known.size >= maxRemembered) known.clear();
        known.set(layer.digest, answer);
        return [{ ...signed, ...answer }];
      } catch (error) {
        if (error instanceof CertificateProblem) return readUnsigned(found, error.message, read);
        throw error;
      }
    },
  };
}

/** The statement that a signature names, which lies below it. @throws CertificateProblem */
async function readSigned(
  { target }: SignedEnvelope,
  { manifest: { subject }, below }: FoundReferrer,
  read: ReadBlob,
): Promise<{ payload: Uint8Array; bundle: Descriptor; below: readonly FoundReferrer[] }> {
  const isOfImage =
    subject !== undefined &&
    target.digest === subject.digest &&
    target.size === subject.size &&
    target.mediaType === subject.mediaType;
  if (!isOfImage) throw new CertificateProblem(`it is of ${target.digest}, another image`);
  const { [metadata.statement]: digest } = target.annotations;
  if (digest === undefined) throw new CertificateProblem("it names no statement, and says no more than that it signs");
  for (const { holder, statement } of listStatements(below, digest)) {
    const payload = await readIntact(read, statement);
    if (payload === undefined) continue;
    assertDescribed(target.annotations, payload);
    return { payload, bundle: statement, below: [holder] };
  }
  throw new CertificateProblem(`the statement ${digest} that it names is not there`);
}

function groupByStore(trusted: readonly TrustedSigner[]): Signers[] {
  const groups = new Map<TrustStore, Signers>();
  for (const { name, material } of trusted) {
    // Without a store nobody's certificate is trusted.
    if (material.kind !== "certificate" || material.store === undefined) continue;
    const { store, identity, validity } = material;
    const group = groups.get(store) ?? { trusted: readTrustStore(store), signers: [] };
    group.signers.push({ name, identity, validity });
    groups.set(store, group);
  }
  return [...groups.values()];
}

/** Each store has signers of its own: that one of them vouches makes nobody another one's signer. */
function findSigners(envelope: SignedEnvelope, stores: readonly Signers[]): Answer {
  const reasons: string[] = [];
  for (const { trusted, signers } of stores) {
    const named = signers.filter(({ identity }) => identity === envelope.subject);
    try {
      const { time, holds } = judgeEnvelope(envelope, trusted);
      const judged = named.map((each) => ({
        ...each,
        problem: each.validity === undefined ? undefined : exceedsValidity(envelope, each.validity, time),
      }));
      const names = judged.filter(({ problem }) => problem === undefined).map(({ name }) => name);
      // Of several stores that all vouch for one name, a policy has one: no two signers have the same.
      if (names.length > 0) return { signers: names, holds, ...(time === undefined ? {} : { time }) };
      reasons.unshift(judged[0]?.problem ?? `it is by ${envelope.subject}, whom the policy does not name`);
    } catch (error) {
      if (!(error instanceof CertificateProblem)) throw error;
      if (named.length > 0) reasons.unshift(error.message);
      else reasons.push(error.message);
    }
  }
  return { signers: [], reason: reasons[0] ?? "the policy trusts nobody's certificates" };
}
