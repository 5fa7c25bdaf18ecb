import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { silentPorts } from "@goldenpath/foundation/ports";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ExchangeContext } from "./exchange.ts";
import { type Identity, parseIdentities } from "./identity.ts";
import { openIdentities } from "./open.ts";
import { exchangeIdentity, type ServiceHosts } from "./providers.ts";

// None of these services runs here: each is a stand-in made from its published documentation, which answers what that
// says to exactly the request that it describes, and 400 to anything else.
interface Asked {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}
type Answer = { status?: number; body: unknown } | undefined;

const now = new Date("2026-11-26T09:00:00Z");
const idToken = (audience: string): string => `id-token-for:${audience}`;
let server: Server;
let base: string;
let asked: Asked[];
let answer: (request: Asked) => Answer;
let masked: string[];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const { method = "", url = "", headers } = request;
    const entry = { method, path: url, headers, body: await text(request) };
    asked.push(entry);
    const url_ = new URL(url, base);
    if (url_.pathname === "/oidc/token" && headers.authorization === "Bearer request-token") {
      response.end(JSON.stringify({ count: 1, value: idToken(url_.searchParams.get("audience") ?? "none") }));
      return;
    }
    const { status = 200, body } = answer(entry) ?? { status: 400, body: { error: "invalid_request" } };
    response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  asked = [];
  masked = [];
});

const context = (env: Record<string, string> = {}): ExchangeContext => ({
  ports: { ...silentPorts(), mask: (secret) => void masked.push(secret) },
  env: {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${base}/oidc/token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-token",
    ...env,
  },
  signal: new AbortController().signal,
  now: () => now,
});
const hosts = (): ServiceHosts => ({
  sts: (region, suffix) => `${base}/?sts=${region}.${suffix}`,
  ecr: () => base,
  googleSts: base,
  googleCredentials: base,
  microsoft: () => base,
  acr: () => base,
  dockerIdentity: base,
});
const form = (body: string): Record<string, string> => Object.fromEntries(new URLSearchParams(body));
const isForm = ({ headers }: Asked): boolean => headers["content-type"] === "application/x-www-form-urlencoded";
const same = (a: unknown, b: unknown): boolean => {
  try {
    expect(a).toEqual(b);
    return true;
  } catch {
    return false;
  }
};
const exchangeForm = (audience: string) => ({
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
  subject_token: idToken(audience),
});

interface Provider {
  yaml: string;
  answer(request: Asked): Answer;
  login: { username: string; password: string; until?: number };
  secrets: string[];
}

const tenant = "11111111-2222-4333-8444-555555555555";
const client = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const provider = "projects/12/locations/global/workloadIdentityPools/github/providers/goldenpath";
const googleExchange = (request: Asked): Answer =>
  request.path === "/v1/token" &&
  same(JSON.parse(request.body), {
    audience: `//iam.googleapis.com/${provider}`,
    grantType: "urn:ietf:params:oauth:grant-type:token-exchange",
    requestedTokenType: "urn:ietf:params:oauth:token-type:access_token",
    scope: "https://www.googleapis.com/auth/cloud-platform",
    subjectTokenType: "urn:ietf:params:oauth:token-type:jwt",
    subjectToken: idToken(`https://iam.googleapis.com/${provider}`),
  })
    ? { body: { access_token: "federated", token_type: "Bearer", expires_in: 3600 } }
    : undefined;

const providers: Record<string, () => Provider> = {
  "aws-ecr": () => ({
    yaml: "- type: aws-ecr\n  registry: 123456789012.dkr.ecr.eu-central-1.amazonaws.com\n  role-to-assume: arn:aws:iam::123456789012:role/g\n  region: eu-central-1\n",
    answer: (request) => {
      const wanted = {
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: "arn:aws:iam::123456789012:role/g",
        RoleSessionName: "goldenpath",
        WebIdentityToken: idToken("sts.amazonaws.com"),
        DurationSeconds: "900",
      };
      if (isForm(request) && same(form(request.body), wanted)) {
        return {
          body: `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><SessionToken>session+/=</SessionToken><SecretAccessKey>secret-key</SecretAccessKey><Expiration>2026-11-26T09:15:00Z</Expiration><AccessKeyId>ASIAEXAMPLE</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
        };
      }
      const { headers, path, body } = request;
      const isSigned =
        headers["x-amz-target"] === "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" &&
        headers["content-type"] === "application/x-amz-json-1.1" &&
        headers["x-amz-security-token"] === "session+/=" &&
        headers["x-amz-date"] === "20261126T090000Z" &&
        /^AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE\/20261126\/eu-central-1\/ecr\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$/.test(
          headers.authorization ?? "",
        );
      const authorizationToken = Buffer.from("AWS:ecr-password").toString("base64");
      return isSigned && path === "/" && body === "{}"
        ? { body: { authorizationData: [{ authorizationToken, expiresAt: 1.7957e9, proxyEndpoint: "https://x" }] } }
        : undefined;
    },
    login: { username: "AWS", password: "ecr-password", until: 1.7957e12 },
    secrets: ["secret-key", "session+/="],
  }),
  "gcp-wif": () => ({
    yaml: `- type: gcp-wif\n  registry: europe-docker.pkg.dev\n  workload_identity_provider: ${provider}\n  service_account: g@acme.iam.gserviceaccount.com\n`,
    answer: (request) =>
      request.path === "/v1/projects/-/serviceAccounts/g%40acme.iam.gserviceaccount.com:generateAccessToken" &&
      request.headers.authorization === "Bearer federated" &&
      same(JSON.parse(request.body), { scope: ["https://www.googleapis.com/auth/cloud-platform"], lifetime: "900s" })
        ? { body: { accessToken: "of-the-account", expireTime: "2026-11-26T09:15:00Z" } }
        : googleExchange(request),
    login: { username: "oauth2accesstoken", password: "of-the-account", until: now.getTime() + 900_000 },
    secrets: ["federated"],
  }),
  "gcp-wif without a service account": () => ({
    yaml: `- type: gcp-wif\n  registry: europe-docker.pkg.dev\n  workload_identity_provider: ${provider}\n`,
    answer: googleExchange,
    login: { username: "oauth2accesstoken", password: "federated", until: now.getTime() + 3_600_000 },
    secrets: [],
  }),
  "azure-acr": () => ({
    yaml: `- type: azure-acr\n  registry: acme.azurecr.io\n  client-id: ${client}\n  tenant-id: ${tenant}\n`,
    answer: (request) => {
      const entra = {
        grant_type: "client_credentials",
        client_id: client,
        scope: "https://containerregistry.azure.net/.default",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: idToken("api://AzureADTokenExchange"),
      };
      if (!isForm(request)) return undefined;
      if (request.path === `/${tenant}/oauth2/v2.0/token` && same(form(request.body), entra))
        return { body: { token_type: "Bearer", expires_in: 3599, access_token: "of-entra" } };
      const exchange = { grant_type: "access_token", service: "acme.azurecr.io", tenant, access_token: "of-entra" };
      return request.path === "/oauth2/exchange" && same(form(request.body), exchange)
        ? { body: { refresh_token: "of-acr" } }
        : undefined;
    },
    login: { username: "00000000-0000-0000-0000-000000000000", password: "of-acr" },
    secrets: ["of-entra"],
  }),
  dockerhub: () => ({
    yaml: `- type: dockerhub\n  username: acme\n  connection_id: ${client}\n`,
    answer: (request) =>
      isForm(request) &&
      request.path === "/oauth/token" &&
      same(form(request.body), { ...exchangeForm(base), connection_id: client, expires_in: "900" })
        ? { body: { access_token: "of-the-hub" } }
        : undefined,
    login: { username: "acme", password: "of-the-hub" },
    secrets: [],
  }),
  artifactory: () => ({
    yaml: `- type: artifactory\n  registry: acme.jfrog.test\n  url: ${base}/\n  provider_name: github\n  audience: ${base}\n`,
    answer: (request) =>
      request.path === "/access/api/v1/oidc/token" &&
      same(JSON.parse(request.body), { ...exchangeForm(base), provider_name: "github" })
        ? { body: { access_token: "of-jfrog", expires_in: 600, username: "ci" } }
        : undefined,
    login: { username: "ci", password: "of-jfrog", until: now.getTime() + 600_000 },
    secrets: [],
  }),
  broker: () => ({
    yaml: `- type: broker\n  registry: harbor.test\n  url: ${base}/token\n  username: robot$ci\n`,
    answer: (request) =>
      isForm(request) &&
      request.path === "/token" &&
      same(form(request.body), { ...exchangeForm(`${base}/token`), audience: "harbor.test" })
        ? { body: { access_token: "of-the-broker", issued_token_type: "x", token_type: "N_A" } }
        : undefined,
    login: { username: "robot$ci", password: "of-the-broker" },
    secrets: [],
  }),
};

function read(yaml: string): Identity {
  const parsed = parseIdentities(yaml);
  const [identity] = "identities" in parsed ? parsed.identities : [];
  if (identity === undefined) throw new Error(JSON.stringify(parsed));
  return identity;
}

describe.each(Object.keys(providers))("%s", (name) => {
  const of = () => providers[name]?.() as Provider;

  test("refuses: that is said with its answer, and nobody else is asked", async () => {
    const { yaml } = of();
    answer = () => ({ status: 403, body: "no trust for this workflow" });
    await expect(exchangeIdentity(read(yaml), context(), hosts())).rejects.toMatchObject({
      code: "identity-refused",
      message: expect.stringContaining("403 (no trust for this workflow)"),
    });
    expect(asked.filter(({ path }) => !path.startsWith("/oidc"))).toHaveLength(1);
  });

  test.each(["{}", "<html>", "null", '{"access_token":""}'])("answers %s, which is no login", async (body) => {
    answer = () => ({ body });
    await expect(exchangeIdentity(read(of().yaml), context(), hosts())).rejects.toMatchObject({
      code: "identity-refused",
    });
  });

  test("is not asked by a job that may not ask for an identity token", async () => {
    answer = () => ({ body: {} });
    const without = context({ ACTIONS_ID_TOKEN_REQUEST_TOKEN: "" });
    await expect(exchangeIdentity(read(of().yaml), without, hosts())).rejects.toMatchObject({
      code: "identity-missing",
    });
    expect(asked).toEqual([]);
  });

  test("gives a login for just what it documents, and every token on the way is masked", async () => {
    const own = of();
    answer = own.answer;
    const login = await exchangeIdentity(read(own.yaml), context(), hosts());
    expect(login).toMatchObject({ until: now.getTime() + 300_000, ...own.login });
    expect(asked[0]?.headers["user-agent"]).toBe("actions/oidc-client");
    expect(masked).toEqual(expect.arrayContaining(own.secrets));
    expect(masked.some((secret) => secret.startsWith("id-token-for:"))).toBe(true);
  });
});

test.each(["", "AWS", "AWS:", ":ecr-password"])("ECR gives no login by a token of '%s'", async (token) => {
  const ecr = providers["aws-ecr"]?.() as Provider;
  const authorizationToken = Buffer.from(token).toString("base64");
  answer = (request) =>
    request.headers["x-amz-target"] === undefined
      ? ecr.answer(request)
      : { body: { authorizationData: [{ authorizationToken, expiresAt: 1.7957e9 }] } };
  await expect(exchangeIdentity(read(ecr.yaml), context(), hosts())).rejects.toMatchObject({
    code: "identity-refused",
    message: expect.stringContaining("Amazon ECR at "),
  });
  answer = ecr.answer;
  expect(await exchangeIdentity(read(ecr.yaml), context(), hosts())).toMatchObject({ password: "ecr-password" });
});

test("ghcr takes the job's own token, and asks nobody", async () => {
  const identity = read("- type: ghcr\n");
  await expect(exchangeIdentity(identity, context())).rejects.toMatchObject({ code: "identity-missing" });
  expect(await exchangeIdentity(identity, context({ GITHUB_TOKEN: "t", GITHUB_ACTOR: "octo" }))).toMatchObject({
    username: "octo",
    password: "t",
  });
  expect(asked).toEqual([]);
});

describe("ghcr shows the job's token to no other host than GitHub's", () => {
  const login = (registry: string, server: string) =>
    exchangeIdentity(
      read(`- type: ghcr\n  registry: ${registry}\n`),
      context({ GITHUB_TOKEN: "t", GITHUB_ACTOR: "octo", GITHUB_SERVER_URL: server }),
    );

  test.each([
    ["a stranger's host", "containers.evil.example", "https://github.com"],
    ["a stranger's host, where nothing is said of the server", "containers.evil.example", ""],
    ["another company's", "containers.other.ghe.com", "https://acme.ghe.com"],
    ["one whose name begins as it does", "containers.acme.ghe.com.evil.example", "https://acme.ghe.com"],
  ])("%s", async (_what, registry, server) => {
    await expect(login(registry, server)).rejects.toMatchObject({
      code: "input-invalid",
      message: expect.stringContaining(`${registry} is no registry of the GitHub that runs this job`),
    });
  });

  test.each([
    ["ghcr.io", "https://github.com"],
    ["containers.acme.ghe.com", "https://acme.ghe.com"],
    ["containers.github.acme.example", "https://github.acme.example:8443"],
  ])("and beside them %s, on %s", async (registry, server) => {
    expect(await login(registry, server)).toMatchObject({ username: "octo", password: "t" });
  });
});

describe("the logins of a run", () => {
  const broker = () => providers["broker"]?.() as Provider;

  test("are made for no registry that no identity names, and for none at all while they are sealed", async () => {
    answer = broker().answer;
    const identities = openIdentities([read(broker().yaml)], context(), { isSealed: true, hosts: hosts() });
    expect(await identities.find("harbor.test")).toBeUndefined();
    identities.open();
    for (const other of ["harbor.test:8443", "evil.harbor.test", "docker.io"])
      expect(await identities.find(other)).toBeUndefined();
    expect(asked).toEqual([]);
    expect(await identities.find("harbor.test")).toEqual({ username: "robot$ci", password: "of-the-broker" });
    expect(masked).toContain("of-the-broker");
  });

  test("are asked for again where none was given, and by all who waited only once", async () => {
    answer = () => ({ status: 403, body: "not yet" });
    const identities = openIdentities([read(broker().yaml)], context(), { isSealed: false, hosts: hosts() });
    const refused = await Promise.allSettled([1, 2, 3].map(() => identities.find("harbor.test")));
    expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(asked.filter(({ path }) => path === "/token")).toHaveLength(1);
    answer = broker().answer;
    expect(await identities.find("harbor.test")).toMatchObject({ password: "of-the-broker" });
  });

  test("are asked for once, by however many at a time, and anew before they end", async () => {
    answer = broker().answer;
    let time = now.getTime();
    const own = { ...context(), now: () => new Date(time) };
    const identities = openIdentities([read(broker().yaml)], own, { isSealed: false, hosts: hosts() });
    await Promise.all([1, 2, 3].map(() => identities.find("harbor.test")));
    const exchanges = () => asked.filter(({ path }) => path === "/token").length;
    expect(exchanges()).toBe(1);
    time += 230_000;
    await identities.find("harbor.test");
    expect(exchanges()).toBe(1);
    time += 20_000;
    await identities.find("harbor.test");
    expect(exchanges()).toBe(2);
  });
});
