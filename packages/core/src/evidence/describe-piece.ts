import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import { checkByHand } from "../signing/schemes/find.ts";
import { type HandCheck, maxBundleBytes } from "../signing/schemes/scheme.ts";
import type { CollectedEvidence, EvidencePart, VerifiedStatement } from "../signing/types.ts";
import { manifestName } from "./export-facts.ts";

/** Where a statement was found, and by which policy it counts. */
export interface PieceSource {
  client: RegistryClient;
  repository: Repository;
  policy: LoadedPolicy;
}

/** By type, signers and digest: the order does not depend on a registry's. */
export function sortStatements({ statements }: Pick<CollectedEvidence, "statements">): VerifiedStatement[] {
  const key = ({ statement, signers, bundle }: VerifiedStatement): string =>
    [statement.predicateType, ...signers, bundle.digest].join(" ");
  return statements.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/**
 * A statement's file in the folder of its image, and how it is checked there by each signer whom a tool of the field
 * knows. @param number its place among the statements of its image, in order, from 1
 */
export async function describePiece(
  { client, repository, policy }: PieceSource,
  verified: VerifiedStatement,
  number: number,
): Promise<{ file: string; bytes: Uint8Array; checks: HandCheck[] }> {
  const { statement, signers, bundle, subject } = verified;
  const bytes = await client.fetchBlob(repository, bundle);
  const { predicateType } = statement;
  const parts = {
    ...(verified.below === undefined
      ? {}
      : {
          parts: await fetchParts({ client, repository }, verified),
          below: await fetchBelow({ client, repository }, verified.below),
        }),
    ...(verified.tag === undefined ? {} : { annotations: await fetchAnnotations({ client, repository }, verified) }),
  };
  const file = `evidence/${String(number).padStart(2, "0")}-${slug(predicateType)}.json`;
  const image = manifestName;
  const checks = signers.flatMap(
    (signer) =>
      checkByHand(policy.policy.signers, { signer, file, bytes, subject, image, predicateType, ...parts }) ?? [],
  );
  return { file, bytes, checks };
}

/** In their order. */
export function listCommands({ first, argv }: HandCheck): HandCheck["argv"][] {
  return [...(first === undefined ? [] : [first]), argv];
}

/** By programs that check the same as others do. */
export function listOthers({ other }: HandCheck): HandCheck["argv"][] {
  return other === undefined ? [] : [other];
}

/** What the manifest under a tag says of the layer that holds a statement. */
async function fetchAnnotations(
  { client, repository }: Pick<PieceSource, "client" | "repository">,
  { referrer, bundle }: VerifiedStatement,
): Promise<Readonly<Record<string, string>>> {
  const { kind, manifest } = await client.fetchManifest({ ...repository, digest: referrer.digest });
  const layer = kind === "image" ? manifest.layers.find(({ digest }) => digest === bundle.digest) : undefined;
  return layer?.annotations ?? {};
}

/** Of evidence that does not lie in one blob. */
async function fetchParts(
  { client, repository }: Pick<PieceSource, "client" | "repository">,
  { subject, referrer }: VerifiedStatement,
): Promise<{ mediaType: string; bytes: Uint8Array }[]> {
  const [image, own] = await Promise.all(
    [subject, referrer.digest].map((digest) => client.fetchManifest({ ...repository, digest })),
  );
  const manifests = [image, own].flatMap((each) => (each === undefined ? [] : [each]));
  const blobs = own?.kind === "image" ? [own.manifest.config, ...own.manifest.layers] : [];
  const read = blobs.map(async (blob) => ({
    mediaType: blob.mediaType,
    bytes: await client.fetchBlob(repository, blob),
  }));
  return [...manifests.map(({ mediaType, bytes }) => ({ mediaType, bytes })), ...(await Promise.all(read))];
}

async function fetchBelow(
  { client, repository }: Pick<PieceSource, "client" | "repository">,
  below: readonly EvidencePart[],
): Promise<{ manifest: Uint8Array; blobs: Uint8Array[] }[]> {
  return Promise.all(
    below.map(async ({ descriptor }) => {
      const found = await client.fetchManifest({ ...repository, digest: descriptor.digest });
      const layers = found.kind === "image" ? found.manifest.layers : [];
      return {
        manifest: found.bytes,
        blobs: await Promise.all(layers.map((layer) => client.fetchBlob(repository, layer, maxBundleBytes))),
      };
    }),
  );
}

/** https://slsa.dev/provenance/v1 → slsa-dev-provenance-v1 */
function slug(predicateType: string): string {
  const words = predicateType
    .replace(/^[a-z]+:\/\//, "")
    .replaceAll(/[^A-Za-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return words.slice(-80) || "statement";
}
