import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { answerError, unauthorizedError } from "./answers.ts";
import { basic, readToken, type Token, type TokenService, tokenRequest } from "./auth-token.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { RegistryClientOptions } from "./client.ts";
import type { CredentialStore } from "./credentials.ts";
import type { Credential } from "./docker-config.ts";
import { checkRealm, isSameOrigin, registryEndpoint } from "./endpoint.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";
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
type Method = { scheme: "basic" } | ({ scheme: "bearer" } & TokenService);

export function createAuthorizedTransport(
  transport: Transport,
  credentials: CredentialStore,
  { ports, plainHttp = [] }: Pick<RegistryClientOptions, "ports" | "plainHttp">,
): AuthorizedTransport {
  const methods = new Map<string, Method>();
  // Promises, so that requests at the same time share one token.
  const tokens = new Map<string, Promise<Token>>();
  // What a registry wants besides the scopes that follow from the request, by those: asked for from the start the next time.
  const widened = new Map<string, readonly string[]>();
  // Token services that do not know the POST of OAuth 2.
  const withoutPost = new Set<string>();

  async function send(request: TransportRequest, access: Access): Promise<TransportResponse> {
    const endpoint = registryEndpoint(access.repository.registry, plainHttp);
    // Uploads and pages may lead elsewhere; there, nobody is logged in.
    if (!isSameOrigin(request.url, endpoint)) return transport.send(request);
    const known = methods.get(endpoint.host);
    let shown = known === undefined ? undefined : await authorize(known, access, endpoint);
    for (let round = 1; ; round++) {
      const response = await transport.send(withAuthorization(request, shown));
      // Only the registry itself may ask for a login: a 401 from where it redirected to says that its own link is wrong.
      if (!isSameOrigin(response.url, endpoint) || (response.status !== 401 && response.status !== 403)) return response;
      const challenges = parseChallenges(response.headers("www-authenticate"));
      const asked = challenges.flatMap(({ parameters }) => parameters.get("scope")?.split(" ") ?? []);
      const before = scopesFor(access, endpoint);
      const isTooNarrow = challenges.some(isInsufficientScope) && mergeScopes([...before, ...asked]).join() !== before.join();
      // A first 401 asks who is there, or says that a token has expired; after that, and after a 403, only a token for more can help.
      if (challenges.length === 0 || round === 3 || ((round > 1 || response.status === 403) && !isTooNarrow)) return response;
      const method = chooseMethod(challenges, endpoint);
      if (method === undefined) {
        throw new InfrastructureError(`${endpoint.host} asks for a kind of login that is not known: only Basic and Bearer are`, {
          code: "registry-error",
          safeToRetry: false,
        });
      }
      methods.set(endpoint.host, method);
      widened.set(scopeKey(access, endpoint), mergeScopes([...before, ...asked]));
      const next = await authorize(method, access, endpoint, shown);
      // Nobody is logged in, or the very same has just been refused: asking again would change nothing.
      if (next === undefined || next === shown) return response;
      await response.discard();
      shown = next;
    }
  }

  function scopeKey(access: Access, endpoint: URL): string {
    return JSON.stringify([endpoint.host, scopesOf(access)]);
  }

  function scopesFor(access: Access, endpoint: URL): readonly string[] {
    return widened.get(scopeKey(access, endpoint)) ?? mergeScopes(scopesOf(access));
  }

  /** `refused`: what the registry has just said no to. */
  async function authorize(method: Method, access: Access, endpoint: URL, refused?: string): Promise<string | undefined> {
    const credential = await credentials.find(access.repository);
    if (credential?.kind === "registry-token") return `Bearer ${credential.token}`;
    if (method.scheme === "basic") return credential?.kind === "basic" ? basic(credential.username, credential.password) : undefined;
    const scopes = scopesFor(access, endpoint);
    const key = JSON.stringify([endpoint.host, method.realm.href, method.service, scopes, formatRepository(access.repository)]);
    const current = tokens.get(key);
    const cached = current === undefined ? undefined : await current.catch(() => undefined);
    if (cached !== undefined && cached.until > Date.now() && bearer(cached) !== refused) return bearer(cached);
    // Whoever waited as well may have asked for a new one by now.
    const latest = tokens.get(key);
    if (latest !== undefined && latest !== current) return bearer(await latest);
    // Should it fail, whoever finds it here asks anew.
    const fetched = fetchToken(method, scopes, access, credential);
    tokens.set(key, fetched);
    return bearer(await fetched);
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
    scopes: readonly string[],
    access: Access,
    credential: Credential | undefined,
  ): Promise<Token> {
    const { realm } = method;
    const request = (): TransportRequest => tokenRequest(method, scopes, credential, withoutPost.has(realm.href));
    let response = await transport.send(request());
    if (credential?.kind === "identity-token" && [404, 405].includes(response.status) && !withoutPost.has(realm.href)) {
      withoutPost.add(realm.href);
      response = await transport.send(request());
    }
    if (response.status === 401 || response.status === 403 || (response.status === 400 && credential?.kind === "identity-token")) {
      const who = credential === undefined ? "without a login" : "with the login that is there";
      throw unauthorizedError(access.repository, verbOf(access), `${who} (${realm.host} answers ${response.status})`);
    }
    if (response.status >= 300) throw answerError(response, access.repository, verbOf(access), `a token from ${realm.host}`);
    const token = readToken(response, realm.host, Date.now());
    for (const secret of token.secrets) ports.mask(secret);
    return token;
  }

  return { send };
}

function withAuthorization(request: TransportRequest, authorization: string | undefined): TransportRequest {
  return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
}

function bearer(token: Token): string {
  return `Bearer ${token.value}`;
}

/** RFC 6750 has 403 for it, registries have 401: the login is good, the token was asked for too little. */
function isInsufficientScope({ scheme, parameters }: Challenge): boolean {
  return scheme === "bearer" && parameters.get("error") === "insufficient_scope" && parameters.has("scope");
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

export function isUnauthorized(error: unknown): boolean {
  return error instanceof UserError && error.code === "registry-unauthorized";
}
