import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { KeyPair } from "@goldenpath/registry-client/testing-tls";

export interface TokenServerOptions {
  /** Signs the tokens: what the registry's `rootcertbundle` has. EC P-256. */
  signer: KeyPair;
  users: Readonly<Record<string, string>>;
  /** Refresh token → user: what an identity token is. */
  refreshTokens?: Readonly<Record<string, string>>;
  /** For how long a registry takes a token, in seconds; it says 300 whatever this is. Default 300. */
  validity?: number;
  /** Answers a POST with this status instead of serving it. */
  postStatus?: number;
  /** Speaks TLS. */
  tls?: KeyPair;
}

export interface TokenServer {
  realm: string;
  service: string;
  issuer: string;
  rootCertificates: string;
  host: string;
  /** What was given out, in this order. */
  issued: { token: string; user: string; scopes: string[]; by: string }[];
  /** Requests that were refused. */
  refused: number;
  stop(): Promise<void>;
}

const service = "test registry";
const issuer = "test issuer";
/** Distribution lets a token in for so long after its end. Seconds. */
const leeway = 60;

/**
 * A token service as the distribution project's documents have it: GET with Basic, POST by OAuth 2's refresh grant;
 * JSON Web Tokens signed by ES256 with the signer's certificate in `x5c`.
 */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const { signer, tls } = options;
  const issued: TokenServer["issued"] = [];
  const state = { refused: 0 };
  const makeToken = createTokenMaker(options);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { user, scopes } = await readLogin(request, options);
    if (request.method === "POST" && options.postStatus !== undefined)
      return void response.writeHead(options.postStatus).end();
    if (user === undefined) {
      state.refused++;
      return void response.writeHead(401, { "content-type": "application/json" }).end('{"details":"who?"}');
    }
    const token = makeToken(user, scopes);
    issued.push({ token, user, scopes, by: request.method ?? "" });
    const issuedAt = new Date().toISOString();
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ token, expires_in: 300, issued_at: issuedAt }));
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy());
  };
  const server = tls === undefined ? createHttpServer(listener) : createHttpsServer({ ...tls }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  return {
    realm: `${tls === undefined ? "http" : "https"}://${host}/token`,
    service,
    issuer,
    rootCertificates: signer.cert,
    host,
    issued,
    get refused() {
      return state.refused;
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Who asks, and for what. */
async function readLogin(
  request: IncomingMessage,
  { users, refreshTokens = {} }: TokenServerOptions,
): Promise<{ user: string | undefined; scopes: string[] }> {
  if (request.method === "POST") {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const form = new URLSearchParams(text);
    return {
      user: form.get("grant_type") === "refresh_token" ? refreshTokens[form.get("refresh_token") ?? ""] : undefined,
      scopes: (form.get("scope") ?? "").split(" "),
    };
  }
  const login = Buffer.from(/^Basic (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "", "base64").toString();
  const [name = "", password = ""] = login.split(/:(.*)/s);
  return {
    user: name === "" ? refreshTokens[password] : users[name] === password ? name : undefined,
    scopes: new URL(request.url ?? "/", "http://token").searchParams.getAll("scope"),
  };
}

function createTokenMaker({
  signer,
  validity = 300,
}: TokenServerOptions): (user: string, scopes: readonly string[]) => string {
  const key = createPrivateKey(signer.key);
  const header = { typ: "JWT", alg: "ES256", x5c: [new X509Certificate(signer.cert).raw.toString("base64")] };
  return (user, scopes) => {
    const now = Math.floor(Date.now() / 1000);
    const access = scopes.flatMap((scope) => {
      const [type, name, actions] = scope.split(/^([^:]+):(.+):([^:]+)$/).filter((part) => part !== "");
      return type === undefined || name === undefined || actions === undefined
        ? []
        : [{ type, name, actions: actions.split(",") }];
    });
    const claims = {
      iss: issuer,
      sub: user,
      aud: service,
      exp: now + validity - leeway,
      nbf: now - leeway,
      iat: now - leeway,
      jti: randomUUID(),
      access,
    };
    const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };
}
