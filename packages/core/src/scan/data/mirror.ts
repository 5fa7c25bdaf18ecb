import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../../policy/schema.ts";
import { verifyInline } from "../../signing/inline-bundle.ts";
import type { Signer } from "../../signing/types.ts";
import type { DataContext, FetchedData, PublishedData } from "../scanners/scanner.ts";
import { dataFileMediaType, datedTag, encodeDataArtifact, listOutdatedTags, newestTag } from "./data-artifact.ts";
import { buildDataStatement, type MirroredData } from "./data-statement.ts";
import { type DataSource, type FoundData, findData } from "./fetch-data.ts";

export interface MirrorRequest {
  repository: Repository;
  /** Whose word counts on the data, and how: what is mirrored has to count there. */
  policy: Pick<Policy, "signers"> & { scan: { data: DataSource } };
  signer: Signer;
  scanners: readonly PublishedData[];
  /** By scanner, where the data is fetched from instead of its publisher. */
  sources: Readonly<Record<string, string>>;
  /** What of each is wanted, where the data comes in parts. */
  parts: readonly string[];
  /** How many of each scanner's artifacts stay. */
  keep: number;
}

export interface MirroredArtifact {
  scanner: string;
  /** `HOST/NAME@sha256:…` */
  reference: string;
  tag: string;
  built: Date;
  size: number;
  /** The registry had this data already: only its signed statement is new. */
  isSameData: boolean;
  /** Tags that went, and those that the registry would not let go. */
  removed: readonly string[];
  left: readonly string[];
}

/**
 * Puts scanners' newest vulnerability data into a registry, each as one artifact that is signed: under a tag of its
 * time, and then under the scanner's own. Data that is no newer is signed again, so that whoever scans knows that it
 * still is the newest. What is there is never replaced by what is older.
 * @throws InfrastructureError `data-unavailable`, `data-older`, `tag-moved`; UserError `signer-unknown`,
 *   `input-invalid`; the client's others
 */
export async function mirrorData(
  client: RegistryClient,
  request: MirrorRequest,
  context: DataContext & { now(): Date },
): Promise<MirroredArtifact[]> {
  const mirrored: MirroredArtifact[] = [];
  for (const scanner of request.scanners) {
    const directory = await mkdtemp(join(context.temporaryDirectory, "mirror-"));
    try {
      mirrored.push(await mirrorOne(client, scanner, request, { ...context, directory }));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return mirrored;
}

type MirrorContext = DataContext & { now(): Date; directory: string };

async function mirrorOne(
  client: RegistryClient,
  scanner: PublishedData,
  request: MirrorRequest,
  context: MirrorContext,
): Promise<MirroredArtifact> {
  const { repository, sources, parts, keep } = request;
  const { name, data } = scanner;
  const directory = join(context.directory, "fetched");
  await mkdir(directory);
  const source = sources[name] ?? data.publisher;
  const fetched = await data.fetchNewest({ source, parts: data.parts === undefined ? [] : parts, directory }, context);
  const before = await findBefore(client, name, request, context);
  assertNotOlder(fetched, before, formatReference({ ...repository, tag: newestTag(name) }));
  const blob = await describeFile(fetched.path);
  const said = describeData(name, fetched, context.now());
  const sealed = await seal(said, blob.digest, request, context.now());
  const { manifest, config, bundleLayer } = encodeDataArtifact(sealed, blob, said.file);
  const isSameData = before?.found?.blob.digest === blob.digest;
  await client.pushBlob(repository, config, () => emptyBlob.bytes);
  await client.pushBlob(repository, bundleLayer, () => sealed, { isMissing: true });
  await pushData(client, repository, blob, fetched.path, context);
  const tag = datedTag(name, said.mirroredAt);
  const digest = await client.pushManifest(repository, manifest, mediaTypes.ociManifest, tag);
  const content = { bytes: manifest, mediaType: mediaTypes.ociManifest, digest };
  // Between the look and this another mirror may have been here: then what it has put there stays.
  await client.setTag(repository, newestTag(name), content, before?.digest);
  const cleaned = await removeOutdated(client, repository, { scanner: name, keep, newest: digest }, context);
  const reference = formatReference({ ...repository, digest });
  return { scanner: name, reference, tag, built: said.built, size: blob.size, isSameData, ...cleaned };
}

interface Before {
  digest: Digest;
  /** Absent where nobody whom the policy names has signed it. */
  found?: FoundData;
}

/** What the scanner's tag has now. What nobody has signed can say nothing of its age, and is written over. */
async function findBefore(
  client: RegistryClient,
  scanner: string,
  { repository, policy }: MirrorRequest,
  { now, ports }: MirrorContext,
): Promise<Before | undefined> {
  const source = { ...policy.scan.data, repository: formatRepository(repository) };
  try {
    const found = await findData(client, scanner, source, policy.signers, now());
    return { digest: found.manifest.digest, found };
  } catch (error) {
    if (isKnownError(error) && error.code === "image-not-found") return undefined;
    if (!isKnownError(error) || error.code !== "data-untrusted") throw error;
    ports.log.warning(`${error.message}; it is written over`);
    const { digest } = await client.readTag(repository, newestTag(scanner));
    return digest === undefined ? undefined : { digest };
  }
}

function assertNotOlder({ source, built }: FetchedData, before: Before | undefined, tag: string): void {
  const known = before?.found?.said.built;
  if (known === undefined || built >= known) return;
  const message = `${source} has data of ${built.toISOString()}, and ${tag} is of ${known.toISOString()}`;
  throw new InfrastructureError(message, {
    code: "data-older",
    safeToRetry: false,
    wayOut: "Find out why the publisher's is older. What is there stays, until it is too old for the policy.",
  });
}

function describeData(scanner: string, { path, built, schema, source }: FetchedData, mirroredAt: Date): MirroredData {
  return { scanner, file: basename(path), built, schema, source, mirroredAt };
}

async function describeFile(path: string): Promise<Descriptor> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  const { size } = await stat(path);
  return { mediaType: dataFileMediaType, digest: `sha256:${hash.digest("hex")}`, size };
}

/** The bundle's bytes, held to what scans ask of them before anything is pushed. */
async function seal(
  said: MirroredData,
  digest: Digest,
  { signer, policy }: MirrorRequest,
  now: Date,
): Promise<Uint8Array> {
  const { bundle } = await signer.seal(buildDataStatement(said, digest));
  if (bundle.mediaType !== mediaTypes.sigstoreBundle) {
    throw new UserError(`data is signed in Sigstore bundles, and ${signer.kind} makes none`, {
      code: "input-invalid",
      wayOut: "Sign it with signer key, kms or keyless.",
    });
  }
  const { signers } = policy.scan.data;
  const named = Object.fromEntries(Object.entries(policy.signers).filter(([name]) => signers.includes(name)));
  const verified = await verifyInline(bundle.bytes, digest, named, now);
  if (!("problem" in verified)) return bundle.bytes;
  throw new UserError(`what this signs does not count by the policy's scan.data: ${verified.problem}`, {
    code: "signer-unknown",
    wayOut: `Sign as one of ${signers.join(", ")}, or have the policy's owners name this signer in scan.data.signers.`,
  });
}

async function pushData(
  client: RegistryClient,
  repository: Repository,
  blob: Descriptor,
  path: string,
  { ports }: MirrorContext,
): Promise<void> {
  const task = ports.progress.start(`Pushing ${basename(path)}`, { unit: "bytes", amount: blob.size });
  try {
    await client.pushBlob(repository, blob, () => createReadStream(path), {
      onBytes: (bytes) => task.advance(bytes),
    });
    task.done();
  } catch (error) {
    task.failed();
    throw error;
  }
}

/** What can't be taken away is told: the registry's own rules may see to it. */
async function removeOutdated(
  client: RegistryClient,
  repository: Repository,
  { scanner, keep, newest }: { scanner: string; keep: number; newest: Digest },
  { ports }: MirrorContext,
): Promise<Pick<MirroredArtifact, "removed" | "left">> {
  const removed: string[] = [];
  const left: string[] = [];
  for (const tag of listOutdatedTags(await client.listTags(repository), scanner, keep)) {
    const digest = await client.resolve({ ...repository, tag });
    // By its digest, and so never what the newest tag shows.
    const isGone = digest === undefined || (digest !== newest && (await client.deleteManifest(repository, digest)));
    (isGone ? removed : left).push(tag);
  }
  if (left.length > 0) ports.log.notice(`the registry does not delete ${left.join(", ")}: its own rules have to`);
  return { removed, left };
}
