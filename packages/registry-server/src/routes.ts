import type { Access, Authorizer } from "./auth.ts";
import { refuse } from "./errors.ts";
import { isRepositoryName } from "./grammar.ts";
import { type Exchange, jsonReply, type Reply } from "./reply.ts";
import type { Repositories } from "./repositories.ts";
import { deleteBlob, parseDigest, serveBlob } from "./routes-blobs.ts";
import { listReferrers, listRepositories, listTags } from "./routes-lists.ts";
import { deleteManifest, putManifest, serveManifest } from "./routes-manifests.ts";
import type { Uploads } from "./routes-uploads.ts";
import { checkWritable, type RegistrySettings } from "./settings.ts";

export interface RouteOptions {
  repositories: Repositories;
  uploads: Uploads;
  authorizer: Authorizer;
  settings: RegistrySettings;
}

type Route =
  | { kind: "base" | "catalog" | "token" | "unknown" }
  | { kind: "blob" | "manifest" | "referrers" | "upload"; name: string; reference: string }
  | { kind: "uploads" | "tags"; name: string };

/**
 * A decoded path → what it addresses. Names are greedy, so `/v2/a/blobs/uploads/tags/list` lists the tags of
 * `a/blobs/uploads`.
 */
export function matchRoute(path: string): Route {
  if (path === "/v2" || path === "/v2/") return { kind: "base" };
  if (path === "/v2/_catalog") return { kind: "catalog" };
  if (path === "/token") return { kind: "token" };
  const [, name = "", rest = ""] =
    /^\/v2\/(.+)\/(blobs\/uploads\/?|blobs\/uploads\/[^/]+|blobs\/[^/]+|manifests\/[^/]+|referrers\/[^/]+|tags\/list)$/.exec(
      path,
    ) ?? [];
  if (name === "") return { kind: "unknown" };
  if (rest === "tags/list") return { kind: "tags", name };
  const reference = rest.slice(rest.lastIndexOf("/") + 1);
  if (rest.startsWith("blobs/uploads"))
    return reference === "" || reference === "uploads"
      ? { kind: "uploads", name }
      : { kind: "upload", name, reference };
  const kind = rest.startsWith("blobs/") ? "blob" : rest.startsWith("manifests/") ? "manifest" : "referrers";
  return { kind, name, reference };
}

/** Answers one request, or throws the RegistryError that answers it. */
export async function handleExchange(options: RouteOptions, exchange: Exchange): Promise<Reply> {
  const { authorizer, repositories, settings, uploads } = options;
  const route = matchRoute(exchange.path);
  switch (route.kind) {
    case "token":
      return authorizer.serveToken === undefined ? refuseUnknownPath(exchange) : authorizer.serveToken(exchange);
    case "base":
      authorizer.authorize(exchange, []);
      expectMethods(exchange, ["GET", "HEAD"]);
      return jsonReply(200, {});
    case "catalog":
      authorizer.authorize(exchange, [{ type: "registry", name: "catalog", action: "*" }]);
      expectMethods(exchange, ["GET"]);
      return listRepositories(repositories, exchange, settings.pageSize);
    case "unknown":
      return refuseUnknownPath(exchange);
  }
  const { name } = route;
  if (!isRepositoryName(name)) return refuse(400, "NAME_INVALID", `'${name}' is not a repository's name`);
  authorizer.authorize(exchange, accessFor(route.kind, exchange.method, name));
  if (!isRead(exchange.method)) checkWritable(settings, name);
  switch (route.kind) {
    case "blob": {
      expectMethods(exchange, ["GET", "HEAD", "DELETE"]);
      const digest = parseDigest(route.reference);
      return exchange.method === "DELETE"
        ? deleteBlob(repositories, name, digest)
        : serveBlob(repositories, exchange, name, digest, settings);
    }
    case "uploads":
      expectMethods(exchange, ["POST"]);
      return uploads.start(
        exchange,
        name,
        (source) => isRepositoryName(source) && authorizer.mayPull(exchange, source),
      );
    case "upload":
      return uploads.proceed(exchange, name, route.reference);
    case "manifest":
      expectMethods(exchange, ["GET", "HEAD", "PUT", "DELETE"]);
      if (exchange.method === "PUT") return putManifest(repositories, exchange, name, route.reference, settings);
      if (exchange.method === "DELETE") return deleteManifest(repositories, exchange, name, route.reference, settings);
      return serveManifest(repositories, exchange, name, route.reference, settings);
    case "tags":
      expectMethods(exchange, ["GET"]);
      return listTags(repositories, exchange, name, settings.pageSize);
    case "referrers":
      if (!settings.referrers) return refuseUnknownPath(exchange);
      expectMethods(exchange, ["GET"]);
      return listReferrers(repositories, exchange, name, parseDigest(route.reference), settings.pageSize);
  }
}

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** Uploading needs both rights, as in CNCF distribution; giving up an upload is a part of it, and no deletion. */
function accessFor(kind: Route["kind"], method: string, name: string): Access[] {
  const actions =
    kind === "upload" || kind === "uploads" || method === "PUT"
      ? ["pull", "push"]
      : method === "DELETE"
        ? ["delete"]
        : ["pull"];
  return actions.map((action) => ({ type: "repository", name, action }));
}

function expectMethods(exchange: Exchange, methods: readonly string[]): void {
  if (methods.includes(exchange.method)) return;
  refuse(405, "UNSUPPORTED", `${exchange.method} is not supported here`, { headers: { Allow: methods.join(", ") } });
}

function refuseUnknownPath(exchange: Exchange): never {
  return refuse(404, "UNSUPPORTED", `there is nothing at '${exchange.path}'`);
}
