import type { KeyObject } from "node:crypto";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError, InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../policy/schema.ts";
import { parsePublicKey } from "./keys.ts";
import { unknownKeyReason } from "./predicates.ts";
import { type OpenedBundle, openBundle, publicKeyHint, verifyBundle } from "./sigstore.ts";
import { namesSubject, parseStatement } from "./statement.ts";
import type { CollectedEvidence, RejectedReferrer, Statement, VerifiedStatement } from "./types.ts";
import { summaryVerifierId } from "./verification-summary.ts";

/** More referrers on one image than any path leaves: the list is then somebody's, and a part of it is no answer. */
export const maxReferrers = 500;
/** An SBOM of ten thousand packages has some 10 MB. */
export const maxBundleBytes = 16 * 1024 * 1024;
/** Of all bundles of one image together: what is held in memory at once. */
export const maxEvidenceBytes = 256 * 1024 * 1024;

/** Referrers of one subject that are read at the same time. */
const concurrency = 8;

/**
 * Every statement about `subject` in `repository` that a signer of the policy made, and why each other referrer counts for nothing. No descriptor of the list is
 * believed: each manifest is fetched, must name `subject` itself, and must hold one bundle and nothing else. A bundle that several referrers carry is one
 * statement. A referrer that is broken counts for nothing; that the registry cannot be asked is an error, never "not there".
 * @throws InfrastructureError as the client's, and `too-much-evidence`; UserError `key-invalid` or `key-unsupported` for a key of the policy
 */
export async function collectEvidence(
  client: Pick<RegistryClient, "listReferrers" | "fetchManifest" | "fetchBlob">,
  repository: Repository,
  subject: Digest,
  signers: Policy["signers"],
  limits: { referrers: number; evidenceBytes: number } = { referrers: maxReferrers, evidenceBytes: maxEvidenceBytes },
): Promise<CollectedEvidence> {
  const keys = parseSignerKeys(signers);
  const digests = [...new Set((await client.listReferrers(repository, subject)).map((descriptor) => descriptor.digest))];
  const where = `${formatRepository(repository)}@${subject}`;
  if (digests.length > limits.referrers) throw tooMuch(where, `${digests.length} referrers, and ${limits.referrers} are read at most`);
  const sizes = new Map<Digest, number>();
  let bytes = 0;
  const read = await mapConcurrently(concurrency, digests, async (digest) => {
    const found = await readReferrer(client, repository, subject, digest, keys);
    if ("statement" in found && !sizes.has(found.bundle.digest)) {
      sizes.set(found.bundle.digest, found.bundle.size);
      bytes += found.bundle.size;
      if (bytes > limits.evidenceBytes) throw tooMuch(where, `more than ${limits.evidenceBytes} bytes of bundles`);
    }
    return found;
  });
  const statements = new Map<Digest, VerifiedStatement>();
  for (const found of read) {
    if (!("statement" in found)) continue;
    const same = statements.get(found.bundle.digest);
    // Of several wrappings of one bundle the honest one is taken, so that nobody who adds another changes what is carried on.
    if (same === undefined || (isMislabelled(same) && !isMislabelled(found))) statements.set(found.bundle.digest, found);
  }
  return { statements: [...statements.values()], rejected: read.flatMap((found) => ("statement" in found ? [] : [found])) };
}

/** The predicate type that a referrer says its bundle has; unsigned. */
export const predicateAnnotation = "dev.sigstore.bundle.predicateType";

/** True where what a referrer says of its bundle is not what is signed in it. */
export function isMislabelled({ referrer, statement }: Pick<VerifiedStatement, "referrer" | "statement">): boolean {
  const label = referrer.annotations?.[predicateAnnotation];
  return label !== undefined && label !== statement.predicateType;
}

interface SignerKey {
  name: string;
  key: KeyObject;
  /** By which bundles say which key they were signed with. */
  hint: string;
}

interface SignerKeys {
  all: readonly SignerKey[];
  /** Who signed a bundle, by the bundle's digest: the same bytes lie at the source and at the destination, and with each child that they are about. */
  holding: Map<Digest, string[]>;
}

/** Bundles of which it is remembered who signed them. */
const maxRemembered = 10_000;

const parsedKeys = new WeakMap<Policy["signers"], SignerKeys>();

/**
 * The policy's signers as keys to verify with.
 * @throws UserError `key-invalid`, `key-unsupported`
 */
function parseSignerKeys(signers: Policy["signers"]): SignerKeys {
  const known = parsedKeys.get(signers);
  if (known !== undefined) return known;
  const all = Object.entries(signers).map(([name, { publicKey }]) => ({
    name,
    key: parsePublicKey(publicKey, `the public key of signer '${name}' in the policy`),
    hint: publicKeyHint(publicKey),
  }));
  const keys: SignerKeys = { all, holding: new Map() };
  parsedKeys.set(signers, keys);
  return keys;
}

/**
 * The signers whose key verifies a bundle. The key that the bundle names is tried first, and where it holds, no other: a policy has no key twice. What it names is
 * only where to begin.
 */
function findSigners(opened: OpenedBundle, digest: Digest, { all, holding }: SignerKeys): string[] {
  const known = holding.get(digest);
  if (known !== undefined) return known;
  const { content } = opened.bundle.verificationMaterial;
  const hint = content.$case === "publicKey" ? content.publicKey.hint : undefined;
  const hinted = all.filter((each) => each.hint === hint && verifyBundle(opened, each.key));
  const found = hinted.length > 0 ? hinted : all.filter((each) => each.hint !== hint && verifyBundle(opened, each.key));
  const names = found.map(({ name }) => name);
  if (holding.size >= maxRemembered) holding.clear();
  holding.set(digest, names);
  return names;
}

async function readReferrer(
  client: Pick<RegistryClient, "fetchManifest" | "fetchBlob">,
  repository: Repository,
  subject: Digest,
  digest: Digest,
  keys: SignerKeys,
): Promise<VerifiedStatement | RejectedReferrer> {
  const rejected = (reason: string, claims: Partial<RejectedReferrer> = {}): RejectedReferrer => ({
    subject,
    referrer: digest,
    reason,
    ...claims,
  });
  let found: FoundBundle;
  try {
    found = await fetchBundle(client, repository, subject, digest);
  } catch (error) {
    if (isAboutContent(error)) return rejected(describeReason(error));
    throw error;
  }
  if ("reason" in found) return rejected(found.reason);
  try {
    const opened = openBundle(found.bytes);
    const holding = findSigners(opened, found.bundle.digest, keys);
    const statement = parseStatement(opened.payload);
    if (holding.length === 0) return rejected(unknownKeyReason, readClaims(statement));
    if (!namesSubject(statement, subject)) return rejected("its statement is about another image", readClaims(statement));
    return { subject, signers: holding, statement, bundle: found.bundle, referrer: found.referrer };
  } catch (error) {
    if (error instanceof UserError) return rejected(error.message);
    throw error;
  }
}

type FoundBundle = { bytes: Uint8Array; bundle: Descriptor; referrer: Descriptor } | { reason: string };

/** A referrer by digest → the bundle in it. A reason where it is something else; what the client throws, where it cannot be had. */
export async function fetchBundle(
  client: Pick<RegistryClient, "fetchManifest" | "fetchBlob">,
  repository: Repository,
  subject: Digest,
  digest: Digest,
): Promise<FoundBundle> {
  const manifest = await client.fetchManifest({ ...repository, digest });
  if (manifest.kind !== "image") return { reason: "it is an index" };
  const layer = findBundleLayer(manifest.manifest, subject);
  if (typeof layer === "string") return { reason: layer };
  const bundle: Descriptor = { mediaType: layer.mediaType, digest: layer.digest, size: layer.size };
  const referrer: Descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.byteLength,
    artifactType: mediaTypes.sigstoreBundle,
    ...(manifest.manifest.annotations === undefined ? {} : { annotations: manifest.manifest.annotations }),
  };
  return { bytes: await client.fetchBlob(repository, bundle, maxBundleBytes), bundle, referrer };
}

/** What cosign and goldenpath write on a referrer that carries a bundle. */
const bundleAnnotations: ReadonlySet<string> = new Set([
  "org.opencontainers.image.created",
  "dev.sigstore.bundle.content",
  predicateAnnotation,
]);

function findBundleLayer(manifest: ImageManifest, subject: Digest): Descriptor | string {
  if (manifest.subject?.digest !== subject) return "its manifest refers to another image";
  if (manifest.artifactType !== mediaTypes.sigstoreBundle)
    return `it is of type ${manifest.artifactType ?? manifest.config.mediaType}, not a Sigstore bundle`;
  const { config } = manifest;
  // The bundle's signature says nothing about what it is wrapped in: a wrapping that could carry something of its own is nobody's word.
  if (config.mediaType !== mediaTypes.ociEmpty || config.digest !== emptyBlob.digest || config.size !== emptyBlob.size)
    return "its config is not the empty one, and a bundle has no other";
  const foreign = [manifest, config, ...manifest.layers]
    .flatMap((part) => Object.keys(part.annotations ?? {}))
    .find((key) => !bundleAnnotations.has(key));
  if (foreign !== undefined) return "it has annotations that are not a bundle's";
  const [layer, ...more] = manifest.layers;
  if (layer === undefined || more.length > 0) return `it has ${manifest.layers.length} layers; a bundle is one`;
  if (layer.mediaType !== mediaTypes.sigstoreBundle) return `its layer is ${layer.mediaType}, not a Sigstore bundle`;
  if (layer.size > maxBundleBytes) return `its bundle has ${layer.size} bytes, and ${maxBundleBytes} are read at most`;
  return layer;
}

const contentErrors: readonly string[] = ["image-not-found", "blob-not-found", "manifest-invalid", "digest-mismatch", "too-large"];

/**
 * Errors that say what the referrer is, and would say it again at every try: it is listed and gone, malformed, or not what its digest or size says. Whoever may
 * write to quarantine can leave one, and must not thereby keep an image from vetted for good. The others say that nothing is known.
 */
export function isAboutContent(error: unknown): boolean {
  return isKnownError(error) && contentErrors.includes(error.code);
}

function describeReason(error: unknown): string {
  return isKnownError(error) ? error.message : describeError(error);
}

function readClaims(statement: Statement): Pick<RejectedReferrer, "claimedPredicateType" | "claimedVerifierId"> {
  const verifierId = summaryVerifierId(statement);
  return { claimedPredicateType: statement.predicateType, ...(verifierId === undefined ? {} : { claimedVerifierId: verifierId }) };
}

function tooMuch(where: string, what: string): InfrastructureError {
  return new InfrastructureError(`${where} has ${what}`, {
    code: "too-much-evidence",
    safeToRetry: false,
    wayOut: "Look at what refers to the image (`oras discover`), and build it again into a repository where only the path's stages write.",
  });
}
