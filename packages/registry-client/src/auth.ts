import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type Access, mergeScopes, scopesOf } from "./access.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { RegistryClientOptions } from "./client.ts";
import type { CredentialStore } from "./credentials.ts";
import { checkRealm, isSameOrigin, registryEndpoint } from "./endpoint.ts";
import { createLogins, type LoginMethod } from "./login.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

export interface AuthorizedTransport {
  /**
   * Sends a request with the authorization that its host asks for. A 401 or 403 that remains is an answer.
   * @throws what {@link Transport.send} throws; UserError `registry-unauthorized` when the token service refuses;
   *   InfrastructureError `realm-refused`, `token-invalid`
   */
  send(request: TransportRequest, access: Access): Promise<TransportResponse>;
}

export function createAuthorizedTransport(
  transport: Transport,
  credentials: CredentialStore,
  { ports, plainHttp = [] }: Pick<RegistryClientOptions, "ports" | "plainHttp">,
): AuthorizedTransport {
  const methods = new Map<string, LoginMethod>();
  // What a registry wants besides the scopes that follow from the request, by those: asked for from the start the next
  // time.
  const widened = new Map<string, readonly string[]>();
  const logins = createLogins(transport, credentials, ports);

  async function send(request: TransportRequest, access: Access): Promise<TransportResponse> {
    const endpoint = registryEndpoint(access.repository.registry, plainHttp);
    // Uploads and pages may lead elsewhere; there, nobody is logged in.
    if (!isSameOrigin(request.url, endpoint)) return transport.send(request);
    const { host } = endpoint;
    // Told only where somebody logs in: it was most of what a request costs here.
    const scopeKey = (): string => JSON.stringify([host, scopesOf(access)]);
    const scopes = (): readonly string[] => widened.get(scopeKey()) ?? mergeScopes(scopesOf(access));
    const known = methods.get(host);
    let shown = known === undefined ? undefined : await logins.authorize(known, { access, host, scopes: scopes() });
    for (let round = 1; ; round++) {
      const response = await transport.send(withAuthorization(request, shown));
      // Only the registry itself may ask for a login: a 401 from where it redirected to says that its own link is
      // wrong.
      if ((response.status !== 401 && response.status !== 403) || !isSameOrigin(response.url, endpoint))
        return response;
      const challenges = parseChallenges(response.headers("www-authenticate"));
      const before = scopes();
      const wider = mergeScopes([...before, ...scopesAsked(challenges)]);
      const isTooNarrow = challenges.some(isInsufficientScope) && wider.join() !== before.join();
      // A first 401 asks who is there, or says that a token has expired; after that, and after a 403, only a token for
      // more can help.
      if (challenges.length === 0 || round === 3 || ((round > 1 || response.status === 403) && !isTooNarrow))
        return response;
      const method = chooseMethod(challenges, endpoint, plainHttp);
      methods.set(host, method);
      widened.set(scopeKey(), wider);
      const next = await logins.authorize(method, { access, host, scopes: scopes(), refused: shown });
      // Nobody is logged in, or the very same has just been refused: asking again would change nothing.
      if (next === undefined || next === shown) return response;
      await response.discard();
      shown = next;
    }
  }

  return { send };
}

/** @throws InfrastructureError `realm-refused`, `registry-error` where nothing that is known is asked for */
function chooseMethod(challenges: readonly Challenge[], endpoint: URL, plainHttp: readonly string[]): LoginMethod {
  const bearer = challenges.find((challenge) => challenge.scheme === "bearer" && challenge.parameters.has("realm"));
  if (bearer !== undefined) {
    return {
      scheme: "bearer",
      realm: checkRealm(bearer.parameters.get("realm") ?? "", endpoint, plainHttp),
      service: bearer.parameters.get("service"),
    };
  }
  if (challenges.some((challenge) => challenge.scheme === "basic")) return { scheme: "basic" };
  throw new InfrastructureError(
    `${endpoint.host} asks for a kind of login that is not known: only Basic and Bearer are`,
    {
      code: "registry-error",
      safeToRetry: false,
    },
  );
}

function withAuthorization(request: TransportRequest, authorization: string | undefined): TransportRequest {
  return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
}

function scopesAsked(challenges: readonly Challenge[]): string[] {
  return challenges.flatMap(({ parameters }) => parameters.get("scope")?.split(" ") ?? []);
}

/** RFC 6750 has 403 for it, registries have 401: the login is good, the token was asked for too little. */
function isInsufficientScope({ scheme, parameters }: Challenge): boolean {
  return scheme === "bearer" && parameters.get("error") === "insufficient_scope" && parameters.has("scope");
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof UserError && error.code === "registry-unauthorized";
}
