import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { RegistryError, refuse } from "./errors.ts";
import { type Exchange, jsonReply, type Reply } from "./reply.ts";

export type AuthOptions =
  | {
      kind: "basic";
      /** Name → password. Each may do everything. */
      users: Record<string, string>;
      /** The same, for users who may pull and no more. */
      readers?: Record<string, string>;
    }
  | {
      kind: "bearer";
      /** Name → password. Each may do everything. */
      users: Record<string, string>;
      /** Tokens to pull with are given without a name and password. */
      anonymousPull?: boolean;
      /** A token's life in seconds; default 300. */
      expiresIn?: number;
    };

/** One right, as in a token's scope `repository:shop:pull`. */
export interface Access {
  type: "repository" | "registry";
  name: string;
  action: string;
}

export interface Authorizer {
  /**
   * Whether the request may do what it wants; `[]` asks only for a valid login.
   * @throws RegistryError 401 with the challenge
   */
  authorize(exchange: Exchange, access: readonly Access[]): void;
  mayPull(exchange: Exchange, name: string): boolean;
  /**
   * `/token`: GET with Basic (the distribution project's token specification) and POST (its OAuth2 form). Undefined
   * where there is none.
   */
  serveToken?: (exchange: Exchange) => Promise<Reply>;
}

interface Grant {
  access: Access[];
  /** Milliseconds since 1970. */
  expiresAt: number;
}

const service = "goldenpath-registry";

export function createAuthorizer(options: AuthOptions | undefined): Authorizer {
  if (options === undefined) return { authorize: () => {}, mayPull: () => true };
  return options.kind === "basic" ? createBasicAuthorizer(options) : createBearerAuthorizer(options);
}

function createBasicAuthorizer({ users, readers = {} }: AuthOptions & { kind: "basic" }): Authorizer {
  return {
    authorize(exchange, access) {
      if (userOf(exchange, users) !== undefined) return;
      if (userOf(exchange, readers) === undefined) refuseUnauthorized(`Basic realm="${service}"`);
      const more = access.find(({ action }) => action !== "pull");
      if (more !== undefined) refuse(403, "DENIED", `this user may not ${more.action} ${more.name}`);
    },
    mayPull: () => true,
  };
}

/** What a token service has given out. */
interface Issued {
  readonly grants: Map<string, Grant>;
  /** Refresh token → user. */
  readonly refreshTokens: Map<string, string>;
  /** Seconds. */
  readonly expiresIn: number;
}

function createBearerAuthorizer(options: AuthOptions & { kind: "bearer" }): Authorizer {
  const { users, anonymousPull = false, expiresIn = 300 } = options;
  const issued: Issued = { grants: new Map(), refreshTokens: new Map(), expiresIn };
  const denyLogin = (): never => refuseUnauthorized(`Basic realm="${service}"`);

  return {
    authorize(exchange, access) {
      const grant = grantOf(issued, exchange);
      const error =
        exchange.headers.authorization === undefined
          ? undefined
          : grant === undefined
            ? "invalid_token"
            : "insufficient_scope";
      if (grant?.access !== undefined && access.every((wanted) => holds(grant, wanted))) return;
      refuseUnauthorized(renderChallenge(exchange, access, error));
    },
    mayPull(exchange, name) {
      const grant = grantOf(issued, exchange);
      return grant !== undefined && holds(grant, { type: "repository", name, action: "pull" });
    },
    async serveToken(exchange) {
      if (exchange.method === "GET") {
        const scopes = exchange.query.getAll("scope").flatMap((scope) => scope.split(" "));
        if (exchange.headers.authorization === undefined && anonymousPull) {
          return issueToken(issued, undefined, scopes, false);
        }
        const user = userOf(exchange, users);
        const isOffline = exchange.query.get("offline_token") === "true";
        return user === undefined ? denyLogin() : issueToken(issued, user, scopes, isOffline);
      }
      if (exchange.method !== "POST") return refuse(405, "UNSUPPORTED", "the token endpoint takes GET and POST");
      const form = await readForm(exchange);
      const scopes = (form.get("scope") ?? "").split(" ");
      const user =
        form.get("grant_type") === "refresh_token"
          ? issued.refreshTokens.get(form.get("refresh_token") ?? "")
          : form.get("grant_type") === "password"
            ? checkPassword(users, form.get("username") ?? "", form.get("password") ?? "")
            : undefined;
      return user === undefined ? denyLogin() : issueToken(issued, user, scopes, form.get("access_type") === "offline");
    },
  };
}

function grantOf({ grants }: Issued, exchange: Exchange): Grant | undefined {
  const token = /^bearer\s+(\S+)\s*$/i.exec(exchange.headers.authorization ?? "")?.[1];
  const grant = token === undefined ? undefined : grants.get(token);
  return grant !== undefined && grant.expiresAt > Date.now() ? grant : undefined;
}

function holds(grant: Grant, wanted: Access): boolean {
  return grant.access.some(
    (one) =>
      one.type === wanted.type && one.name === wanted.name && (one.action === wanted.action || one.action === "*"),
  );
}

function issueToken(
  { grants, refreshTokens, expiresIn }: Issued,
  user: string | undefined,
  scopes: readonly string[],
  offline: boolean,
): Reply {
  const wanted = scopes.flatMap(parseScope);
  const access =
    user === undefined ? wanted.filter((one) => one.type === "repository" && one.action === "pull") : wanted;
  const token = randomBytes(24).toString("base64url");
  const now = Date.now();
  for (const [old, grant] of grants) if (grant.expiresAt <= now) grants.delete(old);
  grants.set(token, { access, expiresAt: now + expiresIn * 1000 });
  const refresh = offline && user !== undefined ? randomBytes(24).toString("base64url") : undefined;
  if (refresh !== undefined && user !== undefined) refreshTokens.set(refresh, user);
  return jsonReply(
    200,
    {
      token,
      access_token: token,
      expires_in: expiresIn,
      issued_at: new Date(now).toISOString(),
      ...(refresh === undefined ? {} : { refresh_token: refresh }),
    },
    { "Cache-Control": "no-store" },
  );
}

/** `repository:localhost:5000/shop:pull,push` → one entry per action; what isn't of that form grants nothing. */
function parseScope(scope: string): Access[] {
  const found = /^(repository|registry)(?:\([^)]*\))?:(.+):([^:]+)$/.exec(scope);
  if (found === null) return [];
  const [, type, name = "", actions = ""] = found;
  return actions.split(",").map((action) => ({ type: type as Access["type"], name, action }));
}

function renderChallenge(exchange: Exchange, access: readonly Access[], error: string | undefined): string {
  const [first] = access;
  const scope =
    first === undefined ? undefined : `${first.type}:${first.name}:${access.map((one) => one.action).join(",")}`;
  const host = exchange.headers.host ?? "localhost";
  return [
    `Bearer realm="http://${/^[A-Za-z0-9.:[\]-]+$/.test(host) ? host : "localhost"}/token"`,
    `service="${service}"`,
    ...(scope === undefined ? [] : [`scope="${scope}"`]),
    ...(error === undefined ? [] : [`error="${error}"`]),
  ].join(",");
}

function refuseUnauthorized(challenge: string): never {
  throw new RegistryError(
    401,
    { code: "UNAUTHORIZED", message: "authentication required" },
    { "WWW-Authenticate": challenge },
  );
}

function userOf(exchange: Exchange, users: Record<string, string>): string | undefined {
  const encoded = /^basic\s+(\S+)\s*$/i.exec(exchange.headers.authorization ?? "")?.[1];
  const decoded = encoded === undefined ? "" : Buffer.from(encoded, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return colon === -1 ? undefined : checkPassword(users, decoded.slice(0, colon), decoded.slice(colon + 1));
}

/** The user's name when the password is right. */
function checkPassword(users: Record<string, string>, name: string, password: string): string | undefined {
  const expected = Object.hasOwn(users, name) ? users[name] : undefined;
  const hash = (value: string) => createHash("sha256").update(value).digest();
  return expected !== undefined && timingSafeEqual(hash(expected), hash(password)) ? name : undefined;
}

async function readForm(exchange: Exchange): Promise<URLSearchParams> {
  let text = "";
  for await (const chunk of exchange.body) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.length > 64 * 1024) return refuse(413, "SIZE_INVALID", "the form is too long");
  }
  return new URLSearchParams(text);
}
