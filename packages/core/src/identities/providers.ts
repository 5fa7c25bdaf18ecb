import { UserError } from "@goldenpath/foundation/errors";
import { z } from "zod";
import { askService, type ExchangeContext, type Login, readAnswer, requestIdToken, type Service } from "./exchange.ts";
import type { Identity, IdentityOf } from "./identity.ts";
import { type AwsKeys, signAwsRequest } from "./sigv4.ts";

/** Where the services are; tests have their own. */
export interface ServiceHosts {
  sts(region: string, suffix: string): string;
  ecr(region: string, suffix: string): string;
  googleSts: string;
  googleCredentials: string;
  microsoft(registry: string): string;
  /** Of a registry of Azure itself. */
  acr(registry: string): string;
  dockerIdentity: string;
}

export const serviceHosts: ServiceHosts = {
  sts: (region, suffix) => `https://sts.${region}.${suffix}`,
  ecr: (region, suffix) => `https://api.ecr.${region}.${suffix}`,
  googleSts: "https://sts.googleapis.com",
  googleCredentials: "https://iamcredentials.googleapis.com",
  microsoft: (registry) =>
    registry.endsWith(".cn")
      ? "https://login.partner.microsoftonline.cn"
      : registry.endsWith(".us")
        ? "https://login.microsoftonline.us"
        : "https://login.microsoftonline.com",
  acr: (registry) => `https://${registry}`,
  dockerIdentity: "https://identity.docker.com",
};

type Exchange<Type extends Identity["type"]> = (
  identity: IdentityOf<Type>,
  context: ExchangeContext,
  hosts: ServiceHosts,
) => Promise<Login>;

const seconds = z.number().positive().max(86_400);
const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange";
const idTokenType = "urn:ietf:params:oauth:token-type:id_token";
/** Where a service does not say how long its token lives. Seconds. */
const shortLife = 300;

const ask = async <T extends z.ZodType>(service: Service, schema: T, context: ExchangeContext): Promise<z.output<T>> =>
  readAnswer(await askService(service, context), schema, service);
const later = ({ now }: ExchangeContext, life: number): number => now().getTime() + life * 1000;

const ecrSchema = z.object({
  authorizationData: z.array(z.object({ authorizationToken: z.string(), expiresAt: z.number() })).min(1),
});

/** AWS: AssumeRoleWithWebIdentity (STS, 2011-06-15), then GetAuthorizationToken (ECR, 2015-09-21) by that role. */
const loginToEcr: Exchange<"aws-ecr"> = async (identity, context, hosts) => {
  const { region, registry } = identity;
  const suffix = registry.endsWith(".cn") ? "amazonaws.com.cn" : "amazonaws.com";
  const keys = await assumeRole(identity, new URL("/", hosts.sts(region, suffix)), context);
  const url = new URL("/", hosts.ecr(region, suffix));
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
  };
  const signed = signAwsRequest(
    { method: "POST", url, headers, body: "{}", region, service: "ecr" },
    keys,
    context.now(),
  );
  const service: Service = { name: "Amazon ECR", url, headers: signed, body: "{}" };
  const { authorizationData } = await ask(service, ecrSchema, context);
  const [data] = authorizationData;
  const [, username, password] =
    /^([^:]+):(.+)$/s.exec(Buffer.from(data?.authorizationToken ?? "", "base64").toString()) ?? [];
  if (username === undefined || password === undefined) throw otherThanDocumented(service);
  return { username, password, until: (data?.expiresAt ?? 0) * 1000 };
};

/** The answer is XML, of which three values are wanted. */
async function assumeRole(
  identity: IdentityOf<"aws-ecr">,
  url: URL,
  context: ExchangeContext,
): Promise<AwsKeys & { sessionToken: string }> {
  const service: Service = {
    name: "AWS STS",
    url,
    headers: { accept: "text/xml" },
    form: {
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: identity["role-to-assume"],
      RoleSessionName: "goldenpath",
      WebIdentityToken: await requestIdToken(identity.audience, context),
      DurationSeconds: "900",
    },
  };
  const text = await askService(service, context);
  const [, credentials = ""] = /<Credentials>([\s\S]*?)<\/Credentials>/.exec(text) ?? [];
  const value = (name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(credentials)?.[1]?.trim() ?? "";
  const keys = {
    accessKeyId: value("AccessKeyId"),
    secretAccessKey: value("SecretAccessKey"),
    sessionToken: value("SessionToken"),
  };
  for (const secret of [keys.secretAccessKey, keys.sessionToken]) {
    if (secret === "") throw otherThanDocumented(service);
    context.ports.mask(secret);
  }
  return keys;
}

function otherThanDocumented({ name, url }: Service): UserError {
  return new UserError(`${name} at ${url.host} answers something else than documented`, { code: "identity-refused" });
}

const googleTokenSchema = z.object({ access_token: z.string().min(1), expires_in: seconds.default(shortLife) });
const googleAccessSchema = z.object({ accessToken: z.string().min(1), expireTime: z.iso.datetime({ offset: true }) });
const googleScope = "https://www.googleapis.com/auth/cloud-platform";

/** Google: a token of the workload identity pool, and by it, where one is named, one of the service account. */
const loginToGoogle: Exchange<"gcp-wif"> = async (identity, context, hosts) => {
  const provider = `//iam.googleapis.com/${identity.workload_identity_provider}`;
  const federated = await ask(
    {
      name: "Google's token service",
      url: new URL("/v1/token", hosts.googleSts),
      json: {
        audience: provider,
        grantType: tokenExchange,
        requestedTokenType: "urn:ietf:params:oauth:token-type:access_token",
        scope: googleScope,
        subjectTokenType: "urn:ietf:params:oauth:token-type:jwt",
        subjectToken: await requestIdToken(`https:${provider}`, context),
      },
    },
    googleTokenSchema,
    context,
  );
  const username = "oauth2accesstoken";
  if (identity.service_account === undefined)
    return { username, password: federated.access_token, until: later(context, federated.expires_in) };
  context.ports.mask(federated.access_token);
  const path = `/v1/projects/-/serviceAccounts/${encodeURIComponent(identity.service_account)}:generateAccessToken`;
  const { accessToken, expireTime } = await ask(
    {
      name: "Google's IAM credentials",
      url: new URL(path, hosts.googleCredentials),
      headers: { authorization: `Bearer ${federated.access_token}` },
      json: { scope: [googleScope], lifetime: "900s" },
    },
    googleAccessSchema,
    context,
  );
  return { username, password: accessToken, until: Date.parse(expireTime) };
};

const entraSchema = z.object({ access_token: z.string().min(1) });
const acrSchema = z.object({ refresh_token: z.string().min(1) });

/** Microsoft: a token of Entra by a federated credential, which the registry exchanges for one of its own. */
const loginToAcr: Exchange<"azure-acr"> = async (identity, context, hosts) => {
  const { registry, "client-id": client, "tenant-id": tenant } = identity;
  const { access_token: token } = await ask(
    {
      name: "Microsoft Entra",
      url: new URL(`/${tenant}/oauth2/v2.0/token`, hosts.microsoft(registry)),
      form: {
        grant_type: "client_credentials",
        client_id: client,
        scope: "https://containerregistry.azure.net/.default",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: await requestIdToken("api://AzureADTokenExchange", context),
      },
    },
    entraSchema,
    context,
  );
  context.ports.mask(token);
  const { refresh_token: password } = await ask(
    {
      name: "Azure Container Registry",
      url: new URL("/oauth2/exchange", hosts.acr(registry)),
      form: { grant_type: "access_token", service: registry, tenant, access_token: token },
    },
    acrSchema,
    context,
  );
  // The name that stands for "a token, and no user" there.
  return { username: "00000000-0000-0000-0000-000000000000", password, until: later(context, shortLife) };
};

const oauthSchema = z.object({
  access_token: z.string().min(1),
  expires_in: seconds.default(shortLife),
  username: z.string().optional(),
});

/** Docker Hub: its OIDC connection, as docker/login-action asks for it. */
const loginToDockerHub: Exchange<"dockerhub"> = async (identity, context, hosts) => {
  const form = {
    grant_type: tokenExchange,
    subject_token_type: idTokenType,
    subject_token: await requestIdToken(hosts.dockerIdentity, context),
    connection_id: identity.connection_id,
    expires_in: "900",
  };
  const service: Service = { name: "Docker Hub", url: new URL("/oauth/token", hosts.dockerIdentity), form };
  const { access_token: password, expires_in: life } = await ask(service, oauthSchema, context);
  return { username: identity.username, password, until: later(context, life) };
};

/**
 * GitHub's own registry takes the job's token, whose rights are the job's `packages`. Elsewhere than on github.com it is
 * `containers.` and the host that the job's runner names; no other host is shown the token.
 */
const loginToGhcr: Exchange<"ghcr"> = async ({ registry }, context) => {
  const own = `containers.${new URL(context.env["GITHUB_SERVER_URL"] || "https://github.com").hostname}`;
  if (registry !== "ghcr.io" && registry !== own) {
    throw new UserError(`${registry} is no registry of the GitHub that runs this job: that is ghcr.io or ${own}`, {
      code: "input-invalid",
      wayOut: `Name \`registry: ghcr.io\` or \`registry: ${own}\`, or log in to ${registry} by another type.`,
    });
  }
  const { GITHUB_TOKEN: token, GITHUB_ACTOR: actor } = context.env;
  if (!token) {
    throw new UserError(`the login for ${registry} is the job's own token, and GITHUB_TOKEN is not set`, {
      code: "identity-missing",
      wayOut: "Set it in the step's env to github.token, and give the job the permission `packages`.",
    });
  }
  return { username: actor || "x-access-token", password: token, until: Number.POSITIVE_INFINITY };
};

/** Artifactory: its OIDC integration, which takes JSON. */
const loginToArtifactory: Exchange<"artifactory"> = async (identity, context) => {
  const service: Service = {
    name: "Artifactory",
    url: new URL("access/api/v1/oidc/token", identity.url.replace(/\/*$/, "/")),
    json: {
      grant_type: tokenExchange,
      subject_token_type: idTokenType,
      subject_token: await requestIdToken(identity.audience ?? identity.url, context),
      provider_name: identity.provider_name,
    },
  };
  const { access_token: password, expires_in: life, username } = await ask(service, oauthSchema, context);
  const name = identity.username ?? username;
  if (name !== undefined) return { username: name, password, until: later(context, life) };
  throw new UserError(`Artifactory at ${service.url.host} does not say whose token it gives`, {
    code: "identity-refused",
    wayOut: "Name the user that the identity is mapped to by `username`.",
  });
};

/** Any service that exchanges a token by RFC 8693; what it gives is the password. */
const loginByBroker: Exchange<"broker"> = async (identity, context) => {
  const form = {
    grant_type: tokenExchange,
    subject_token_type: idTokenType,
    subject_token: await requestIdToken(identity.audience ?? identity.url, context),
    audience: identity.registry,
  };
  const service: Service = { name: "the broker", url: new URL(identity.url), form };
  const { access_token: password, expires_in: life } = await ask(service, oauthSchema, context);
  return { username: identity.username, password, until: later(context, life) };
};

const exchanges: { [Type in Identity["type"]]: Exchange<Type> } = {
  "aws-ecr": loginToEcr,
  "gcp-wif": loginToGoogle,
  "azure-acr": loginToAcr,
  dockerhub: loginToDockerHub,
  ghcr: loginToGhcr,
  artifactory: loginToArtifactory,
  broker: loginByBroker,
};

/**
 * A login for the identity's registry, made now.
 * @throws UserError `identity-missing`, `identity-refused`; the transport's errors
 */
export function exchangeIdentity(
  identity: Identity,
  context: ExchangeContext,
  hosts: ServiceHosts = serviceHosts,
): Promise<Login> {
  return (exchanges[identity.type] as Exchange<Identity["type"]>)(identity as never, context, hosts);
}
