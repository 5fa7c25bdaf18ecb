import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { createdAnnotation, predicateAnnotation } from "./predicates.ts";
import { readReferrer } from "./read-referrer.ts";
import { schemeOf } from "./schemes/find.ts";
import { maxBundleBytes, type ReadBlob } from "./schemes/scheme.ts";
import { encodeStatement, namesSubject } from "./statement.ts";
import type { ExistingEvidence, Signer, Statement } from "./types.ts";
import { explainOutside } from "./validity.ts";

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
 * Signs a statement and attaches it to the image and to each child, as referrers like cosign's. The bundle is one; the
 * image's own referrer comes last, so that where it is, the others are. A statement of the same bytes and key that the
 * image has already is not signed again (an ECDSA signature differs each time, and every attempt would leave another
 * referrer); what is missing of it is added.
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
      throw new UserError(
        `a statement of type ${statement.predicateType} does not name ${digest}, which it is to be attached to`,
        {
          code: "statement-mismatch",
        },
      );
    }
  }
  const existing = known.isNew === true ? undefined : await findExisting(client, target, statement, signer, now);
  const sealed = await signer.seal(statement, existing?.evidence);
  const { bytes } = sealed.bundle;
  const created = existing?.created ?? now.toISOString().replace(/\.\d+Z$/, "Z");
  const bundle: Descriptor = { mediaType: sealed.bundle.mediaType, digest: digestOf(bytes), size: bytes.byteLength };
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
    const pushed: Descriptor[] = [];
    const own =
      subject === target.image || sealed.signsEach !== true || known.isNew === true
        ? existing
        : await findExisting(client, { ...target, image: subject }, statement, signer, now);
    const carriers = await sealed.carry(subject, bundle, own?.created ?? created, own?.evidence);
    for (const { manifest, mediaType, artifactType, blobs = [] } of carriers) {
      for (const blob of blobs) {
        const descriptor = { mediaType: blob.mediaType, digest: digestOf(blob.bytes), size: blob.bytes.byteLength };
        await client.pushBlob(target.repository, descriptor, () => blob.bytes);
      }
      const digest = await client.pushManifest(target.repository, manifest, mediaType);
      pushed.push({ mediaType, digest, size: manifest.byteLength, artifactType });
    }
    const [first] = pushed;
    if (first === undefined) throw new TypeError("a signed statement that nothing carries");
    return first;
  };
  const childReferrers = await mapConcurrently(concurrency, children, async (child) => ({
    subject: child.digest,
    referrer: await attachTo(child),
  }));
  const referrer = await attachTo(target.image);
  // After the bundles, which are what counts.
  if (signer.attachLegacy !== undefined) {
    for (const { digest } of [...children, target.image])
      await signer.attachLegacy(client, target.repository, digest, { bundle: bytes, statement });
  }
  return { bundle, referrer, childReferrers, existed: existing !== undefined };
}

interface Existing {
  evidence: ExistingEvidence;
  created: string;
}

/**
 * The evidence on the image with the same payload and a signature of this signer. Told cheaply: of what the list shows,
 * only what does not say that it is of another predicate type is fetched, the last ones first, and not more than some.
 * Not found means signed once more, which is harmless.
 */
async function findExisting(
  client: RegistryClient,
  target: AttachTarget,
  statement: Statement,
  signer: Signer,
  now: Date,
): Promise<Existing | undefined> {
  const trusted = new Map([
    [signer.kind, schemeOf(signer).trust([{ name: signer.kind, material: signer.trusted ?? signer.material }])],
  ]);
  const payload = encodeStatement(statement);
  const source = { client: rememberReads(client), repository: target.repository };
  const listed = await client.listReferrers(target.repository, target.image.digest);
  const likely = listed.filter(
    (descriptor) =>
      (descriptor.annotations?.[predicateAnnotation] ?? statement.predicateType) === statement.predicateType,
  );
  for (const { digest } of likely.slice(-maxCandidates).reverse()) {
    // Somebody's broken referrer must not keep a stage from speaking; a registry that is down fails at the push.
    const read = await readReferrer(source, target.image.digest, { digest }, trusted).catch(() => undefined);
    if (read === undefined || "reason" in read) continue;
    const created = read.found.descriptor.annotations?.[createdAnnotation];
    const same = read.signed.find(
      (each) =>
        each.signers.length > 0 &&
        explainOutside(each.holds, now) === undefined &&
        Buffer.compare(each.payload, payload) === 0,
    );
    if (created === undefined || same === undefined) continue;
    const readBlob: ReadBlob = (blob) => source.client.fetchBlob(source.repository, blob, maxBundleBytes);
    return { evidence: { ...same, referrer: read.found, read: readBlob }, created };
  }
  return undefined;
}

const maxCandidates = 20;
