import { z } from "zod";
import { InfrastructureError, UserError } from "../errors.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { answerError, unauthorizedError } from "./answers.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { RegistryClientOptions } from "./client.ts";
import type { CredentialStore } from "./credentials.ts";
import { type Credential, encodeBasic } from "./docker-config.ts";
import { checkRealm, isSameOrigin, registryEndpoint } from "./endpoint.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

/** What a request is about to do; its token is asked for that, and nothing more. */
export interface Access {
  repository: Repository;
  action: "pull" | "push";
  /** The repository that a blob is mounted from, in the same registry: needs to be readable with the same token. */
  mountFrom?: Repository;
}

export interface AuthorizedTransport {
  /**
   * Sends a request with the authorization that its host asks for. A 401 or 403 that remains is an answer.
   * @throws what {@link Transport.send} throws; UserError `registry-unauthorized` when the token service refuses; InfrastructureError `realm-refused`,
   *   `token-invalid`
   */
  send(request: TransportRequest, access: Access): Promise<TransportResponse>;
}

/** How a host wants to be shown who asks, learnt from its first 401. */
type Method = { scheme: "basic" } | { scheme: "bearer"; realm: URL; service: string | undefined };

interface CachedToken {
  authorization: string;
  /** Milliseconds since the epoch. */
  until: number;
}

const tokenSchema = z.looseObject({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
});
const maxTokenBytes = 1024 * 1024;
/** The distribution specification's lifetime for a token that does not say its own. Seconds. */
const defaultLifetime = 60;
/** A token is not used in its last seconds, which a slow request may not survive. */
const expiryMargin = 10;

export function createAuthorizedTransport(
  transport: Transport,
  credentials: CredentialStore,
  { ports, plainHttp = [] }: Pick<RegistryClientOptions, "ports" | "plainHttp">,
): AuthorizedTransport {
  const methods = new Map<string, Method>();
  // Promises, so that requests at the same time share one token.
  const tokens = new Map<string, Promise<CachedToken>>();

  async function send(request: TransportRequest, access: Access): Promise<TransportResponse> {
    const endpoint = registryEndpoint(access.repository.registry, plainHttp);
    // Uploads and pages may lead elsewhere; there, nobody is logged in.
    if (!isSameOrigin(request.url, endpoint)) return transport.send(request);
    const known = methods.get(endpoint.host);
    const first = known === undefined ? undefined : await authorize(known, access, endpoint);
    const response = await transport.send(withAuthorization(request, first));
    // Only the registry itself may ask for a login: a 401 from where it redirected to says that its own link is wrong.
    if (response.status !== 401 || !isSameOrigin(response.url, endpoint)) return response;
    const challenge = response.headers("www-authenticate");
    if (challenge.length === 0) return response;
    const challenges = parseChallenges(challenge);
    const method = chooseMethod(challenges, endpoint);
    if (method === undefined) {
      throw new InfrastructureError(`${endpoint.host} asks for a kind of login that is not known: only Basic and Bearer are`, {
        code: "registry-error",
        safeToRetry: false,
      });
    }
    methods.set(endpoint.host, method);
    const asked = challenges.flatMap(({ parameters }) => parameters.get("scope")?.split(" ") ?? []);
    const second = await authorize(method, access, endpoint, first, asked);
    // Nobody is logged in, or the very same has just been refused: asking again would change nothing.
    if (second === undefined || (second === first && method.scheme === "basic")) return response;
    await response.discard();
    return transport.send(withAuthorization(request, second));
  }

  /** `refused`: what the registry has just said no to; `asked`: the scopes that it named in doing so. */
  async function authorize(
    method: Method,
    access: Access,
    endpoint: URL,
    refused?: string,
    asked: readonly string[] = [],
  ): Promise<string | undefined> {
    const credential = await credentials.find(access.repository);
    if (credential?.kind === "registry-token") return `Bearer ${credential.token}`;
    if (method.scheme === "basic") return credential?.kind === "basic" ? basic(credential) : undefined;
    const scopes = mergeScopes([...scopesOf(access), ...asked]);
    const key = JSON.stringify([endpoint.host, method.realm.href, method.service, scopes, formatRepository(access.repository)]);
    const current = tokens.get(key);
    const cached = current === undefined ? undefined : await current.catch(() => undefined);
    if (cached !== undefined && cached.until > Date.now() && cached.authorization !== refused) return cached.authorization;
    // Whoever waited as well may have asked for a new one by now.
    const latest = tokens.get(key);
    if (latest !== undefined && latest !== current) return (await latest).authorization;
    const fetched = fetchToken(method, scopes, access, credential);
    tokens.set(key, fetched);
    try {
      return (await fetched).authorization;
    } catch (error) {
      if (tokens.get(key) === fetched) tokens.delete(key);
      throw error;
    }
  }

  function chooseMethod(challenges: Challenge[], endpoint: URL): Method | undefined {
    const bearer = challenges.find((challenge) => challenge.scheme === "bearer" && challenge.parameters.has("realm"));
    if (bearer !== undefined) {
      return {
        scheme: "bearer",
        realm: checkRealm(bearer.parameters.get("realm") ?? "", endpoint, plainHttp),
        service: bearer.parameters.get("service"),
      };
    }
    return challenges.some((challenge) => challenge.scheme === "basic") ? { scheme: "basic" } : undefined;
  }

  async function fetchToken(
    method: Method & { scheme: "bearer" },
    scopes: string[],
    access: Access,
    credential: Credential | undefined,
  ): Promise<CachedToken> {
    const response = await transport.send(tokenRequest(method, scopes, credential));
    if (response.status === 401 || response.status === 403 || (response.status === 400 && credential?.kind === "identity-token")) {
      const who = credential === undefined ? "without a login" : "with the login that is there";
      throw unauthorizedError(access.repository, verbOf(access), `${who} (${method.realm.host} answers ${response.status})`);
    }
    if (response.status >= 300) throw answerError(response, access.repository, verbOf(access), `a token from ${method.realm.host}`);
    return readToken(response, method.realm.host);
  }

  function readToken(response: TransportResponse, host: string): CachedToken {
    const invalid = (why: string): InfrastructureError =>
      new InfrastructureError(`${host} gives no usable token: ${why}`, { code: "token-invalid", attempts: response.attempts });
    let json: unknown;
    try {
      json = JSON.parse(new TextDecoder().decode(response.bytes));
    } catch {
      throw invalid("its answer is not JSON");
    }
    const parsed = tokenSchema.safeParse(json);
    if (!parsed.success) throw invalid("its answer has other fields than a token's");
    const token = parsed.data.token || parsed.data.access_token;
    if (token === undefined || token === "") throw invalid("its answer has neither token nor access_token");
    // What RFC 6750 allows in the header; a line break here would be a header of the server's own.
    if (!/^[\x21-\x7e]+$/.test(token)) throw invalid("it has characters that no token has");
    ports.mask(token);
    const lifetime = Math.max(parsed.data.expires_in ?? defaultLifetime, 0);
    return { authorization: `Bearer ${token}`, until: Date.now() + Math.max(lifetime - expiryMargin, 1) * 1000 };
  }

  return { send };
}

function withAuthorization(request: TransportRequest, authorization: string | undefined): TransportRequest {
  return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
}

function basic(credential: Credential & { kind: "basic" }): string {
  return `Basic ${encodeBasic(credential.username, credential.password)}`;
}

function verbOf(access: Access): string {
  return access.action === "pull" ? "pull from" : "push to";
}

function scopesOf(access: Access): string[] {
  const own = `repository:${access.repository.name}:${access.action === "pull" ? "pull" : "pull,push"}`;
  return access.mountFrom === undefined ? [own] : [own, `repository:${access.mountFrom.name}:pull`];
}

/** `repository:a:pull` and `repository:a:push,pull` → `repository:a:pull,push`: one scope for each thing, in the order in which they first came. */
export function mergeScopes(scopes: readonly string[]): string[] {
  const merged = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(":");
    if (colon < 1) continue;
    const thing = scope.slice(0, colon);
    const actions = merged.get(thing) ?? new Set();
    for (const action of scope.slice(colon + 1).split(",")) if (action !== "") actions.add(action);
    merged.set(thing, actions);
  }
  return [...merged].filter(([, actions]) => actions.size > 0).map(([thing, actions]) => `${thing}:${[...actions].sort().join(",")}`);
}

/**
 * The token request: GET with Basic (or as nobody), and for an identity token a POST by OAuth 2's refresh grant, as distribution's token documents have them.
 */
function tokenRequest(method: Method & { scheme: "bearer" }, scopes: string[], credential: Credential | undefined): TransportRequest {
  if (credential?.kind === "identity-token") {
    const form = new URLSearchParams({ grant_type: "refresh_token", client_id: "goldenpath", refresh_token: credential.token });
    if (method.service !== undefined) form.set("service", method.service);
    form.set("scope", scopes.join(" "));
    return {
      method: "POST",
      url: method.realm,
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: new TextEncoder().encode(form.toString()),
      readUpTo: maxTokenBytes,
    };
  }
  const url = new URL(method.realm);
  if (method.service !== undefined) url.searchParams.set("service", method.service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  return {
    method: "GET",
    url,
    headers: { accept: "application/json", ...(credential?.kind === "basic" ? { authorization: basic(credential) } : {}) },
    readUpTo: maxTokenBytes,
  };
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof UserError && error.code === "registry-unauthorized";
}
