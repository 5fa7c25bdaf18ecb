import { createPublicKey } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { findBundleLayer } from "../bundle-layer.ts";
import { cosignCheck } from "../cosign-check.ts";
import { parsePublicKey } from "../public-keys.ts";
import { signerTimes } from "../signer-times.ts";
import { listHolding, type OpenedBundle, openBundle, publicKeyHint } from "../sigstore.ts";
import type { EvidenceVerifier, SignerFields, SigningScheme, TrustedSigner } from "./scheme.ts";

const signerSchema = z.strictObject({
  // Policies are older than kinds: a signer without one is of this.
  kind: z.literal("key").optional().describe("How this signer signs: with a private key. Default: key."),
  publicKey: z
    .string()
    .regex(
      /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----\n?$/,
      "expected a public key in PEM (-----BEGIN PUBLIC KEY-----)",
    )
    .describe("The public key, in PEM (SPKI). One key per stage keeps one stage from speaking for another."),
  ...signerTimes,
});
export type KeySignerFields = z.infer<typeof signerSchema>;

/** A signer with a public key, of whatever kind. */
type Keyed = SignerFields & { publicKey: string };

/** ECDSA P-256 keys and Sigstore bundles, as cosign makes both. */
export const key = {
  kind: "key",
  signerSchema,
  evidence: "a Sigstore bundle",
  levels: 1,
  recognises: (manifest) => manifest.artifactType === mediaTypes.sigstoreBundle,
  listedAs: [mediaTypes.sigstoreBundle],
  identify: ({ publicKey }: Keyed) => ({
    field: "publicKey",
    what: "key",
    text: describeKey(publicKey),
  }),
  materialOf: ({ publicKey }: Keyed, what: string) => ({
    kind: "key",
    key: parsePublicKey(publicKey, what),
  }),
  trust,
  checkByHand: ({ publicKey }: SignerFields & { publicKey: string }, piece) => {
    const file = `trust/${piece.signer}.pub`;
    // Keys are in no log: the trust is in the policy's key alone.
    return { argv: [...cosignCheck(piece), "--key", file, "--insecure-ignore-tlog"], files: { [file]: publicKey } };
  },
} as const satisfies SigningScheme<KeySignerFields>;

/**
 * The key itself: one key has many texts (line breaks, unused bits of base64, compressed points). Of what is no key,
 * the text.
 */
function describeKey(publicKey: string): string {
  try {
    const jwk = createPublicKey(publicKey).export({ format: "jwk" });
    return JSON.stringify(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch {
    return publicKey.replaceAll(/-----[A-Z ]+-----|\s/g, "");
  }
}

/** Bundles of which it is remembered who signed them. */
const maxRemembered = 10_000;

function trust(signers: readonly TrustedSigner[]): EvidenceVerifier {
  const keys = signers.flatMap(({ name, material }) =>
    material.kind === "key" ? [{ name, key: material.key, hint: publicKeyHint(material.key) }] : [],
  );
  /**
   * Who signed a bundle, by the bundle's digest: the same bytes lie at the source and at the destination, and with each
   * child that they are about.
   */
  const known = new Map<Digest, Promise<string[]>>();
  /**
   * The key that a bundle names is tried first, and where it holds, no other: a policy has no key twice. What it names
   * is only where to begin.
   */
  const findSigners = async (opened: OpenedBundle): Promise<string[]> => {
    const { content } = opened.bundle.verificationMaterial;
    const hint = content.$case === "publicKey" ? content.publicKey.hint : undefined;
    const hinted = await listHolding(
      opened,
      keys.filter((each) => each.hint === hint),
    );
    const holding =
      hinted.length > 0
        ? hinted
        : await listHolding(
            opened,
            keys.filter((each) => each.hint !== hint),
          );
    return holding.map(({ name }) => name);
  };
  const rememberSigners = (opened: OpenedBundle, digest: Digest): Promise<string[]> => {
    const remembered = known.get(digest);
    if (remembered !== undefined) return remembered;
    const found = findSigners(opened);
    if (known.size >= maxRemembered) known.clear();
    known.set(digest, found);
    return found;
  };
  return {
    async verify({ manifest }, read) {
      const layer = findBundleLayer(manifest);
      if (typeof layer === "string") return { reason: layer };
      const bundle: Descriptor = { mediaType: layer.mediaType, digest: layer.digest, size: layer.size };
      const bytes = await read(bundle);
      try {
        const opened = openBundle(bytes);
        return [{ payload: opened.payload, signers: await rememberSigners(opened, bundle.digest), bundle }];
      } catch (error) {
        if (error instanceof UserError) return { reason: error.message };
        throw error;
      }
    },
  };
}
