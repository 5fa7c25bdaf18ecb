import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * What GitHub's tokens say of a job, by their documentation: of a job of a reusable workflow, `job_workflow_ref` and
 * `job_workflow_sha` are that workflow's, and all else is the caller's.
 * https://docs.github.com/en/actions/reference/security/oidc
 */
export interface JobClaims {
  job_workflow_ref: string;
  job_workflow_sha: string;
  repository: string;
  repository_id: string;
  repository_owner: string;
  repository_owner_id: string;
  repository_visibility: "public" | "private" | "internal";
  runner_environment: "github-hosted" | "self-hosted";
  ref: string;
  sha: string;
  event_name: string;
  workflow: string;
  workflow_ref: string;
  workflow_sha: string;
  run_id: string;
  run_attempt: string;
  environment?: string;
}

/** A job of an application's repository that runs a stage of the platform's. */
export const jobClaims: JobClaims = {
  job_workflow_ref: "acme/platform/.github/workflows/stage-base.yml@refs/tags/v1.2.0",
  job_workflow_sha: "c".repeat(40),
  repository: "acme/shop",
  repository_id: "987",
  repository_owner: "acme",
  repository_owner_id: "4321",
  repository_visibility: "public",
  runner_environment: "github-hosted",
  ref: "refs/heads/main",
  sha: "a".repeat(40),
  event_name: "push",
  workflow: "golden path",
  workflow_ref: "acme/shop/.github/workflows/golden-path.yml@refs/heads/main",
  workflow_sha: "a".repeat(40),
  run_id: "5",
  run_attempt: "1",
};

export interface GithubIssuer {
  url: string;
  /** A token as a job gets it. */
  issue(claims?: Partial<JobClaims>, audience?: string): string;
  /**
   * The variables that a job with `id-token: write` has: who asks with them gets a token with these claims, or those
   * that are made as it asks.
   */
  jobVariables(claims?: Partial<JobClaims> | (() => Partial<JobClaims>)): Record<string, string>;
  /** How many tokens jobs have asked for. */
  asked(): number;
  close(): Promise<void>;
}

/** An issuer of tokens that stands in for GitHub's: it says of each job what the test says, signed with its own key. */
export async function startGithubIssuer(): Promise<GithubIssuer> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" };
  const jobs = new Map<string, () => Partial<JobClaims>>();
  let asked = 0;
  const server = createServer((request, response) => {
    const asJson = (value: unknown, status = 200): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    if (pathname === "/.well-known/openid-configuration")
      return asJson({ issuer: url, jwks_uri: `${url}/jwks`, id_token_signing_alg_values_supported: ["RS256"] });
    if (pathname === "/jwks") return asJson({ keys: [jwk] });
    const claims = jobs.get(request.headers.authorization?.replace(/^Bearer /, "") ?? "");
    if (pathname !== "/token" || claims === undefined) return asJson({ message: "no such job" }, 401);
    asked += 1;
    return asJson({ count: 1, value: issue(claims(), searchParams.get("audience") ?? "none") });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issue = (claims: Partial<JobClaims> = {}, audience = "sigstore"): string => {
    const said = { ...jobClaims, ...claims };
    const now = Math.floor(Date.now() / 1000);
    const times = { iat: now, nbf: now - 60, exp: now + 300 };
    const sub = `repo:${said.repository}:ref:${said.ref}`;
    const parts = [
      { alg: "RS256", typ: "JWT", kid: "1" },
      { iss: url, aud: audience, sub, jti: String(Math.random()), ...times, ...said },
    ];
    const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  };
  return {
    url,
    issue,
    asked: () => asked,
    jobVariables(claims = {}) {
      const secret = `job-${jobs.size + 1}-${Math.random()}`;
      jobs.set(secret, typeof claims === "function" ? claims : () => claims);
      return {
        ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret,
      };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
