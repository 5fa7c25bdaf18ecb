import { createHash } from "node:crypto";
import { checkPreconditions, etagHeader, isNotModified } from "./conditions.ts";
import { RegistryError, refuse } from "./errors.ts";
import { algorithmOf, type Digest, isDigest, isTag } from "./grammar.ts";
import { maxManifestBytes, parseManifest } from "./manifest.ts";
import { type Exchange, emptyReply, type Reply } from "./reply.ts";
import type { Repositories } from "./repositories.ts";
import { checkQuotas, checkTagMovable, type RegistrySettings } from "./settings.ts";
import type { RepositoryState } from "./store.ts";

/** A manifest's place in the path: a digest, or otherwise a tag. */
type ManifestName = { digest: Digest } | { tag: string };

function parseManifestName(text: string): ManifestName {
  if (isDigest(text)) return { digest: text };
  if (text.includes(":")) return refuse(400, "DIGEST_INVALID", `'${text}' is not a sha256 or sha512 digest`);
  return isTag(text) ? { tag: text } : refuse(400, "MANIFEST_INVALID", `'${text}' is neither a tag nor a digest`);
}

/** The digest that a name stands for in a repository now, if any. */
function resolve(
  state: Readonly<RepositoryState> | undefined,
  name: ManifestName,
  settings?: RegistrySettings,
): Digest | undefined {
  if ("tag" in name) {
    const digest = name.tag.replace(/^(sha256|sha512)-/, "$1:");
    const isAlias = settings?.digestTags === true && isDigest(digest) && state?.manifests.has(digest) === true;
    return state?.tags.get(name.tag) ?? (isAlias ? digest : undefined);
  }
  return state?.manifests.has(name.digest) === true ? name.digest : undefined;
}

export async function serveManifest(
  repositories: Repositories,
  exchange: Exchange,
  name: string,
  reference: string,
  settings: RegistrySettings,
): Promise<Reply> {
  const state = repositories.find(name);
  const digest = resolve(state, parseManifestName(reference), settings);
  const record = digest === undefined ? undefined : state?.manifests.get(digest);
  if (digest === undefined || record === undefined) return refuseUnknownManifest(name, reference);
  const validators = { "Docker-Content-Digest": digest, ...etagHeader(digest, settings) };
  if (isNotModified(exchange, digest)) return emptyReply(304, validators);
  const headers = { ...validators, "Content-Type": record.mediaType, "Content-Length": String(record.size) };
  if (exchange.method === "HEAD") return { status: 200, headers };
  const body = await repositories.readContent(digest);
  return body === undefined ? refuseUnknownManifest(name, reference) : { status: 200, headers, body };
}

/** PUT under a tag or a digest; with a digest, `?tag=` may name tags to point to it at the same time. */
export async function putManifest(
  repositories: Repositories,
  exchange: Exchange,
  name: string,
  reference: string,
  settings: RegistrySettings,
): Promise<Reply> {
  const target = parseManifestName(reference);
  const tags = "tag" in target ? [target.tag] : exchange.query.getAll("tag");
  for (const tag of tags) if (!isTag(tag)) return refuse(400, "MANIFEST_INVALID", `'${tag}' is not a tag`);
  const bytes = await readManifest(exchange);
  const algorithm = "digest" in target ? algorithmOf(target.digest) : "sha256";
  const digest: Digest = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if ("digest" in target && target.digest !== digest) {
    return refuse(400, "DIGEST_INVALID", `the manifest's digest is ${digest}, not ${target.digest}`, {
      detail: { digest },
    });
  }
  const { record, blobs, children } = parseManifest(bytes, exchange.headers["content-type"]);
  await repositories.putManifest(name, digest, bytes, record, tags, (state) => {
    checkPreconditions(exchange, reference, resolve(state, target), settings);
    for (const tag of tags) checkTagMovable(settings, name, tag, state.tags.get(tag), digest);
    checkQuotas(settings, name, digest, bytes.byteLength, repositories.holdings);
    const missing = [
      ...blobs.filter((blob) => !state.blobs.has(blob)),
      // A child that isn't a manifest of a known kind can have been pushed as a blob.
      ...children.filter((child) => !state.manifests.has(child) && !state.blobs.has(child)),
    ];
    if (missing.length === 0) return;
    throw new RegistryError(
      400,
      [...new Set(missing)].map((wanted) => ({
        code: "MANIFEST_BLOB_UNKNOWN",
        message: `${name} has no ${wanted}, which the manifest refers to`,
        detail: { digest: wanted },
      })),
    );
  });
  const reply = emptyReply(201, {
    Location: `/v2/${name}/manifests/${reference}`,
    "Docker-Content-Digest": digest,
    ...etagHeader(digest, settings),
    ...(record.subject !== undefined && settings.referrers ? { "OCI-Subject": record.subject } : {}),
    ...("digest" in target && tags.length > 0 ? { "OCI-Tag": tags.join(", ") } : {}),
  });
  return record.subject === undefined ? reply : { ...reply, subject: record.subject };
}

export async function deleteManifest(
  repositories: Repositories,
  exchange: Exchange,
  name: string,
  reference: string,
  settings: RegistrySettings,
): Promise<Reply> {
  const target = parseManifestName(reference);
  if (repositories.find(name) === undefined) return refuse(404, "NAME_UNKNOWN", `there is no repository ${name}`);
  const check = (state: Readonly<RepositoryState>) => {
    const current = resolve(state, target);
    checkPreconditions(exchange, reference, current, settings);
    for (const [tag, digest] of state.tags) {
      if ("tag" in target ? tag === target.tag : digest === current)
        checkTagMovable(settings, name, tag, digest, undefined);
    }
  };
  const deleted =
    "tag" in target
      ? await repositories.deleteTag(name, target.tag, check)
      : await repositories.deleteManifest(name, target.digest, check);
  return deleted ? emptyReply(202) : refuseUnknownManifest(name, reference);
}

async function readManifest(exchange: Exchange): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of exchange.body) {
    size += chunk.byteLength;
    if (size > maxManifestBytes) return refuse(413, "SIZE_INVALID", `a manifest has at most ${maxManifestBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refuseUnknownManifest(name: string, reference: string): never {
  return refuse(404, "MANIFEST_UNKNOWN", `${name} has no manifest '${reference}'`, { detail: { reference } });
}
