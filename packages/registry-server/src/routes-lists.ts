import { paginate, renderNextLink } from "./conditions.ts";
import { refuse } from "./errors.ts";
import type { Digest } from "./grammar.ts";
import { indexMediaType, maxManifestBytes } from "./manifest.ts";
import { type Exchange, jsonReply, type Reply } from "./reply.ts";
import type { Repositories } from "./repositories.ts";

export function listTags(
  repositories: Repositories,
  exchange: Exchange,
  name: string,
  pageSize: number | undefined,
): Reply {
  const state = repositories.find(name);
  if (state === undefined) return refuse(404, "NAME_UNKNOWN", `there is no repository ${name}`);
  const { page, next } = paginate([...state.tags.keys()].sort(), exchange.query, pageSize);
  return jsonReply(200, { name, tags: page }, next === undefined ? {} : renderNextLink(exchange, next));
}

export function listRepositories(repositories: Repositories, exchange: Exchange, pageSize: number | undefined): Reply {
  const { page, next } = paginate(repositories.names(), exchange.query, pageSize);
  return jsonReply(200, { repositories: page }, next === undefined ? {} : renderNextLink(exchange, next));
}

/**
 * The manifests of a repository that name `subject` as theirs, sorted by digest, whether or not the subject exists. An
 * unknown repository has none: a 404 would say that the registry doesn't have this API. A page is never larger than a
 * manifest may be.
 */
export function listReferrers(
  repositories: Repositories,
  exchange: Exchange,
  name: string,
  subject: Digest,
  pageSize: number = Number.POSITIVE_INFINITY,
): Reply {
  const filter = exchange.query.get("artifactType");
  const last = exchange.query.get("last");
  const found = repositories
    .referrers(name, subject)
    .filter(([, record]) => filter === null || record.artifactType === filter)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .filter(([digest]) => last === null || digest > last)
    .map(([digest, { mediaType, size, artifactType, annotations }]) => ({
      mediaType,
      digest,
      size,
      artifactType,
      annotations,
    }));
  // Room for the index around the descriptors.
  let room = maxManifestBytes - 1024;
  const page = [];
  for (const descriptor of found) {
    room -= Buffer.byteLength(JSON.stringify(descriptor)) + 1;
    if (page.length === pageSize || (page.length > 0 && room < 0)) break;
    page.push(descriptor);
  }
  const next = page.length < found.length ? page.at(-1)?.digest : undefined;
  const headers = {
    ...(filter === null ? {} : { "OCI-Filters-Applied": "artifactType" }),
    ...(next === undefined ? {} : renderNextLink(exchange, next)),
  };
  return jsonReply(200, { schemaVersion: 2, mediaType: indexMediaType, manifests: page }, headers, indexMediaType);
}
