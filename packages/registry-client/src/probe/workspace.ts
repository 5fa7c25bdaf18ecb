import { randomBytes } from "node:crypto";
import type { Access } from "../access.ts";
import { type Digest, digestAlgorithm, digestOf } from "../oci/digest.ts";
import { type Descriptor, maxManifestBytes } from "../oci/manifest.ts";
import type { Repository } from "../oci/reference.ts";
import type { Kept, Made, Stored } from "./facts.ts";
import { type Answer, isSuccess, seenOf, type Wire } from "./wire.ts";

/** Where the probe works: its repository, and a note of everything that it put there. */
export interface Workspace {
  wire: Wire;
  repository: Repository;
  mountSource: Repository;
  id: string;
  made: Made[];
}

export interface Content {
  bytes: Uint8Array;
  descriptor: Descriptor;
}

/** Bytes that no registry has, so that nothing of anybody else's is met, or deleted, by their digest. */
export function makeBlob(size: number, algorithm: "sha256" | "sha512" = "sha256"): Content {
  const bytes = randomBytes(size);
  return { bytes, descriptor: { mediaType: "application/octet-stream", digest: digestOf(bytes, algorithm), size } };
}

export function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export const pull = (repository: Repository): Access => ({ repository, action: "pull" });
export const push = (repository: Repository): Access => ({ repository, action: "push" });

export function uploadsPath(repository: Repository, query = ""): string {
  return `${repository.name}/blobs/uploads/${query}`;
}

/** Notes what was made before it is asked for: an answer that gets lost may have made it all the same. */
export function note(workspace: Workspace, made: Made): void {
  workspace.made.push(made);
}

/** POST for an upload; its location, where it began. */
export async function beginUpload(
  workspace: Workspace,
  repository: Repository,
  as = "POST blobs/uploads/",
): Promise<Answer> {
  const answer = await workspace.wire.ask({
    method: "POST",
    path: uploadsPath(repository),
    access: push(repository),
    as,
  });
  if (answer.status === 202 && answer.location !== undefined)
    note(workspace, { kind: "upload", repository: repository.name, reference: answer.location.href });
  return answer;
}

/** PUT that ends an upload, under any digest. */
export async function endUpload(
  workspace: Workspace,
  repository: Repository,
  location: URL,
  digest: Digest,
  body: Uint8Array | undefined,
  as: string,
): Promise<Answer> {
  const url = new URL(location);
  url.searchParams.set("digest", digest);
  note(workspace, { kind: "blob", repository: repository.name, reference: digest });
  const answer = await workspace.wire.ask({
    method: "PUT",
    path: url,
    access: push(repository),
    as,
    headers: { "content-type": "application/octet-stream" },
    body: body ?? new Uint8Array(),
  });
  if (isSuccess(answer)) forgetUpload(workspace, location);
  return answer;
}

export function forgetUpload(workspace: Workspace, location: URL): void {
  const at = workspace.made.findIndex((made) => made.kind === "upload" && made.reference === location.href);
  if (at !== -1) workspace.made.splice(at, 1);
}

/** POST and PUT, and a look at whether the blob is there. */
export async function putBlob(
  workspace: Workspace,
  repository: Repository,
  content: Content,
  as: string,
): Promise<Stored> {
  const begun = await beginUpload(workspace, repository);
  if (begun.status !== 202 || begun.location === undefined) return { answer: seenOf(begun), kept: "absent" };
  const answer = await endUpload(workspace, repository, begun.location, content.descriptor.digest, content.bytes, as);
  return { answer: seenOf(answer), kept: await keptBlob(workspace, repository, content.descriptor.digest) };
}

export async function keptBlob(workspace: Workspace, repository: Repository, digest: Digest): Promise<Kept> {
  const answer = await workspace.wire.ask({
    method: "GET",
    path: `${repository.name}/blobs/${digest}`,
    access: pull(repository),
  });
  return judgeKept(answer, digest);
}

export async function keptManifest(workspace: Workspace, digest: Digest, mediaType: string): Promise<Kept> {
  return judgeKept(await getManifest(workspace, digest, mediaType), digest);
}

function judgeKept(answer: Answer, digest: Digest): Kept {
  if (answer.status === 404) return "absent";
  if (answer.status !== 200) return "unknown";
  return digestOf(answer.bytes, digestAlgorithm(digest)) === digest ? "right" : "wrong";
}

export async function putManifest(
  workspace: Workspace,
  reference: string,
  bytes: Uint8Array,
  mediaType: string,
  as: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { repository } = workspace;
  const digest = digestOf(bytes);
  const isTag = !reference.includes(":");
  note(workspace, { kind: "manifest", repository: repository.name, reference: isTag ? digest : reference });
  if (isTag) note(workspace, { kind: "tag", repository: repository.name, reference, digest });
  return workspace.wire.ask({
    method: "PUT",
    path: `${repository.name}/manifests/${reference}`,
    access: push(repository),
    as,
    headers: { "content-type": mediaType, ...headers },
    body: bytes,
  });
}

export async function getManifest(
  workspace: Pick<Workspace, "wire" | "repository">,
  reference: string,
  accept: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { repository } = workspace;
  return workspace.wire.ask({
    method: "GET",
    path: `${repository.name}/manifests/${reference}`,
    access: pull(repository),
    headers: { accept, ...headers },
    readUpTo: maxManifestBytes,
  });
}
