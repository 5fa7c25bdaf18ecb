import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { RegistryServer } from "@goldenpath/registry-server/server";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { clientWith, login } from "@goldenpath/testing/logged-in";
import { contextIn } from "@goldenpath/testing/promotion";
import { cleanups, listen, registry, useCleanups } from "@goldenpath/testing/servers";
import { beforeEach, describe, expect, test } from "vitest";

// One registry with a token service, which lets anybody pull and two users push: the platform's, and whoever has the
// password that a broker gives to this job. The broker and GitHub's token service are stand-ins.
useCleanups();

interface World {
  server: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  policy: ChainPolicy;
  image: TestImage;
  /** What happened, in order: `id-token`, `broker`. */
  tokens: string[];
  broker: string;
  masked: string[];
  log: string[];
  directory: string;
}

let world: World;
beforeEach(async () => {
  const server = await registry({
    auth: { kind: "bearer", users: { platform: "p", robot$ci: "of-the-broker" }, anonymousPull: true },
  });
  const client = await clientWith({ [server.host]: login("platform:p") });
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-identities-"));
  cleanups.push(() => rm(directory, { recursive: true }));
  const keys = await makeKeys(directory);
  const [from, to] = [`${server.host}/quarantine`, `${server.host}/vetted`];
  const policy = await writeChainPolicy({ directory, keys, from, to });
  const image = await pushImage(client, `${from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  await putInForce(client, to, policy, { keys });
  const tokens: string[] = [];
  const port = await listen(
    createServer(async (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
      if (pathname === "/oidc" && request.headers.authorization === "Bearer of-the-job") {
        tokens.push("id-token");
        return response.end(JSON.stringify({ value: `id-token for ${searchParams.get("audience")}` }));
      }
      const form = new URLSearchParams(await text(request));
      if (pathname !== "/token" || form.get("subject_token") !== `id-token for ${broker}/token`)
        return response.writeHead(403).end();
      tokens.push("broker");
      return response.end(JSON.stringify({ access_token: "of-the-broker", expires_in: 300 }));
    }),
  );
  const broker = `http://127.0.0.1:${port}`;
  world = { server, client, keys, policy, image, tokens, broker, masked: [], log: [], directory };
});

const identities = (): string =>
  `- type: broker\n  registry: ${world.server.host}\n  url: ${world.broker}/token\n  username: robot$ci\n`;

function run(verb: Verb, inputs: Record<string, string>): Promise<Execution> {
  const { directory, policy, keys, broker, image, masked, log } = world;
  const ports: Ports = {
    ...silentPorts(),
    mask: (secret) => void masked.push(secret),
    log: { ...silentPorts().log, info: (line) => void log.push(line) },
  };
  const surroundings = {
    ...contextIn(directory),
    ports,
    env: { ACTIONS_ID_TOKEN_REQUEST_URL: `${broker}/oidc?v=1`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "of-the-job" },
    temporaryRoot: directory,
    defaultResultDirectory: join(directory, "results"),
  };
  const common = { policy: policy.file, "policy-signer": keys.platform.publicKey, image: image.reference };
  return executeVerb(verb, { ...common, environment: "production", ...inputs }, surroundings);
}

const promote = (inputs: Record<string, string> = {}): Promise<Execution> =>
  run(promoteVerb, {
    to: `${world.server.host}/vetted/shop`,
    tags: "1.0.0",
    key: world.keys.promote.file,
    "registry-identities": identities(),
    ...inputs,
  });
const writes = () =>
  world.server.requests.filter(({ method, path }) => method !== "GET" && method !== "HEAD" && path !== "/token");

describe("a promotion that logs in as its job", () => {
  test("asks nobody for a token under a policy that is not in force, or that keeps the image out", async () => {
    const { directory, keys, server } = world;
    const facts = { directory, keys, from: `${server.host}/quarantine`, to: `${server.host}/vetted` };
    const other = await writeChainPolicy({ ...facts, serial: 6, remark: "everything is allowed" });
    const before = writes().length;
    const refused = await promote({ policy: other.file });
    expect(refused.outcome.result.violations).toMatchObject([{ rule: "policy.not-in-force" }]);
    const astray = await promote({ to: `${server.host}/elsewhere/shop` });
    expect(astray.outcome.verdict).toBe("fail");
    expect(world.tokens).toEqual([]);
    expect(writes()).toHaveLength(before);
  });

  test("asks for one after the policy in force accepted the policy, and promotes with it", async () => {
    expect((await promote({ "registry-identities": "" })).error).toMatchObject({ code: "registry-unauthorized" });
    const { outcome, error } = await promote();
    expect({ verdict: outcome.verdict, error }).toEqual({ verdict: "pass", error: undefined });
    expect(world.tokens).toEqual(["id-token", "broker"]);
    expect(world.masked).toEqual(
      expect.arrayContaining(["of-the-job", `id-token for ${world.broker}/token`, "of-the-broker"]),
    );
    expect(world.log.join("\n")).toContain(`logged in to ${world.server.host} as this job (broker)`);
    expect(world.log.join("\n")).not.toContain("of-the-broker");
    expect((await world.server.snapshot())["vetted/shop"]?.tags).toEqual({ "1.0.0": world.image.image.digest });
  });

  test("says which service refused it", async () => {
    const { outcome } = await promote({
      "registry-identities": identities().replace("username:", `audience: ${world.broker}\n  username:`),
    });
    expect(outcome.result.error).toMatchObject({ code: "identity-refused", message: expect.stringContaining("403") });
  });
});

test("a verb that only reads uses it where a registry asks who is there", async () => {
  const closed = await registry({ auth: { kind: "basic", users: { robot$ci: "of-the-broker", platform: "p" } } });
  const client = await clientWith({ [closed.host]: login("platform:p") });
  const { directory, keys } = world;
  const [from, to] = [`${closed.host}/quarantine`, `${closed.host}/vetted`];
  const policy = await writeChainPolicy({ directory, keys, from, to });
  const image = await pushImage(client, `${from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  const inputs = { policy: policy.file, image: image.reference, "policy-signer": "" };
  expect((await run(verifyVerb, inputs)).error).toMatchObject({ code: "registry-unauthorized" });
  const own = identities().replace(world.server.host, closed.host);
  expect((await run(verifyVerb, { ...inputs, "registry-identities": own })).outcome.verdict).toBe("pass");
  expect(world.tokens).toEqual(["id-token", "broker"]);
});
