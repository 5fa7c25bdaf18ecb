import type { Ports } from "@goldenpath/foundation/ports";
import { type Access, verbOf } from "./access.ts";
import { answerError, unauthorizedError } from "./answers.ts";
import { basic, readToken, type Token, type TokenService, tokenRequest } from "./auth-token.ts";
import type { CredentialStore } from "./credentials.ts";
import type { Credential } from "./docker-config.ts";
import { formatRepository } from "./oci/reference.ts";
import type { Transport, TransportRequest } from "./transport.ts";

/** How a host wants to be shown who asks, learnt from its first 401. */
export type LoginMethod = { scheme: "basic" } | BearerMethod;

type BearerMethod = { scheme: "bearer" } & TokenService;

/** What a header is wanted for. */
export interface Wanted {
  access: Access;
  /** The registry's. */
  host: string;
  scopes: readonly string[];
  /** The header that the registry has just said no to. */
  refused?: string | undefined;
}

export interface Logins {
  /**
   * The `authorization` header, from the login that is there, or from a token for it; undefined where a host asks for a
   * login and there is none.
   */
  authorize(method: LoginMethod, wanted: Wanted): Promise<string | undefined>;
}

export function createLogins(transport: Transport, credentials: CredentialStore, ports: Ports): Logins {
  // Promises, so that requests at the same time share one token.
  const tokens = new Map<string, Promise<Token>>();
  // Token services that do not know the POST of OAuth 2.
  const withoutPost = new Set<string>();

  async function authorize(
    method: LoginMethod,
    { access, host, scopes, refused }: Wanted,
  ): Promise<string | undefined> {
    const credential = await credentials.find(access.repository);
    if (credential?.kind === "registry-token") return `Bearer ${credential.token}`;
    if (method.scheme === "basic")
      return credential?.kind === "basic" ? basic(credential.username, credential.password) : undefined;
    const key = JSON.stringify([host, method.realm.href, method.service, scopes, formatRepository(access.repository)]);
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

  async function fetchToken(
    method: BearerMethod,
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
    if (
      response.status === 401 ||
      response.status === 403 ||
      (response.status === 400 && credential?.kind === "identity-token")
    ) {
      const who = credential === undefined ? "without a login" : "with the login that is there";
      throw unauthorizedError(access.repository, verbOf(access), `${who} (${realm.host} answers ${response.status})`);
    }
    if (response.status >= 300)
      throw answerError(response, access.repository, verbOf(access), `a token from ${realm.host}`);
    const token = readToken(response, realm.host, Date.now());
    for (const secret of token.secrets) ports.mask(secret);
    return token;
  }

  return { authorize };
}

function bearer(token: Token): string {
  return `Bearer ${token.value}`;
}
