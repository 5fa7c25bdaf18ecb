import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import type { HostSettings, RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { buildImage, buildReferrer, describeBytes, pushBuilt } from "@goldenpath/registry-client/testing";
import { type Authority, makeAuthority } from "@goldenpath/registry-client/testing-tls";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { startTokenServer, type TokenServer, type TokenServerOptions } from "@goldenpath/testing/token-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startDockerd } from "../support/dockerd.ts";
import { type DistributionOptions, pause, startDistribution, type TestServer } from "../support/servers.ts";
import { giveUp, requireCommand } from "../support/tools.ts";

const user = "dev";
const password = `hunter2-${randomBytes(8).toString("hex")}`;
const refreshToken = `refresh-${randomBytes(8).toString("hex")}`;

let program: string;
let authority: Authority;
let stranger: Authority;
let hash: string;
// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  program = await requireCommand("docker-registry", suite);
  await requireCommand("openssl", suite);
  const perl = await requireCommand("perl", suite);
  [authority, stranger] = await Promise.all([makeAuthority("Own"), makeAuthority("Stranger")]);
  // htpasswd is in no package that is here anyway; Debian's crypt(3) knows bcrypt, and perl asks it.
  const salt = `$2y$05$${randomBytes(16).toString("hex").slice(0, 21)}u`;
  hash = (await runChecked(perl, ["-e", "print crypt($ARGV[0], $ARGV[1])", password, salt], { env: {} })).stdout;
  expect(hash).toMatch(/^\$2y\$05\$.{53}$/);
});

/**
 * Everything that anybody could read: log lines and errors of all clients, to be searched for secrets at the end of
 * each test.
 */
let said: string[];
let secrets: () => string[];
let directory: string;
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  said = [];
  secrets = () => [
    password,
    refreshToken,
    Buffer.from(`${user}:${password}`).toString("base64"),
    Buffer.from(`:${refreshToken}`).toString("base64"),
    hash,
  ];
  directory = await mkdtemp(join(tmpdir(), "goldenpath-logins-"));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  expect(said.length).toBeGreaterThan(0);
  for (const text of said) for (const secret of secrets()) expect(text).not.toContain(secret);
});

function listeningPorts(): Ports {
  const note = (message: string): void => void said.push(message);
  return { ...silentPorts(), log: { debug: note, info: note, notice: note, warning: note, error: note } };
}

interface Login {
  auths?: Record<string, object>;
  hosts?: Record<string, HostSettings>;
  home?: string;
}

async function client({ auths = {}, hosts = {}, home }: Login = {}): Promise<RegistryClient> {
  const config = await mkdtemp(join(directory, "docker-"));
  await writeFile(join(config, "config.json"), JSON.stringify({ auths }));
  const env = { DOCKER_CONFIG: config, HOME: home ?? config };
  const made = createRegistryClient({ ports: listeningPorts(), env, hosts, attempts: 2 });
  cleanups.push(() => made.close());
  return made;
}

const login = (name: string, secret: string) => ({ auth: Buffer.from(`${name}:${secret}`).toString("base64") });

async function distribution(options: DistributionOptions): Promise<TestServer> {
  const server = await startDistribution(program, options);
  cleanups.push(() => server.stop());
  return server;
}

async function tokens(options: Partial<TokenServerOptions> = {}): Promise<TokenServer> {
  const server = await startTokenServer({
    signer: authority,
    users: { [user]: password },
    refreshTokens: { [refreshToken]: user },
    ...options,
  });
  cleanups.push(() => server.stop());
  const before = secrets;
  secrets = () => [...before(), ...server.issued.map(({ token }) => token)];
  return server;
}

/** Whatever one does with a registry; each ends in this error, and leaves nothing behind. */
async function expectRefused(made: RegistryClient, host: string, expected: object): Promise<void> {
  const repository = { registry: host, name: "quarantine/shop" };
  const image = buildImage();
  const [blob] = image.blobs;
  if (blob === undefined) throw new Error("no blob");
  for (const attempt of [
    () => made.fetchManifest({ ...repository, tag: "v1" }),
    () => made.listTags(repository),
    () => made.listReferrers(repository, image.descriptor.digest),
    () => made.pushBlob(repository, blob.descriptor, () => blob.bytes),
    () => made.pushManifest(repository, image.bytes, image.descriptor.mediaType, "v1"),
  ]) {
    const error = await attempt().then(
      () => undefined,
      (each: unknown) => each,
    );
    said.push(inspect(error, { depth: 10, showHidden: true }));
    expect(error).toMatchObject(expected);
  }
}

/** Push, pull, mount, referrers by the fallback tag, tags. */
async function expectServed(made: RegistryClient, host: string): Promise<void> {
  const quarantine = { registry: host, name: "quarantine/shop" };
  const vetted = { registry: host, name: "vetted/shop" };
  const image = buildImage({ layers: ["one", "two", randomBytes(8).toString("hex")] });
  await pushBuilt(made, quarantine, image, "v1");
  expect((await made.fetchManifest({ ...quarantine, tag: "v1" })).digest).toBe(image.descriptor.digest);
  const [, layer] = image.blobs;
  if (layer === undefined) throw new Error("no layer");
  expect(await made.fetchBlob(quarantine, layer.descriptor)).toEqual(layer.bytes);
  for (const blob of image.blobs) expect(await made.copyBlob(quarantine, vetted, blob.descriptor)).toBe("mounted");
  await made.pushManifest(vetted, image.bytes, image.descriptor.mediaType, "v1");
  const referrer = buildReferrer(image.descriptor, "application/vnd.example.signature");
  await pushBuilt(made, vetted, referrer);
  expect((await made.listReferrers(vetted, image.descriptor.digest)).map(({ digest }) => digest)).toEqual([
    referrer.descriptor.digest,
  ]);
  expect((await made.listTags(vetted)).filter((tag) => !tag.startsWith("sha256-"))).toEqual(["v1"]);
  // The registry has no referrers API: the list is its fallback tag's.
  expect(await made.listTags(vetted)).toContain(image.descriptor.digest.replace(":", "-"));
}

const unauthorized = { name: "UserError", code: "registry-unauthorized" };
const untrusted = {
  name: "InfrastructureError",
  code: "certificate-untrusted",
  wayOut: expect.stringContaining(".ca"),
};

describe("an htpasswd registry", () => {
  test("refuses nobody's, a wrong and another host's login, and serves the right one", async () => {
    const { host } = await distribution({ htpasswd: { [user]: hash } });
    for (const auths of [
      {},
      { [host]: login(user, "wrong") },
      { [host]: login("other", password) },
      { "localhost:1": login(user, password) },
    ])
      await expectRefused(await client({ auths }), host, unauthorized);
    await expectServed(await client({ auths: { [host]: login(user, password) } }), host);
  });
});

describe("a token-auth registry", () => {
  test("refuses nobody's, a wrong and another host's login, and serves the right one", async () => {
    const service = await tokens();
    const { host } = await distribution({ token: service });
    for (const auths of [{}, { [host]: login(user, "wrong") }, { [service.host]: login(user, password) }])
      await expectRefused(await client({ auths }), host, unauthorized);
    expect(service.issued).toEqual([]);
    await expectServed(await client({ auths: { [host]: login(user, password) } }), host);
    // One token for each of what was done: the mounts need both repositories.
    const scopes = service.issued.map((each) => each.scopes.join(" "));
    expect(new Set(scopes).size).toBe(scopes.length);
    expect(scopes).toContain("repository:vetted/shop:pull,push repository:quarantine/shop:pull");
  });

  test.each([undefined, 404, 405])(
    "takes an identity token (the service answers a POST with %j)",
    async (postStatus) => {
      const service = await tokens(postStatus === undefined ? {} : { postStatus });
      const { host } = await distribution({ token: service });
      await expectRefused(await client({ auths: { [host]: { identitytoken: "wrong" } } }), host, unauthorized);
      await expectServed(await client({ auths: { [host]: { identitytoken: refreshToken } } }), host);
      expect(new Set(service.issued.map(({ by }) => by))).toEqual(new Set([postStatus === undefined ? "POST" : "GET"]));
    },
  );

  test("refuses tokens that somebody else signed", async () => {
    const service = await tokens({ signer: stranger });
    const { host } = await distribution({ token: { ...service, rootCertificates: authority.cert } });
    await expectRefused(await client({ auths: { [host]: login(user, password) } }), host, unauthorized);
  });

  test("a token that expires in the middle of a copy is followed by a fresh one", async () => {
    const service = await tokens({ validity: 2 });
    const { host } = await distribution({ token: service });
    const made = await client({ auths: { [host]: login(user, password) } });
    const from = { registry: host, name: "quarantine/shop" };
    const to = { registry: host, name: "vetted/shop" };
    for (let index = 0; index < 3; index++) {
      const bytes = randomBytes(300_000);
      const descriptor = describeBytes(bytes, "application/octet-stream");
      await made.pushBlob(from, descriptor, async function* () {
        yield bytes.subarray(0, 1000);
        // The service says 300 seconds, and the registry takes them for two.
        await pause(2_100);
        yield bytes.subarray(1000);
      });
      expect(await made.fetchBlob(from, descriptor)).toEqual(new Uint8Array(bytes));
      expect(await made.copyBlob(from, to, descriptor)).toBe("mounted");
    }
    const pushes = service.issued.filter(({ scopes }) => scopes.join(" ") === "repository:quarantine/shop:pull,push");
    expect(pushes.length).toBeGreaterThan(1);
    expect(service.refused).toBe(0);
  });
});

describe("a registry with an own authority's certificate", () => {
  const names = ["DNS:localhost", "IP:127.0.0.1"];

  test("refuses nothing but is refused itself: without the authority, with another's, with one or skipVerify for another host", async () => {
    const { host } = await distribution({ tls: await authority.issue(names) });
    const cases: Record<string, HostSettings>[] = [
      { [host]: { ca: stranger.cert } },
      { [host]: { ca: stranger.cert }, "localhost:1": { ca: authority.cert } },
      { [host]: { ca: stranger.cert }, "localhost:1": { skipVerify: true } },
    ];
    for (const hosts of cases) await expectRefused(await client({ hosts }), host, untrusted);
    // Without settings, localhost is spoken to over plain http, which this registry answers with a 400.
    await expectRefused(await client(), host, { code: "registry-error" });
    await expectServed(await client({ hosts: { [host]: { ca: authority.cert } } }), host);
    await expectServed(await client({ hosts: { [host]: { skipVerify: true } } }), host);
    expect(said.filter((each) => each.includes("is not checked"))).toHaveLength(1);
  });

  test("wants a login as well, and neither makes up for the other", async () => {
    const { host } = await distribution({ tls: await authority.issue(names), htpasswd: { [user]: hash } });
    const right = { [host]: login(user, password) };
    await expectRefused(await client({ auths: right, hosts: { [host]: { ca: stranger.cert } } }), host, untrusted);
    for (const auths of [{}, { [host]: login(user, "wrong") }])
      await expectRefused(await client({ auths, hosts: { [host]: { ca: authority.cert } } }), host, unauthorized);
    await expectServed(await client({ auths: right, hosts: { [host]: { ca: authority.cert } } }), host);
  });

  test("has a token service with a certificate of its own, which the registry's settings say nothing about", async () => {
    const service = await tokens({ tls: await stranger.issue(names) });
    const { host } = await distribution({ tls: await authority.issue(names), token: service });
    const auths = { [host]: login(user, password) };
    const registry = { [host]: { ca: `${authority.cert}${stranger.cert}` } };
    await expectRefused(await client({ auths, hosts: registry }), host, untrusted);
    await expectRefused(await client({ auths, hosts: { [host]: { skipVerify: true } } }), host, untrusted);
    expect(service.issued).toEqual([]);
    await expectServed(await client({ auths, hosts: { ...registry, [service.host]: { ca: stranger.cert } } }), host);
  });

  test("wants a certificate of the client, which certs.d has", async () => {
    const { host } = await distribution({ tls: { ...(await authority.issue(names)), clientCa: authority.cert } });
    const hosts = { [host]: { ca: authority.cert } };
    await expectRefused(await client({ hosts }), host, { name: "InfrastructureError" });
    const folder = join(directory, "home/.docker/certs.d", host);
    await mkdir(folder, { recursive: true });
    const { cert, key } = await authority.issue([]);
    await writeFile(join(folder, "client.cert"), cert);
    await writeFile(join(folder, "client.key"), key, { mode: 0o600 });
    const before = secrets;
    secrets = () => [...before(), key];
    await expectServed(await client({ hosts, home: join(directory, "home") }), host);
  });
});

describe("dockerd and goldenpath", () => {
  /** The first folder that had to be made. */
  let certificates: string | undefined;
  afterAll(async () => {
    if (certificates !== undefined) await rm(certificates, { recursive: true, force: true });
  });

  test("pull what was pushed to a registry with an own authority's certificate, by the same certs.d", async () => {
    const programs = { dockerd: await requireCommand("dockerd"), docker: await requireCommand("docker") };
    if (process.getuid?.() !== 0) giveUp("dockerd needs root");
    // dockerd checks no certificate on loopback.
    const address = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.internal === false && each.family === "IPv4")?.address;
    if (address === undefined) return giveUp("this machine has no address besides loopback's");
    const { host } = await distribution({ tls: await authority.issue([`IP:${address}`]), address });
    const daemon = await startDockerd(programs);
    cleanups.push(() => daemon.stop());
    const image = `${host}/shop:v1`;
    await expectRefused(await client(), host, untrusted);
    // There is no other place for it: dockerd has no setting for this folder.
    const folder = join("/etc/docker/certs.d", host);
    certificates = await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "ca.crt"), stranger.cert);
    await expect(daemon.docker("pull", image)).rejects.toThrow(/x509|certificate/);
    await writeFile(join(folder, "ca.crt"), authority.cert);
    const made = await client();
    await pushTinyImage(made, { registry: host, name: "shop" }, [await tinyLayer({ "hello.txt": "hello" })], {
      tag: "v1",
    });
    await daemon.docker("pull", image);
    const digest = await made.resolve({ registry: host, name: "shop", tag: "v1" });
    expect(await daemon.docker("inspect", "--format", "{{json .RepoDigests}}", image)).toContain(digest);
  });
});
