import { UserError } from "@goldenpath/foundation/errors";
import { asProblem, CertificateProblem } from "../../extensions.ts";
import { decodePrivateKey, loadKeyText } from "../../keys.ts";
import { assertChain, readPemCertificates, subjectOf, validityOf } from "../../notary/certificates.ts";
import { algorithmOf } from "../../notary/envelope.ts";
import { leadsTo, readTrustStore } from "../../notary/trust-store.ts";
import { kindOf, materialOf } from "../find.ts";
import { notation } from "../notation.ts";
import type { SchemeOpener, SigningPolicy } from "../opener.ts";
import { type CertifiedKey, createNotationSigner, type StoredMaterial } from "./sign.ts";

/**
 * Signs with the private key in input `key`, behind which the signer's certificate follows, and those above it up to the
 * root.
 */
export const notationOpener = {
  needs: ["key"],
  async open(inputs, context, policy) {
    const { text, passphrase } = await loadKeyText(
      { key: inputs.key ?? "", passphrase: inputs["key-passphrase"] },
      context,
    );
    const certified = await readCertifiedKey(text, passphrase);
    const material = chooseSigner(policy, certified);
    const until = validityOf(certified.chain).until.toISOString();
    context.ports.log.info(`signing as ${certified.subject}, by a certificate that holds until ${until}`);
    return createNotationSigner(certified, material, context);
  },
} as const satisfies SchemeOpener;

const howToJoin =
  "Put the private key and its certificates into one file: cat key.pem signer.crt authority.crt root.crt > signer.pem";

/** @throws UserError `key-invalid`, `key-unsupported`, and as `decodePrivateKey` */
async function readCertifiedKey(text: string, passphrase: string | undefined): Promise<CertifiedKey> {
  const blocks = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
  const privateKey = await decodePrivateKey(text.replaceAll(blocks, ""), passphrase);
  try {
    const chain = readPemCertificates((text.match(blocks) ?? []).join("\n"));
    assertChain(chain, "codeSigning");
    const [leaf] = chain;
    if (leaf?.node.checkPrivateKey(privateKey) !== true)
      throw new CertificateProblem("the first of them is not the private key's");
    const algorithm = algorithmOf(privateKey);
    if (algorithm === undefined)
      throw new UserError("the private key is of a kind that the Notary Project does not sign with", {
        code: "key-unsupported",
        wayOut: "Take RSA of 2048, 3072 or 4096 bits, or ECDSA on P-256, P-384 or P-521.",
      });
    return { privateKey, algorithm, chain, subject: subjectOf(leaf) };
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { message } = asProblem(error, "one of them is malformed");
    throw new UserError(`the certificates in input 'key' can't be used: ${message}`, {
      code: "key-invalid",
      wayOut: howToJoin,
    });
  }
}

/** The policy's signer that this certificate is for. @throws UserError `signer-unknown`, `timestamp-missing` */
function chooseSigner({ signers }: SigningPolicy, { chain, subject }: CertifiedKey): StoredMaterial {
  const known = Object.entries(signers).flatMap(([name, signer]) => {
    if (kindOf(signer) !== notation.kind) return [];
    const material = materialOf(signer, name);
    return material.kind === "certificate" && material.store !== undefined
      ? [{ name, material: { ...material, store: material.store } }]
      : [];
  });
  const found = known.find(({ material }) => material.identity === subject);
  const refuse = (why: string): UserError =>
    new UserError(`the certificate in input 'key' is no signer's of the policy: ${why}`, {
      code: "signer-unknown",
      wayOut: "Sign with the certificate that the policy names, or have its owners name this one's subject.",
    });
  if (found === undefined) {
    const names = known.map(({ name, material }) => `'${name}' is ${material.identity}`).join("; ");
    throw refuse(`it is for ${subject}, and ${names === "" ? "there is none of kind notation" : names}`);
  }
  const { name, material } = found;
  if (!leadsTo(chain, readTrustStore(material.store).authorities))
    throw refuse(`it is for '${name}', and of no authority in trust store '${material.issuer}'`);
  if (material.store.timestamp !== undefined && material.store.timestamp.url === undefined) {
    throw new UserError(
      `trust store '${material.issuer}' of the policy wants timestamps and has no \`timestamp.url\``,
      {
        code: "timestamp-missing",
        wayOut: "Have the policy's owners say where they are asked for.",
      },
    );
  }
  return material;
}
