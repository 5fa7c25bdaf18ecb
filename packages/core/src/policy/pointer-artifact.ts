import type { KeyObject } from "node:crypto";
import { isKnownError, PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type ImageManifest, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { parsePublicKey } from "../signing/public-keys.ts";
import { listHolding, openBundle } from "../signing/sigstore.ts";
import { parseStatement } from "../signing/statement.ts";
import { pointerTag, readPointerStatement } from "./pointer.ts";
import type { PolicyPointer } from "./pointer-facts.ts";

/** A pointer with all its predecessors has some 60 kB. */
export const maxPointerBytes = 256 * 1024;

export interface FoundPointer {
  manifest: Manifest;
  pointer: PolicyPointer;
}

/**
 * Which policy is in force, as a repository has it, signed with one of `keys`. In one request: the bundle stands in the
 * manifest, as the descriptor's `data`.
 * @throws PolicyViolation `policy.pointer-missing`, `policy.pointer-invalid`; the client's errors where the registry
 *   can't be asked
 */
export async function fetchPointer(
  client: Pick<RegistryClient, "fetchManifest" | "fetchBlob">,
  repository: Repository,
  keys: readonly KeyObject[],
): Promise<FoundPointer> {
  const where = `${formatRepository(repository)}:${pointerTag}`;
  const invalid = (why: string): PolicyViolation =>
    new PolicyViolation(`${where} does not say which policy is in force: ${why}`, {
      rule: "policy.pointer-invalid",
      code: "policy-pointer-invalid",
      wayOut:
        "See who has written it. The platform's signer writes it with goldenpath policy activate, and nobody else.",
    });
  const manifest = await client.fetchManifest({ ...repository, tag: pointerTag }).catch((error: unknown) => {
    if (!isKnownError(error) || error.code !== "image-not-found") throw error;
    throw new PolicyViolation(
      `${where} is not there, so that no policy is in force for what is promoted to ${repository.registry}`,
      {
        rule: "policy.pointer-missing",
        code: "policy-pointer-missing",
        wayOut: `Have the platform's signer put a policy in force: goldenpath policy activate POLICY --to ${formatRepository(repository)} --key KEY.`,
      },
    );
  });
  if (manifest.kind !== "image") throw invalid("it is an index");
  const bytes = await readBundle(client, repository, manifest.manifest, invalid);
  try {
    const opened = openBundle(bytes);
    const holding = await listHolding(
      opened,
      keys.map((key) => ({ key })),
    );
    if (holding.length === 0) throw invalid("it is not signed by the platform's signer");
    const pointer = readPointerStatement(parseStatement(opened.payload), repository);
    if ("problem" in pointer) throw invalid(pointer.problem);
    return { manifest, pointer };
  } catch (error) {
    // Bytes that are no bundle, or no statement.
    if (error instanceof UserError) throw invalid(error.message);
    throw error;
  }
}

async function readBundle(
  client: Pick<RegistryClient, "fetchBlob">,
  repository: Repository,
  manifest: ImageManifest,
  invalid: (why: string) => PolicyViolation,
): Promise<Uint8Array> {
  const [layer, ...others] = manifest.layers;
  if (
    manifest.artifactType !== mediaTypes.sigstoreBundle ||
    layer?.mediaType !== mediaTypes.sigstoreBundle ||
    others.length > 0
  )
    throw invalid("it is not a Sigstore bundle and nothing else");
  if (layer.size > maxPointerBytes)
    throw invalid(`its bundle has ${layer.size} bytes, and ${maxPointerBytes} are read at most`);
  if (layer.data === undefined) return client.fetchBlob(repository, layer, maxPointerBytes);
  const bytes = Buffer.from(layer.data, "base64");
  if (bytes.byteLength !== layer.size || digestOf(bytes) !== layer.digest)
    throw invalid("its bundle is not what its digest says");
  return bytes;
}

/**
 * PEM text with one or more public keys → keys: those of the platform's signer, the old and the new one while it
 * changes.
 * @throws UserError `key-invalid`, `key-unsupported`
 */
export function parsePolicySigners(text: string): KeyObject[] {
  const blocks = text.replaceAll("\r\n", "\n").match(/-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----/g) ?? [text];
  return blocks.map((block) => parsePublicKey(block, "input 'policy-signer'"));
}
