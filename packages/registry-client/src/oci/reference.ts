import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, isDigest } from "./digest.ts";

/**
 * A repository: `host[:port]` and the path under it, as the distribution specification has them, with Docker Hub's
 * short names expanded.
 */
export interface Repository {
  /** `localhost:5000`, `ghcr.io`, `registry-1.docker.io` is written as `docker.io`. */
  registry: string;
  /** `quarantine/shop`; always lower case. */
  name: string;
}

export interface Reference extends Repository {
  tag?: string;
  digest?: Digest;
}

/** A reference that a digest pins; a tag beside it is for people. */
export type PinnedReference = Reference & { digest: Digest };

/** Which image, and where: what anything is said about. */
export interface ImageId {
  repository: Repository;
  digest: Digest;
}

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const namePattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const label = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const hostPattern = new RegExp(`^(?:\\[[0-9a-f:]+\\]|${label}(?:\\.${label})*)(?::[0-9]{1,5})?$`);

/**
 * Parses `host/name[:tag][@digest]` by the grammar of distribution/reference. A first component without dot, colon or
 * `localhost` is a path on Docker Hub. The host comes out in lower case, since `GHCR.io` and `ghcr.io` are one registry
 * and must not count as two where a policy names it.
 * @throws UserError `reference-invalid`
 */
export function parseReference(text: string, what = "image"): Reference {
  const fail = (why: string): never => {
    throw new UserError(`${what} '${text}' is not an image reference: ${why}`, {
      code: "reference-invalid",
      wayOut: "Write it as HOST/NAME:TAG or HOST/NAME@sha256:DIGEST.",
    });
  };
  if (text.length === 0) return fail("it is empty");
  if (text !== text.trim() || /\s/.test(text)) return fail("it contains white space");
  // Before anything is put into lower case, which makes an ASCII k of the Kelvin sign.
  if (!/^[!-~]+$/.test(text)) return fail("it has characters other than those of ASCII");
  const at = text.indexOf("@");
  const digestText = at === -1 ? undefined : text.slice(at + 1);
  const digest = isDigest(digestText) ? digestText : undefined;
  if (digestText !== undefined && digest === undefined) return fail("what follows @ is not a sha256 or sha512 digest");
  let rest = at === -1 ? text : text.slice(0, at);
  const colon = rest.lastIndexOf(":");
  const tag = colon > rest.lastIndexOf("/") ? rest.slice(colon + 1) : undefined;
  if (tag !== undefined && colon !== -1) {
    if (!tagPattern.test(tag)) return fail(`'${tag}' is not a tag`);
    rest = rest.slice(0, colon);
  }
  const slash = rest.indexOf("/");
  const first = slash === -1 ? "" : rest.slice(0, slash);
  const hasHost = first.includes(".") || first.includes(":") || first === "localhost";
  const host = hasHost ? first.toLowerCase() : "docker.io";
  const registry = host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
  let name = hasHost ? rest.slice(slash + 1) : rest;
  if (registry === "docker.io" && !name.includes("/")) name = `library/${name}`;
  if (!isHost(registry)) return fail(`'${registry}' is not a host`);
  if (name.length > 255 || !namePattern.test(name))
    return fail(`'${name}' is not a repository name (lower case letters, digits, . _ - and /)`);
  return { registry, name, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

function isHost(host: string): boolean {
  if (host.length > 255 || !hostPattern.test(host)) return false;
  const url = URL.parse(`https://${host}/`);
  // Numbers that a URL reads as an address (`0x7f.1` is 127.0.0.1) would go elsewhere than what was written.
  return url !== null && (url.hostname === host.replace(/:[0-9]+$/, "") || host.startsWith("["));
}

/** A repository without tag or digest. */
export function parseRepository(text: string, what = "repository"): Repository {
  const reference = parseReference(text, what);
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw new UserError(`${what} '${text}' must name a repository alone, without tag or digest`, {
      code: "reference-invalid",
    });
  }
  return { registry: reference.registry, name: reference.name };
}

export function formatRepository(repository: Repository): string {
  return `${repository.registry}/${repository.name}`;
}

export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  return `${formatRepository(reference)}${tag}${reference.digest === undefined ? "" : `@${reference.digest}`}`;
}

export function isSameRepository(a: Repository, b: Repository): boolean {
  return a.registry === b.registry && a.name === b.name;
}

/**
 * True where `prefix` is the repository itself or a whole-component parent of it: `host/vetted` holds
 * `host/vetted/shop`, not `host/vetted2`.
 */
export function isWithin(repository: Repository, prefix: string): boolean {
  const full = formatRepository(repository);
  const parent = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  return full === parent || full.startsWith(`${parent}/`);
}
