import { isSameOrigin, registryEndpoint } from "../endpoint.ts";
import { digestOf } from "../oci/digest.ts";
import type { Descriptor } from "../oci/manifest.ts";
import type { Repository } from "../oci/reference.ts";
import { parseContentRange } from "../ranges.ts";
import type { BlobFacts, ChunkFacts, RangeFacts, Stored } from "./facts.ts";
import { type Answer, isSuccess, seenOf, type Wire } from "./wire.ts";
import {
  beginUpload,
  type Content,
  endUpload,
  forgetUpload,
  keptBlob,
  makeBlob,
  note,
  pull,
  push,
  putBlob,
  uploadsPath,
  type Workspace,
} from "./workspace.ts";

/** The smallest chunk that is tried, and the largest that a registry may ask for and still get. Bytes. */
const smallestChunk = 1024;
const largestChunk = 8 * 1024 * 1024;

/** Everything about blobs that takes writing. `blob` is there afterwards, where blobs can be uploaded at all. */
export async function gatherBlobs(workspace: Workspace, blob: Content): Promise<BlobFacts> {
  const { repository } = workspace;
  const upload = await putBlob(workspace, repository, blob, "PUT blobs/uploads/…?digest=");
  // Without the right to push nothing else of this can be told apart from that.
  if (!isSuccess(upload.answer)) return { upload };
  return {
    upload,
    single: await putInOne(workspace),
    chunks: await putInChunks(workspace),
    ...(await cancelUpload(workspace)),
    wrongBytes: await putWrongBytes(workspace),
    sha512: await putSha512(workspace),
    mount: await mountBlob(workspace),
  };
}

async function putInOne(workspace: Workspace): Promise<Stored> {
  const { repository, wire } = workspace;
  const blob = makeBlob(700);
  const { digest } = blob.descriptor;
  note(workspace, { kind: "blob", repository: repository.name, reference: digest });
  const answer = await wire.ask({
    method: "POST",
    path: uploadsPath(repository, `?digest=${encodeURIComponent(digest)}`),
    access: push(repository),
    as: "POST blobs/uploads/?digest=",
    headers: { "content-type": "application/octet-stream" },
    body: blob.bytes,
  });
  noteOpened(workspace, repository, answer);
  return { answer: seenOf(answer), kept: await keptBlob(workspace, repository, digest) };
}

/** A registry that does not do what a POST asks for begins an upload: to be cancelled in the end. */
function noteOpened(workspace: Workspace, repository: Repository, answer: Answer): void {
  if (answer.status === 202 && answer.location !== undefined)
    note(workspace, { kind: "upload", repository: repository.name, reference: answer.location.href });
}

async function putInChunks(workspace: Workspace): Promise<ChunkFacts> {
  const { repository, wire } = workspace;
  const access = push(repository);
  const begun = await beginUpload(workspace, repository);
  const least = Number(/^\d{1,12}$/.exec(begun.headers["oci-chunk-min-length"] ?? "")?.[0] ?? 0);
  const size = Math.max(smallestChunk, least);
  const facts: ChunkFacts = { start: seenOf(begun), size };
  if (begun.status !== 202 || begun.location === undefined || size > largestChunk) return facts;
  const blob = makeBlob(2 * size);
  const patch = (location: URL, start: number, as: string): Promise<Answer> =>
    wire.ask({
      method: "PATCH",
      path: location,
      access,
      as,
      headers: { "content-type": "application/octet-stream", "content-range": `${start}-${start + size - 1}` },
      body: blob.bytes.subarray(start, start + size),
    });
  let location = begun.location;
  const move = (answer: Answer): void => {
    if (answer.location === undefined) return;
    forgetUpload(workspace, location);
    location = answer.location;
    note(workspace, { kind: "upload", repository: repository.name, reference: location.href });
  };
  const first = await patch(location, 0, "PATCH, first chunk");
  facts.first = seenOf(first);
  if (!isSuccess(first)) return facts;
  move(first);
  const status = await wire.ask({ method: "GET", path: location, access, as: "GET of the upload" });
  facts.status = seenOf(status);
  if (isSuccess(status)) move(status);
  const second = await patch(location, size, "PATCH, second chunk");
  facts.second = seenOf(second);
  if (!isSuccess(second)) return facts;
  move(second);
  const { digest } = blob.descriptor;
  const end = await endUpload(workspace, repository, location, digest, undefined, "PUT, after the chunks");
  // Only there or not: what may be 16 MiB is not read back.
  const head = await wire.ask({ method: "HEAD", path: `${repository.name}/blobs/${digest}`, access: pull(repository) });
  facts.end = { answer: seenOf(end), kept: head.status === 200 ? "right" : head.status === 404 ? "absent" : "unknown" };
  return facts;
}

async function cancelUpload(workspace: Workspace): Promise<Pick<BlobFacts, "cancel">> {
  const { repository, wire } = workspace;
  const begun = await beginUpload(workspace, repository);
  if (begun.location === undefined) return {};
  const ask = (method: "DELETE" | "GET", path: URL, as: string) =>
    wire.ask({ method, path, access: push(repository), as });
  const answer = await ask("DELETE", begun.location, "DELETE of an upload");
  if (isSuccess(answer)) forgetUpload(workspace, begun.location);
  const after = await ask("GET", begun.location, "GET of the upload");
  return { cancel: { answer: seenOf(answer), after: seenOf(after) } };
}

/** The right length, and another digest. */
async function putWrongBytes(workspace: Workspace): Promise<Stored> {
  const blob = makeBlob(600);
  return putBlob(
    workspace,
    workspace.repository,
    { ...blob, bytes: makeBlob(600).bytes },
    "PUT of a blob under another's digest",
  );
}

async function putSha512(workspace: Workspace): Promise<Stored> {
  return putBlob(workspace, workspace.repository, makeBlob(500, "sha512"), "PUT of a blob by sha512");
}

async function mountBlob(workspace: Workspace): Promise<NonNullable<BlobFacts["mount"]>> {
  const { repository, mountSource, wire } = workspace;
  const blob = makeBlob(400);
  const { digest } = blob.descriptor;
  const source = await putBlob(workspace, mountSource, blob, "PUT of a blob to the other repository");
  if (source.kept !== "right") return { source };
  note(workspace, { kind: "blob", repository: repository.name, reference: digest });
  const answer = await wire.ask({
    method: "POST",
    path: uploadsPath(repository, `?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(mountSource.name)}`),
    access: { ...push(repository), mountFrom: mountSource },
    as: "POST ?mount=&from=",
  });
  noteOpened(workspace, repository, answer);
  return { source, answer: seenOf(answer), kept: await keptBlob(workspace, repository, digest) };
}

/**
 * Asks for the rest of a blob from its middle on, as a download that broke is taken up. `bytes` where they are known.
 */
export async function gatherRange(
  wire: Wire,
  repository: Repository,
  descriptor: Descriptor,
  plainHttp: readonly string[],
  bytes?: Uint8Array,
): Promise<RangeFacts> {
  const path = `${repository.name}/blobs/${descriptor.digest}`;
  const access = pull(repository);
  const whole = bytes ?? (await wire.ask({ method: "GET", path, access, readUpTo: descriptor.size })).bytes;
  const start = Math.floor(descriptor.size / 2);
  const answer = await wire.ask({
    method: "GET",
    path,
    access,
    as: `GET of a blob, Range: bytes=${start}-`,
    headers: { range: `bytes=${start}-` },
    readUpTo: descriptor.size,
  });
  const endpoint = registryEndpoint(repository.registry, plainHttp);
  const redirected = answer.url !== undefined && !isSameOrigin(answer.url, endpoint) ? answer.url.host : undefined;
  return {
    answer: seenOf(answer),
    bytes: digestOf(whole) === descriptor.digest || bytes !== undefined ? compareRange(answer, whole, start) : "none",
    ...(redirected === undefined ? {} : { redirectedTo: redirected }),
  };
}

function compareRange(answer: Answer, whole: Uint8Array, start: number): RangeFacts["bytes"] {
  if (answer.bytes.byteLength === 0 || !isSuccess(answer)) return "none";
  if (answer.status === 200) return Buffer.compare(answer.bytes, whole) === 0 ? "whole" : "other";
  const told = parseContentRange(answer.headers["content-range"] ?? "");
  const isTold = told?.start === start && told.end === whole.byteLength - 1;
  return isTold && Buffer.compare(answer.bytes, whole.subarray(start)) === 0 ? "range" : "other";
}
