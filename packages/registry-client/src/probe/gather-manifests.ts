import { parseJson } from "@goldenpath/foundation/text/json";
import { resolveOwnUrl } from "../endpoint.ts";
import { findNextLink } from "../links.ts";
import { digestOf } from "../oci/digest.ts";
import { type Descriptor, maxManifestBytes, mediaTypes } from "../oci/manifest.ts";
import type {
  ConditionFacts,
  DeletionFacts,
  ManifestFacts,
  ManifestKind,
  ReferrerFacts,
  Stored,
  TagFacts,
} from "./facts.ts";
import { type Answer, isSuccess, seenOf, type Wire } from "./wire.ts";
import {
  type Content,
  encodeJson,
  getManifest,
  keptManifest,
  makeBlob,
  pull,
  push,
  putManifest,
  type Workspace,
} from "./workspace.ts";

export const artifactType = "application/vnd.goldenpath.probe.v1+json";

/** A manifest over a blob that is there. `name` makes it another one each time. */
export function makeManifest(
  workspace: Pick<Workspace, "id">,
  blob: Descriptor,
  name: string,
  more: object = {},
): Content {
  return describe({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { ...blob, mediaType: mediaTypes.ociConfig },
    layers: [{ ...blob, mediaType: mediaTypes.ociLayerTar }],
    annotations: { "org.opencontainers.image.title": `goldenpath-probe-${workspace.id} ${name}` },
    ...more,
  });
}

function describe(manifest: { mediaType: string; [field: string]: unknown }): Content {
  const bytes = encodeJson(manifest);
  return { bytes, descriptor: { mediaType: manifest.mediaType, digest: digestOf(bytes), size: bytes.byteLength } };
}

function makeKinds(workspace: Workspace, blob: Descriptor, image: Content): Record<ManifestKind, Content> {
  const platform = { platform: { os: "linux", architecture: "amd64" } };
  const title = { "org.opencontainers.image.title": `goldenpath-probe-${workspace.id} index` };
  // Docker's have no annotations: the blob, which nobody else has, makes them this run's own.
  const dockerImage = describe({
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { ...blob, mediaType: mediaTypes.dockerConfig },
    layers: [{ ...blob, mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip" }],
  });
  return {
    "oci-image": image,
    "oci-index": describe({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [{ ...image.descriptor, ...platform }],
      annotations: title,
    }),
    "oci-artifact": makeManifest(workspace, blob, "artifact", { artifactType }),
    "docker-image": dockerImage,
    "docker-list": describe({
      schemaVersion: 2,
      mediaType: mediaTypes.dockerManifestList,
      manifests: [{ ...dockerImage.descriptor, ...platform }],
    }),
  };
}

async function putStored(workspace: Workspace, content: Content, reference: string, as: string): Promise<Stored> {
  const answer = await putManifest(workspace, reference, content.bytes, content.descriptor.mediaType, as);
  if (!isSuccess(answer)) return { answer: seenOf(answer), kept: "absent" };
  const digest = reference.startsWith("sha512:") ? (reference as Descriptor["digest"]) : content.descriptor.digest;
  return { answer: seenOf(answer), kept: await keptManifest(workspace, digest, content.descriptor.mediaType) };
}

export async function gatherManifests(workspace: Workspace, blob: Descriptor, image: Content): Promise<ManifestFacts> {
  const kinds: ManifestFacts["kinds"] = {};
  for (const [kind, content] of Object.entries(makeKinds(workspace, blob, image)) as [ManifestKind, Content][])
    kinds[kind] = await putStored(workspace, content, content.descriptor.digest, `PUT of a manifest (${kind})`);
  if (!isSuccess(kinds["oci-image"]?.answer ?? {})) return { kinds };
  const wrong = makeManifest(workspace, blob, "another digest");
  const sha512 = makeManifest(workspace, blob, "sha512");
  const missing = makeManifest(workspace, makeBlob(300).descriptor, "missing blob");
  return {
    kinds,
    large: await putStored(workspace, ...withDigest(makeLarge(workspace, blob)), "PUT of a manifest of 4 MiB"),
    wrongDigest: await putWrongDigest(workspace, wrong),
    sha512: await putStored(workspace, sha512, digestOf(sha512.bytes, "sha512"), "PUT of a manifest by sha512"),
    missingBlob: await putStored(workspace, ...withDigest(missing), "PUT of a manifest whose layer is not there"),
    notModified: await askNotModified(workspace, image),
  };
}

function withDigest(content: Content): [Content, string] {
  return [content, content.descriptor.digest];
}

/** Exactly as large as the specification says that a registry must take. */
function makeLarge(workspace: Workspace, blob: Descriptor): Content {
  const empty = makeManifest(workspace, blob, "large", { annotations: { padding: "" } });
  const padding = "x".repeat(maxManifestBytes - empty.bytes.byteLength);
  return makeManifest(workspace, blob, "large", { annotations: { padding } });
}

async function putWrongDigest(workspace: Workspace, content: Content): Promise<Stored> {
  const other = makeBlob(100).descriptor.digest;
  const answer = await putManifest(
    workspace,
    other,
    content.bytes,
    content.descriptor.mediaType,
    "PUT of a manifest under another's digest",
  );
  return { answer: seenOf(answer), kept: await keptManifest(workspace, other, content.descriptor.mediaType) };
}

async function askNotModified(
  workspace: Workspace,
  image: Content,
): Promise<NonNullable<ManifestFacts["notModified"]>> {
  const { digest, mediaType } = image.descriptor;
  const etag = (await getManifest(workspace, digest, mediaType)).headers["etag"];
  if (etag === undefined) return {};
  const answer = await getManifest(workspace, digest, mediaType, { "if-none-match": etag });
  return { etag, answer: { ...seenOf(answer), asked: "GET of a manifest, If-None-Match" } };
}

/** `subject` is there, where writing is allowed; otherwise whether there is a list at all is all that can be seen. */
export async function gatherReferrers(
  workspace: Workspace,
  blob: Descriptor | undefined,
  subject: Descriptor,
): Promise<ReferrerFacts> {
  const { repository, wire } = workspace;
  const list = (query = "") =>
    wire.ask({
      method: "GET",
      path: `${repository.name}/referrers/${subject.digest}${query}`,
      access: pull(repository),
      headers: { accept: mediaTypes.ociIndex },
      readUpTo: maxManifestBytes,
    });
  if (blob === undefined) {
    const answer = await list();
    return { list: seenOf(answer), isIndex: digestsOf(answer) !== undefined };
  }
  const referrer = makeManifest(workspace, blob, "referrer", { artifactType, subject });
  const { digest, mediaType } = referrer.descriptor;
  const pushed = await putManifest(workspace, digest, referrer.bytes, mediaType, "PUT of a manifest with a subject");
  const listed = await list();
  const filtered = await list(`?artifactType=${encodeURIComponent(artifactType)}`);
  const digests = digestsOf(listed);
  return {
    push: seenOf(pushed),
    list: seenOf(listed),
    isIndex: digests !== undefined,
    isListed: digests?.includes(digest) === true,
    filtered: seenOf(filtered),
  };
}

/** The digests in an index; undefined when it is none. */
function digestsOf(answer: Answer): string[] | undefined {
  if (answer.status !== 200) return undefined;
  const json = readJson(answer);
  if (typeof json !== "object" || json === null || !("manifests" in json)) return undefined;
  const manifests: unknown[] = Array.isArray(json.manifests) ? json.manifests : [];
  return manifests.flatMap((each) =>
    typeof each === "object" && each !== null && "digest" in each && typeof each.digest === "string"
      ? [each.digest]
      : [],
  );
}

function readJson(answer: Answer): unknown {
  try {
    return parseJson(new TextDecoder().decode(answer.bytes));
  } catch {
    return undefined;
  }
}

export function tagsOf(answer: Answer): string[] | undefined {
  const json = answer.status === 200 ? readJson(answer) : undefined;
  if (typeof json !== "object" || json === null || !("tags" in json)) return undefined;
  return Array.isArray(json.tags) ? json.tags.filter((tag): tag is string => typeof tag === "string") : [];
}

/**
 * More pages of one tag each than the probe's own tags need; in a repository with many others the answer stays open.
 */
const mostPages = 20;

export async function gatherTags(
  workspace: Workspace,
  plainHttp: readonly string[],
  set: readonly string[],
): Promise<TagFacts> {
  const { repository, wire } = workspace;
  const ask = (path: string | URL) =>
    wire.ask({ method: "GET", path, access: pull(repository), as: "GET tags/list?n=1" });
  const list = await wire.ask({
    method: "GET",
    path: `${repository.name}/tags/list`,
    access: pull(repository),
    readUpTo: maxManifestBytes,
  });
  const all = tagsOf(list);
  const facts: TagFacts = {
    list: seenOf(list),
    set: set.length,
    found: set.filter((tag) => all?.includes(tag)).length,
  };
  if (all === undefined) return facts;
  let page = await ask(`${repository.name}/tags/list?n=1`);
  const seen = new Set(tagsOf(page));
  Object.assign(facts, { page: seenOf(page), firstPage: tagsOf(page)?.length });
  let pages = 1;
  for (; pages < mostPages && page.url !== undefined; pages++) {
    const next = findNextLink(page.links);
    if (next === undefined) break;
    let url: URL;
    try {
      url = resolveOwnUrl(next, page.url, plainHttp, "a next page");
    } catch {
      break;
    }
    page = await ask(url);
    for (const tag of tagsOf(page) ?? []) seen.add(tag);
  }
  return { ...facts, pages, pagesFound: set.filter((tag) => seen.has(tag)).length };
}

/** Sets a tag and sets it again, to something else. */
export async function gatherMove(
  workspace: Workspace,
  blob: Descriptor,
  tag: string,
): Promise<NonNullable<TagFacts["move"]>> {
  const [one, two] = [makeManifest(workspace, blob, "first"), makeManifest(workspace, blob, "second")];
  const put = (content: Content, as: string) =>
    putManifest(workspace, tag, content.bytes, content.descriptor.mediaType, as);
  const first = await put(one, "PUT of a new tag");
  const second = await put(two, "PUT of the same tag, another manifest");
  const shown = digestOf((await getManifest(workspace, tag, one.descriptor.mediaType)).bytes);
  const shows = shown === one.descriptor.digest ? "first" : shown === two.descriptor.digest ? "second" : "neither";
  return { first: seenOf(first), second: seenOf(second), shows };
}

/** Compare-and-set on a tag of its own. */
export async function gatherConditions(workspace: Workspace, blob: Descriptor, tag: string): Promise<ConditionFacts> {
  const [one, two, three] = ["one", "two", "three"].map((name) =>
    makeManifest(workspace, blob, `condition ${name}`),
  ) as [Content, Content, Content];
  const put = (content: Content, as: string, headers: Record<string, string>) =>
    putManifest(workspace, tag, content.bytes, content.descriptor.mediaType, as, headers);
  const create = await put(one, "PUT of a new tag, If-None-Match: *", { "if-none-match": "*" });
  if (!isSuccess(create)) await put(one, "PUT of a new tag", {});
  const etag = (await getManifest(workspace, tag, one.descriptor.mediaType)).headers["etag"];
  const wrongMatch = await put(two, "PUT, wrong If-Match", { "if-match": `"${two.descriptor.digest}"` });
  const noneMatch = await put(three, "PUT over a tag, If-None-Match: *", { "if-none-match": "*" });
  const isUnmoved =
    digestOf((await getManifest(workspace, tag, one.descriptor.mediaType)).bytes) === one.descriptor.digest;
  // Without an ETag, the digest is what it would be.
  const rightMatch = isUnmoved
    ? await put(two, "PUT, right If-Match", { "if-match": etag?.replace(/^W\//, "") ?? `"${one.descriptor.digest}"` })
    : undefined;
  return {
    ...(etag === undefined ? {} : { etag }),
    create: seenOf(create),
    wrongMatch: seenOf(wrongMatch),
    noneMatch: seenOf(noneMatch),
    ...(rightMatch === undefined ? {} : { rightMatch: seenOf(rightMatch) }),
    isUnmoved,
  };
}

/** Deletes a tag, a manifest and a blob of its own making, and looks whether they are gone. */
export async function gatherDeletion(
  workspace: Workspace,
  blob: Descriptor,
  spare: Descriptor,
  tag: string,
): Promise<DeletionFacts> {
  const { repository, wire } = workspace;
  const image = makeManifest(workspace, blob, "to be deleted");
  const put = await putManifest(workspace, tag, image.bytes, image.descriptor.mediaType, "PUT of a tag to delete");
  const remove = async (wireToUse: Wire, path: string, what: string) => {
    const answer = await wireToUse.ask({
      method: "DELETE",
      path: `${repository.name}/${path}`,
      access: push(repository),
      as: `DELETE of ${what}`,
    });
    const after = await wireToUse.ask({
      method: "HEAD",
      path: `${repository.name}/${path}`,
      access: pull(repository),
      headers: path.startsWith("manifests/") ? { accept: image.descriptor.mediaType } : {},
    });
    return { answer: seenOf(answer), after: seenOf(after) };
  };
  const removedBlob = { blob: await remove(wire, `blobs/${spare.digest}`, "a blob") };
  if (!isSuccess(put)) return removedBlob;
  return {
    ...removedBlob,
    tag: await remove(wire, `manifests/${tag}`, "a tag"),
    manifest: await remove(wire, `manifests/${image.descriptor.digest}`, "a manifest"),
  };
}
