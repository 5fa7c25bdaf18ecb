import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import type { LoadedPolicy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import { listNamed } from "../signing/gather-signed.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { describePiece, listCommands, listOthers, sortStatements } from "./describe-piece.ts";
import {
  type ExportedFiles,
  type ExportedImage,
  type ExportedPiece,
  folderOf,
  listName,
  manifestName,
} from "./export-facts.ts";
import { renderEvidencePage } from "./render-page.ts";
import { renderScript } from "./render-script.ts";

interface Source {
  client: RegistryClient;
  repository: Repository;
  policy: LoadedPolicy;
  /** The policy's own bytes. */
  policyBytes: Uint8Array;
  /** Whose word counts may depend on it, where a signer of the policy has an end. */
  now: Date;
  /** As {@link collectEvidence} has it. */
  named?: readonly Digest[];
}

/**
 * An image's evidence by a policy → what is to lie in a folder for its digest, and in one for each image of an index:
 * all that it takes to check it by hand, without a network. The same evidence is the same bytes.
 * @throws the registry's errors; UserError `image-not-found`
 */
export async function gatherExport(
  source: Omit<Source, "repository">,
  reference: Reference,
): Promise<{ image: ImageFacts; folders: ReadonlyMap<string, ExportedFiles> }> {
  const image = await fetchImageFacts(source.client, reference);
  const repository = { registry: image.reference.registry, name: image.reference.name };
  const { digest } = image.reference;
  const children = image.children.filter((child) => child.digest !== digest);
  const folders = new Map<string, ExportedFiles>();
  for (const child of children) {
    const platform = formatPlatform(child.platform);
    const named = listNamed(image, child.digest);
    folders.set(folderOf(child.digest), await gatherOne({ ...source, repository, named }, child.digest, { platform }));
  }
  const [only] = image.children;
  const facts = {
    children: children.map((child) => ({
      digest: child.digest,
      folder: folderOf(child.digest),
      platform: formatPlatform(child.platform),
    })),
    ...(children.length === 0 && only !== undefined ? { platform: formatPlatform(only.platform) } : {}),
  };
  folders.set(folderOf(digest), await gatherOne({ ...source, repository }, digest, facts));
  return { image, folders };
}

async function gatherOne(
  source: Source,
  digest: Digest,
  facts: Partial<Pick<ExportedImage, "platform" | "children">>,
): Promise<ExportedFiles> {
  const { client, repository, policy, now, named = [] } = source;
  const files = new Map<string, Uint8Array>([["policy.yaml", source.policyBytes]]);
  await addImage(source, digest, files);
  const evidence = await collectEvidence(client, repository, digest, policy.policy.signers, { now, named });
  const pieces: ExportedPiece[] = [];
  for (const statement of sortStatements(evidence))
    pieces.push(await addPiece(source, statement, pieces.length + 1, files));
  const { name, serial } = policy.policy;
  const exported: ExportedImage = {
    image: formatReference({ ...repository, digest }),
    digest,
    policy: { name, serial, uri: policy.uri, digest: policy.digest },
    pieces,
    rejected: evidence.rejected
      .map(({ referrer, reason }) => ({ referrer, reason }))
      .toSorted((a, b) => (a.referrer < b.referrer ? -1 : 1)),
    children: [],
    ...facts,
  };
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  files.set("check.sh", text(renderScript(exported)));
  const names = [...files.keys(), listName, "index.html"].toSorted();
  files.set("index.html", text(renderEvidencePage(exported, names)));
  files.set(listName, text(`${stringifyJson({ schemaVersion: "1.0", ...exported, files: names }, 2)}\n`));
  return files;
}

/** The image's own words: its digest is that of its manifest, which names the config and the layers. */
async function addImage({ client, repository }: Source, digest: Digest, files: Map<string, Uint8Array>): Promise<void> {
  const found = await client.fetchManifest({ ...repository, digest });
  files.set(manifestName, found.bytes);
  if (found.kind === "image") files.set("image/config.json", await client.fetchBlob(repository, found.manifest.config));
}

/** What people look for is a file of its own besides, with the name that its readers expect. */
const extracts: Readonly<Record<string, string>> = {
  [predicateTypes.cyclonedx]: "sbom.cdx.json",
  [predicateTypes.vulnerabilities]: "findings.json",
  [predicateTypes.provenance]: "provenance.json",
};

async function addPiece(
  source: Source,
  verified: VerifiedStatement,
  number: number,
  files: Map<string, Uint8Array>,
): Promise<ExportedPiece> {
  const { statement, signers, time } = verified;
  const { predicateType } = statement;
  const { file, bytes, checks } = await describePiece(source, verified, number);
  files.set(file, bytes);
  const extract = Object.hasOwn(extracts, predicateType) ? extracts[predicateType] : undefined;
  if (extract !== undefined) {
    // Of several of one kind each has its number: none hides another.
    const name = files.has(extract) ? extract.replace(".", `-${number}.`) : extract;
    files.set(name, new TextEncoder().encode(`${stringifyJson(statement.predicate, 2)}\n`));
  }
  for (const [name, content] of checks.flatMap((check) => Object.entries(check.files)))
    files.set(name, typeof content === "string" ? encodeLines(content) : content);
  return {
    predicateType,
    signers,
    ...(time === undefined ? {} : { time: time.toISOString() }),
    file,
    digest: digestOf(bytes),
    checks: checks.flatMap(listCommands),
    others: checks.flatMap(listOthers),
  };
}

const encodeLines = (text: string): Uint8Array => new TextEncoder().encode(text.endsWith("\n") ? text : `${text}\n`);
