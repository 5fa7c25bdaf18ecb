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
import type { ExistingEvidence, SealedStatement, Signer, Statement } from "./types.ts";
import { explainOutside } from "./validity.ts";

export interface AttachTarget {
  repository: Repository;
  /** The image's own manifest: what the statement's first subject names. */
  image: Descriptor;
  /** For an index, each child that the statement covers. */
  children: readonly Descriptor[];
}

export interface Attachment {
  predicateType: string;
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

/** A statement to be attached, with others or alone. */
export interface Piece {
  target: Pick<AttachTarget, "image" | "children">;
  /** One that rests on others names them by what they are signed as, before any of them is anywhere. */
  statement: Statement | ((earlier: readonly CarriedBy[]) => Statement);
  signer: Signer;
  known?: AttachKnowledge;
}

/** Where a statement will lie on the image itself: its bundle, and the referrer that carries it. */
export interface CarriedBy {
  bundle: Digest;
  referrer: Digest;
}

/** Blobs that are pushed, and children that are signed for, at the same time. */
const concurrency = 8;

/** One statement, as {@link attachStatements} attaches several. */
export async function attachStatement(
  client: RegistryClient,
  { repository, ...target }: AttachTarget,
  statement: Statement,
  signer: Signer,
  now: Date,
  known: AttachKnowledge = {},
): Promise<Attachment> {
  const [only] = await attachStatements(client, repository, [{ target, statement, signer, known }], now);
  if (only === undefined) throw new TypeError("a statement that was not attached");
  return only;
}

/**
 * Signs statements and attaches each to its image and to each child, as referrers like cosign's. All are signed before
 * anything is pushed, and what does not wait for another goes at the same time: a registry is rarely near. A bundle is
 * one for all of its subjects; the image's own referrers come last, in the order given, so that where one is, the
 * others are. A statement of the same bytes and key that the image has already is not signed again (an ECDSA signature
 * differs each time, and every attempt would leave another referrer); what is missing of it is added.
 * @throws UserError `statement-mismatch` where a statement does not name each of its subjects, `statement-too-large`;
 *   the client's errors
 */
export async function attachStatements(
  client: RegistryClient,
  repository: Repository,
  pieces: readonly Piece[],
  now: Date,
): Promise<Attachment[]> {
  const source = { client: rememberReads(client), repository, lists: new Map<Digest, Promise<Descriptor[]>>() };
  const sealed: Sealed[] = [];
  for (const piece of pieces) sealed.push(await sealPiece(source, piece, sealed, now));
  await pushBlobs(client, repository, sealed);
  await pushCarriers(
    client,
    repository,
    sealed.flatMap(({ children }) => children.map(({ carriers }) => carriers)),
  );
  await pushCarriers(
    client,
    repository,
    sealed.map(({ own }) => own),
  );
  // After the bundles, which are what counts.
  for (const { piece, statement, bytes, children } of sealed) {
    const { signer, target } = piece;
    for (const digest of [...children.map(({ subject }) => subject), target.image.digest])
      await signer.attachLegacy?.(client, repository, digest, { bundle: bytes, statement });
  }
  return sealed.map(({ statement, bundle, own, children, existed }) => ({
    predicateType: statement.predicateType,
    bundle,
    referrer: referrerOf(own),
    childReferrers: children.map(({ subject, carriers }) => ({ subject, referrer: referrerOf(carriers) })),
    existed,
  }));
}

type Carriers = Awaited<ReturnType<SealedStatement["carry"]>>;

/** Signed, and not anywhere yet. */
interface Sealed {
  piece: Piece;
  statement: Statement;
  bundle: Descriptor;
  bytes: Uint8Array;
  /** What goes onto the image itself. */
  own: Carriers;
  children: { subject: Digest; carriers: Carriers }[];
  existed: boolean;
}

function referrerOf([{ manifest, mediaType, artifactType }]: Carriers): Descriptor {
  return { mediaType, digest: digestOf(manifest), size: manifest.byteLength, artifactType };
}

function carriedBy({ bundle, own }: Sealed): CarriedBy {
  return { bundle: bundle.digest, referrer: referrerOf(own).digest };
}

async function sealPiece(source: Source, piece: Piece, earlier: readonly Sealed[], now: Date): Promise<Sealed> {
  const { target, signer, known = {} } = piece;
  const { image } = target;
  const statement = typeof piece.statement === "function" ? piece.statement(earlier.map(carriedBy)) : piece.statement;
  const twin = earlier.find((each) => each.piece.signer === signer && isSameAbout(each, statement, target));
  if (twin !== undefined) return { ...twin, existed: true };
  const children = target.children.filter((child) => child.digest !== image.digest);
  for (const { digest } of [...children, image]) assertNames(statement, digest);
  const find = async (subject: Descriptor): Promise<Existing | undefined> =>
    known.isNew === true ? undefined : findExisting(source, subject.digest, statement, signer, now);
  const existing = await find(image);
  const sealed = await signer.seal(statement, existing?.evidence);
  const { bytes, mediaType } = sealed.bundle;
  const bundle: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
  assertReadable(statement, bundle);
  const created = existing?.created ?? now.toISOString().replace(/\.\d+Z$/, "Z");
  const carry = async (subject: Descriptor): Promise<Carriers> => {
    const own = subject === image || sealed.signsEach !== true ? existing : await find(subject);
    return sealed.carry(subject, bundle, own?.created ?? created, own?.evidence);
  };
  const carried = await mapConcurrently(concurrency, children, async (child) => ({
    subject: child.digest,
    carriers: await carry(child),
  }));
  return {
    ...{ piece, statement, bundle, bytes, own: await carry(image), children: carried },
    existed: existing !== undefined,
  };
}

/** The same bytes about the same image and children. */
function isSameAbout({ piece, statement }: Sealed, other: Statement, target: Piece["target"]): boolean {
  const digests = ({ image, children }: Piece["target"]): string =>
    [image, ...children].map((each) => each.digest).join();
  return (
    digests(piece.target) === digests(target) &&
    Buffer.compare(encodeStatement(statement), encodeStatement(other)) === 0
  );
}

function assertNames(statement: Statement, digest: Digest): void {
  if (namesSubject(statement, digest)) return;
  throw new UserError(
    `a statement of type ${statement.predicateType} does not name ${digest}, which it is to be attached to`,
    { code: "statement-mismatch" },
  );
}

function assertReadable({ predicateType }: Statement, { size }: Descriptor): void {
  if (size <= maxBundleBytes) return;
  throw new UserError(
    `a statement of type ${predicateType} makes a bundle of ${size} bytes; the gate reads ${maxBundleBytes} at most`,
    { code: "statement-too-large" },
  );
}

/** The bundles, what else the referrers hold, and the config that all of them share. */
async function pushBlobs(client: RegistryClient, repository: Repository, sealed: readonly Sealed[]): Promise<void> {
  const blobs = new Map<Digest, { mediaType: string; bytes: Uint8Array; isMissing: boolean }>();
  if (!sealed.every(({ piece }) => piece.known?.hasEmptyConfig === true))
    blobs.set(emptyBlob.digest, { mediaType: mediaTypes.ociEmpty, bytes: emptyBlob.bytes, isMissing: false });
  for (const { bundle, bytes, existed, own, children } of sealed) {
    // A signature just made is nowhere yet.
    blobs.set(bundle.digest, { mediaType: bundle.mediaType, bytes, isMissing: !existed });
    for (const each of [...children.flatMap(({ carriers }) => carriers), ...own].flatMap(
      (carrier) => carrier.blobs ?? [],
    ))
      blobs.set(digestOf(each.bytes), { ...each, isMissing: false });
  }
  await mapConcurrently(concurrency, [...blobs], ([digest, { mediaType, bytes, isMissing }]) =>
    client.pushBlob(repository, { mediaType, digest, size: bytes.byteLength }, () => bytes, { isMissing }),
  );
}

/** Of each chain, what refers to what comes before it after that; of each subject, in their order. */
async function pushCarriers(
  client: RegistryClient,
  repository: Repository,
  chains: readonly Carriers[],
): Promise<void> {
  const longest = Math.max(0, ...chains.map((chain) => chain.length));
  for (let level = 0; level < longest; level++) {
    const manifests = chains.flatMap((chain) => chain[level] ?? []);
    await client.pushReferrers(
      repository,
      manifests.map(({ manifest, mediaType }) => ({ bytes: manifest, mediaType, digest: digestOf(manifest) })),
    );
  }
}

interface Source {
  client: RegistryClient;
  repository: Repository;
  /** What refers to each image, as it was before anything was attached. */
  lists: Map<Digest, Promise<Descriptor[]>>;
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
  { client, repository, lists }: Source,
  subject: Digest,
  statement: Statement,
  signer: Signer,
  now: Date,
): Promise<Existing | undefined> {
  const trusted = new Map([
    [signer.kind, schemeOf(signer).trust([{ name: signer.kind, material: signer.trusted ?? signer.material }])],
  ]);
  const payload = encodeStatement(statement);
  const source = { client, repository };
  const listing = lists.get(subject) ?? client.listReferrers(repository, subject);
  lists.set(subject, listing);
  const listed = await listing;
  const likely = listed.filter(
    (descriptor) =>
      (descriptor.annotations?.[predicateAnnotation] ?? statement.predicateType) === statement.predicateType,
  );
  for (const { digest } of likely.slice(-maxCandidates).reverse()) {
    // Somebody's broken referrer must not keep a stage from speaking; a registry that is down fails at the push.
    const read = await readReferrer(source, subject, { digest }, trusted).catch(() => undefined);
    if (read === undefined || "reason" in read) continue;
    const created = read.found.descriptor.annotations?.[createdAnnotation];
    const same = read.signed.find(
      (each) =>
        each.signers.length > 0 &&
        explainOutside(each.holds, now) === undefined &&
        Buffer.compare(each.payload, payload) === 0,
    );
    if (created === undefined || same === undefined) continue;
    const readBlob: ReadBlob = (blob) => client.fetchBlob(repository, blob, maxBundleBytes);
    return { evidence: { ...same, referrer: read.found, read: readBlob }, created };
  }
  return undefined;
}

const maxCandidates = 20;
