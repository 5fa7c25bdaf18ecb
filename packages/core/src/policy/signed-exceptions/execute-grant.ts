import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { attachStatement } from "../../signing/attach.ts";
import { isSignerNamed } from "../../signing/schemes/find.ts";
import type { Signer } from "../../signing/types.ts";
import { isDayOver } from "../day.ts";
import type { Policy } from "../schema.ts";
import { exceeds } from "./choose.ts";
import { buildAnchor, buildDocumentStatement, type ExceptionDocument } from "./document.ts";
import type { SignedExceptions } from "./section.ts";

/**
 * The policy's `signedExceptions`.
 * @throws UserError `exception-refused` where it has none
 */
export function requireSignedExceptions({ name, signedExceptions }: Policy): SignedExceptions {
  if (signedExceptions !== undefined) return signedExceptions;
  throw new UserError(`policy '${name}' takes no signed exceptions: it has no \`signedExceptions\``, {
    code: "exception-refused",
    wayOut: "Write the exception into the policy's `exceptions`, or have its owners add `signedExceptions`.",
  });
}

/**
 * Signs an exception, or that one is taken back, and puts it where the stages look. What would count for nothing is not
 * signed.
 * @throws UserError `exception-refused`; the client's errors
 */
export async function signException(
  client: RegistryClient,
  policy: Policy,
  document: ExceptionDocument,
  { signer, now }: { signer: Signer; now: Date },
): Promise<void> {
  const rules = requireSignedExceptions(policy);
  const own = rules.signers.filter((each) =>
    isSignerNamed(policy.signers, each.signer, signer.trusted ?? signer.material),
  );
  const refuse = (why: string, wayOut: string): UserError => new UserError(why, { code: "exception-refused", wayOut });
  if (own.length === 0)
    throw refuse(
      `this is none of the signers whose exceptions count under policy '${policy.name}' (${rules.signers.map((each) => each.signer).join(", ")})`,
      "Sign as one of those, or have the policy's owners add the signer.",
    );
  if (document.decision === "granted") {
    const beyond = own.map((each) => exceeds(each, document));
    if (beyond.every((each) => each !== undefined))
      throw refuse(beyond.join("; "), "Ask for less, or have somebody grant it who may.");
    if (isDayOver(document.expires, now))
      throw refuse(`its last day, ${document.expires}, is over`, "Name a later day.");
  }
  const images = parseRepository(document.repository);
  const repository = parseRepository(rules.repository);
  const anchor = buildAnchor(policy.name, images);
  await client.pushBlob(repository, { mediaType: mediaTypes.ociEmpty, ...emptyBlob }, () => emptyBlob.bytes);
  await client.pushManifest(repository, anchor.bytes, mediaTypes.ociManifest);
  const target = { repository, image: anchor.descriptor, children: [] };
  await attachStatement(client, target, buildDocumentStatement(document, images), signer, now, { isNew: true });
}
