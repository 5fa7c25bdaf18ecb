import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { requestIdToken } from "../../../identities/exchange.ts";
import type { WorkflowIdentity } from "../../workflow-identity.ts";

type Surroundings = Pick<Context, "env" | "ports" | "signal" | "now">;

/** Who the job is, in the words of whoever gave it the token. */
export interface JobToken {
  text: string;
  /** Whom the token is for, as its issuer says it. */
  subject: string;
  identity: WorkflowIdentity;
  /** Whether everybody may know the repository's name. */
  isPublic: boolean;
  expires: Date;
}

/** https://docs.github.com/en/actions/reference/security/oidc */
const claimsSchema = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  sub: z.string().min(1),
  exp: z.number(),
  job_workflow_ref: z.string(),
  job_workflow_sha: z.string(),
  runner_environment: z.string(),
  repository: z.string(),
  repository_owner_id: z.string(),
  repository_visibility: z.string(),
  ref: z.string(),
  sha: z.string(),
  workflow_ref: z.string(),
  event_name: z.string(),
  environment: z.string().optional(),
});

/**
 * The job's own token, for one audience alone: from GitHub, in a job that may have one, elsewhere from
 * `SIGSTORE_ID_TOKEN`. It is masked, and goes to nobody but the authority that makes a certificate of it. What is in it
 * is not verified here: that is for the authority to do, and then for whoever verifies.
 * @throws UserError `id-token-missing`, `id-token-invalid`; `identity-refused`, and the transport's errors
 */
export async function fetchJobToken(audience: string, surroundings: Surroundings): Promise<JobToken> {
  const { env, ports } = surroundings;
  const given = env["SIGSTORE_ID_TOKEN"];
  if (env["ACTIONS_ID_TOKEN_REQUEST_URL"] && env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    return readToken(await requestIdToken(audience, surroundings), audience, surroundings);
  if (!given) {
    throw new UserError("there is no identity to sign with: this job can get no token", {
      code: "id-token-missing",
      wayOut: "Give the job `permissions: id-token: write`; outside of GitHub, put a token in SIGSTORE_ID_TOKEN.",
    });
  }
  ports.mask(given);
  return readToken(given, audience, surroundings);
}

/** Never says what is in the token: it is a secret until it is over. */
function readToken(text: string, audience: string, { env }: Surroundings): JobToken {
  const invalid = (why: string): UserError =>
    new UserError(`the job's token can't be used: ${why}`, {
      code: "id-token-invalid",
      wayOut: "Sign in a job of GitHub Actions, or with a token of another issuer that has the same claims.",
    });
  let json: unknown;
  try {
    json = parseJson(Buffer.from(text.split(".")[1] ?? "", "base64url").toString("utf8"));
  } catch {
    throw invalid("it is no JSON Web Token");
  }
  const parsed = claimsSchema.safeParse(json);
  if (!parsed.success)
    throw invalid(`it does not say ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`);
  const claims = parsed.data;
  // One that is for somebody else as well could be used there by whoever is shown it.
  const audiences = [claims.aud].flat();
  if (audiences.length !== 1 || audiences[0] !== audience)
    throw invalid(`it is for ${audiences.join(", ") || "nobody"}, and one for ${audience} alone is asked for`);
  const server = env["GITHUB_SERVER_URL"] || "https://github.com";
  return {
    text,
    subject: claims.sub,
    identity: {
      issuer: claims.iss,
      buildSignerUri: `${server}/${claims.job_workflow_ref}`,
      buildSignerDigest: claims.job_workflow_sha,
      runnerEnvironment: claims.runner_environment,
      sourceRepository: `${server}/${claims.repository}`,
      sourceOwnerId: claims.repository_owner_id,
      sourceRef: claims.ref,
      sourceDigest: claims.sha,
      buildConfigUri: `${server}/${claims.workflow_ref}`,
      buildTrigger: claims.event_name,
      ...(claims.environment === undefined ? {} : { environment: claims.environment }),
    },
    isPublic: claims.repository_visibility === "public",
    expires: new Date(claims.exp * 1000),
  };
}
