import { verify } from "node:crypto";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import {
  attestationTag,
  type CosignTag,
  encodeSimpleSigning,
  nameCosignTag,
  signatureAnnotation,
  signatureTag,
} from "./cosign-tags.ts";
import type { KeyMaterial } from "./material.ts";
import { predicateTypes } from "./predicates.ts";
import type { Statement } from "./types.ts";
import { addTagLayers } from "./write-cosign-tag.ts";

/** Who signs with a key. */
interface KeyedSigner {
  material: KeyMaterial;
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/**
 * What admission engines without bundles read, beside the bundle of a statement: the statement under the image's
 * `.att` tag; and where it is a verdict that passes, the signer's signature of the image under `.sig`. Such a signature
 * says nothing but yes, so that nothing else may make one. What is there already stays; the same again is nothing new.
 * @throws InfrastructureError `legacy-tag-taken`, `tag-moved`; the client's
 */
export async function attachLegacy(
  client: RegistryClient,
  repository: Repository,
  subject: Digest,
  { bundle, statement }: { bundle: Uint8Array; statement: Statement },
  signer: KeyedSigner,
): Promise<void> {
  const { predicateType } = statement;
  const place = (kind: CosignTag) => ({ repository, tag: nameCosignTag(subject, kind), kind });
  const envelope = readEnvelope(bundle);
  await addTagLayers(client, place(attestationTag), [
    {
      ...describeLayer(envelope, attestationTag),
      annotate: async () => ({ [signatureAnnotation]: "", predicateType }),
      isSame: () => true,
    },
  ]);
  if (!isPassed(statement)) return;
  const payload = encodeSimpleSigning(formatRepository(repository), subject);
  await addTagLayers(client, place(signatureTag), [
    {
      ...describeLayer(payload, signatureTag),
      annotate: async () => ({ [signatureAnnotation]: Buffer.from(await signer.sign(payload)).toString("base64") }),
      // Each signature differs, and the payload does not say whose it is.
      isSame: ({ annotations }) => {
        const signature = Buffer.from(annotations?.[signatureAnnotation] ?? "", "base64");
        return verify("sha256", payload, { key: signer.material.key, dsaEncoding: "der" }, signature);
      },
    },
  ]);
}

function isPassed({ predicateType, predicate }: Statement): boolean {
  return predicateType === predicateTypes.verificationSummary && predicate["verificationResult"] === "PASSED";
}

function describeLayer(bytes: Uint8Array, { layerType }: CosignTag): { descriptor: Descriptor; bytes: Uint8Array } {
  return { descriptor: { mediaType: layerType, digest: digestOf(bytes), size: bytes.byteLength }, bytes };
}

const bundleSchema = z.object({ dsseEnvelope: z.unknown() });

/** The envelope is the same in both forms. */
function readEnvelope(bundle: Uint8Array): Uint8Array {
  const { dsseEnvelope } = bundleSchema.parse(parseJson(new TextDecoder().decode(bundle)));
  return new TextEncoder().encode(JSON.stringify(dsseEnvelope));
}
