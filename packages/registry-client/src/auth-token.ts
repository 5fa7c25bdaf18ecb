import { InfrastructureError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { type Credential, encodeBasic } from "./docker-config.ts";
import type { TransportRequest, TransportResponse } from "./transport.ts";

/** Where tokens come from, as a Bearer challenge says. */
export interface TokenService {
  realm: URL;
  service: string | undefined;
}

export interface Token {
  value: string;
  /** Milliseconds since the epoch from which on a new one is asked for. */
  until: number;
  /** What in the answer must not be readable in any output. */
  secrets: string[];
}

// Lifetimes are read apart: an odd one is a reason to ask again early, and none to refuse the token.
const tokenSchema = z.looseObject({
  token: z.string().nullish(),
  access_token: z.string().nullish(),
  refresh_token: z.unknown().optional(),
  expires_in: z.unknown().optional(),
  issued_at: z.unknown().optional(),
});
const maxTokenBytes = 1024 * 1024;
/** The distribution specification's lifetime for a token that does not say its own. Seconds. */
const defaultLifetime = 60;
/** A token that says it lives longer is asked for anew all the same. Seconds. */
const maxLifetime = 24 * 60 * 60;
/** A token is not used in its last seconds, which a slow request may not survive. */
const expiryMargin = 10;

/**
 * The token request: GET with Basic (or as nobody), and for an identity token a POST by OAuth 2's refresh grant, as
 * distribution's token documents have them. `withoutPost`: the service does not know the POST, so that the identity
 * token goes by GET as the password of a user without a name, as containerd sends it.
 */
export function tokenRequest(
  { realm, service }: TokenService,
  scopes: readonly string[],
  credential: Credential | undefined,
  withoutPost = false,
): TransportRequest {
  if (credential?.kind === "identity-token" && !withoutPost) {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: "goldenpath",
      refresh_token: credential.token,
    });
    if (service !== undefined) form.set("service", service);
    form.set("scope", scopes.join(" "));
    return {
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: new TextEncoder().encode(form.toString()),
      readUpTo: maxTokenBytes,
    };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const login = credential === undefined ? undefined : basicOf(credential);
  return {
    method: "GET",
    url,
    headers: { accept: "application/json", ...(login === undefined ? {} : { authorization: login }) },
    readUpTo: maxTokenBytes,
  };
}

function basicOf(credential: Credential): string | undefined {
  if (credential.kind === "basic") return basic(credential.username, credential.password);
  return credential.kind === "identity-token" ? basic("", credential.token) : undefined;
}

export function basic(username: string, password: string): string {
  return `Basic ${encodeBasic(username, password)}`;
}

/**
 * The token service's answer → the token.
 * @throws InfrastructureError `token-invalid`
 */
export function readToken(response: Pick<TransportResponse, "bytes" | "attempts">, host: string, now: number): Token {
  const invalid = (why: string): InfrastructureError =>
    new InfrastructureError(`${host} gives no usable token: ${why}`, {
      code: "token-invalid",
      attempts: response.attempts,
    });
  let json: unknown;
  try {
    json = parseJson(new TextDecoder().decode(response.bytes));
  } catch {
    throw invalid("its answer is not JSON");
  }
  const parsed = tokenSchema.safeParse(json);
  if (!parsed.success) throw invalid("its answer has other fields than a token's");
  const { refresh_token, expires_in, issued_at } = parsed.data;
  const value = parsed.data.token || parsed.data.access_token || "";
  if (value === "") throw invalid("its answer has neither token nor access_token");
  // What RFC 6750 allows in the header; a line break here would be a header of the server's own.
  if (!/^[\x21-\x7e]+$/.test(value)) throw invalid("it has characters that no token has");
  const secrets = typeof refresh_token === "string" && refresh_token !== "" ? [value, refresh_token] : [value];
  return { value, secrets, until: now + tokenLifetime(expires_in, issued_at, now) };
}

/**
 * How long to use a token, in milliseconds: `expires_in` seconds from `issued_at` on, less a margin. At least a second,
 * whatever is said, since a token that is refused is asked for anew in any case; a missing or senseless `expires_in` is
 * the specification's minute.
 */
export function tokenLifetime(expiresIn: unknown, issuedAt: unknown, now: number): number {
  const stated = typeof expiresIn === "number" && !Number.isNaN(expiresIn) ? expiresIn : defaultLifetime;
  const lifetime = Math.min(Math.max(stated, 0), maxLifetime) * 1000;
  // A token out of the service's cache has lived for a while. A time in the future, or so long ago that the token would
  // be dead, is a clock that is off.
  const age = typeof issuedAt === "string" ? now - Date.parse(issuedAt) : Number.NaN;
  const rest = age > 0 && age < lifetime ? lifetime - age : lifetime;
  return Math.max(rest - expiryMargin * 1000, 1000);
}
