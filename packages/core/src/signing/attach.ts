import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchBundle, maxBundleBytes, predicateAnnotation } from "./collect.ts";
import { parsePublicKey } from "./keys.ts";
import { openBundle, signStatement, verifyBundle } from "./sigstore.ts";
import { encodeStatement, namesSubject } from "./statement.ts";
import type { Signer, Statement } from "./types.ts";

const createdAnnotation = "org.opencontainers.image.created";

export interface AttachTarget {
  repository: Repository;
  /** The image's own manifest: what the statement's first subject names. */
  image: Descriptor;
  /** For an index, each child that the statement covers. */
  children: readonly Descriptor[];
}

export interface Attachment {
  bundle: Descriptor;
  /** The referrer of the image itself. */
  referrer: Descriptor;
  /** Of each child, in their order; without the image itself, where it is its own child. */
  childReferrers: { subject: Digest; referrer: Descriptor }[];
  /** The same statement, signed with the same key, was there already: nothing new was signed. */
  existed: boolean;
}

/** What the caller knows, and is not asked for again. */
export interface AttachKnowledge {
  /** No statement of these bytes can be there: its time is now. */
  isNew?: boolean;
  /** The repository has a referrer like these, and so the empty config. */
  hasEmptyConfig?: boolean;
}

/** Children whose referrers are pushed at the same time. */
const concurrency = 8;

/**
 * Signs a statement and attaches it to the image and to each child, as referrers like cosign's. The bundle is one; the image's own referrer comes last, so that
 * where it is, the others are. A statement of the same bytes and key that the image has already is not signed again (an ECDSA signature differs each time, and
 * every attempt would leave another referrer); what is missing of it is added.
 * @throws UserError `statement-mismatch` where the statement does not name each of them; the client's errors
 */
export async function attachStatement(
  client: RegistryClient,
  target: AttachTarget,
  statement: Statement,
  signer: Signer,
  now: Date,
  known: AttachKnowledge = {},
): Promise<Attachment> {
  const children = target.children.filter((child) => child.digest !== target.image.digest);
  for (const { digest } of [...children, target.image]) {
    if (!namesSubject(statement, digest)) {
      throw new UserError(`a statement of type ${statement.predicateType} does not name ${digest}, which it is to be attached to`, {
        code: "statement-mismatch",
      });
    }
  }
  const existing = known.isNew === true ? undefined : await findExisting(client, target, statement, signer);
  const bytes = existing?.bytes ?? (await signStatement(statement, signer));
  const created = existing?.created ?? now.toISOString().replace(/\.\d+Z$/, "Z");
  const bundle: Descriptor = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bytes), size: bytes.byteLength };
  if (bundle.size > maxBundleBytes) {
    throw new UserError(
      `a statement of type ${statement.predicateType} makes a bundle of ${bundle.size} bytes; the gate reads ${maxBundleBytes} at most`,
      {
        code: "statement-too-large",
      },
    );
  }
  const empty: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  await Promise.all([
    known.hasEmptyConfig === true ? undefined : client.pushBlob(target.repository, empty, () => emptyBlob.bytes),
    // A signature just made is nowhere yet.
    client.pushBlob(target.repository, bundle, () => bytes, { isMissing: existing === undefined }),
  ]);
  const attachTo = async (subject: Descriptor): Promise<Descriptor> => {
    const manifest = encodeReferrer(subject, bundle, statement.predicateType, created);
    const digest = await client.pushManifest(target.repository, manifest, mediaTypes.ociManifest);
    return { mediaType: mediaTypes.ociManifest, digest, size: manifest.byteLength, artifactType: mediaTypes.sigstoreBundle };
  };
  const childReferrers = await mapConcurrently(concurrency, children, async (child) => ({
    subject: child.digest,
    referrer: await attachTo(child),
  }));
  return { bundle, referrer: await attachTo(target.image), childReferrers, existed: existing !== undefined };
}

/** The referrer's manifest as cosign 3 writes it: annotations are for people and tools that list, and nothing is decided on them. */
function encodeReferrer(subject: Descriptor, bundle: Descriptor, predicateType: string, created: string): Uint8Array {
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: mediaTypes.sigstoreBundle,
    config: { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size },
    layers: [bundle],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations: {
      [createdAnnotation]: created,
      "dev.sigstore.bundle.content": "dsse-envelope",
      [predicateAnnotation]: predicateType,
    },
  };
  return new TextEncoder().encode(JSON.stringify(manifest));
}

/**
 * The bundle on the image with the same payload and a signature of this key. Told cheaply: of what the list shows, only what does not say that it is of another
 * predicate type is fetched, the last ones first, and not more than some. Not found means signed once more, which is harmless.
 */
async function findExisting(
  client: RegistryClient,
  target: AttachTarget,
  statement: Statement,
  signer: Signer,
): Promise<{ bytes: Uint8Array; created: string } | undefined> {
  const key = parsePublicKey(signer.publicKeyPem, "the signer's key");
  const payload = encodeStatement(statement);
  const listed = await client.listReferrers(target.repository, target.image.digest);
  const likely = listed.filter(
    (descriptor) => (descriptor.annotations?.[predicateAnnotation] ?? statement.predicateType) === statement.predicateType,
  );
  for (const { digest } of likely.slice(-maxCandidates).reverse()) {
    const found = await readExisting(client, target.repository, target.image.digest, digest);
    if (found === undefined) continue;
    const opened = openBundle(found.bytes);
    if (Buffer.compare(opened.payload, payload) === 0 && verifyBundle(opened, key)) return found;
  }
  return undefined;
}

const maxCandidates = 20;

async function readExisting(
  client: RegistryClient,
  repository: Repository,
  subject: Digest,
  digest: Digest,
): Promise<{ bytes: Uint8Array; created: string } | undefined> {
  try {
    const found = await fetchBundle(client, repository, subject, digest);
    if ("reason" in found) return undefined;
    openBundle(found.bytes);
    const created = found.referrer.annotations?.[createdAnnotation];
    return created === undefined ? undefined : { bytes: found.bytes, created };
  } catch {
    // Somebody's broken referrer must not keep a stage from speaking; a registry that is down fails at the push.
    return undefined;
  }
}
