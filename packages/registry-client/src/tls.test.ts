import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type ServerOptions } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import { cleanups, serve as serveAt, useCleanups } from "@goldenpath/testing/servers";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { certificateDirectories } from "./certificates.ts";
import type { HostSettings } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { type Authority, type KeyPair, makeAuthority } from "./testing-tls.ts";
import { createTransport, type Transport, type TransportOptions } from "./transport.ts";

let authority: Authority;
let stranger: Authority;
let pair: KeyPair;
beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority("Own"), makeAuthority("Stranger")]);
  pair = await authority.issue(["IP:127.0.0.1", "DNS:localhost", "DNS:registry.test"]);
});

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "goldenpath-home-"));
  cleanups.push(() => rm(home, { recursive: true }));
});
useCleanups();

async function serve(
  listener: RequestListener = (_request, response) => void response.end("hello"),
  options: ServerOptions = {},
) {
  const server = createServer({ ...pair, ...options }, listener);
  let connections = 0;
  server.on("connection", () => connections++);
  return { host: await serveAt(server), connections: () => connections };
}

function transport(options: Partial<TransportOptions> = {}): Transport & { waits: number[]; warnings: string[] } {
  const waits: number[] = [];
  const warnings: string[] = [];
  const silent = silentPorts();
  const made = createTransport({
    ports: { ...silent, log: { ...silent.log, warning: (message) => void warnings.push(message) } },
    env: { HOME: home },
    sleep: async (milliseconds) => void waits.push(milliseconds),
    ...options,
  });
  cleanups.push(() => made.close());
  return Object.assign(made, { waits, warnings });
}

const get = (host: string, path = "/") => ({
  method: "GET" as const,
  url: new URL(`https://${host}${path}`),
  readUpTo: 1000,
});
const untrusted = { name: "InfrastructureError", code: "certificate-untrusted", safeToRetry: false };

describe("a certificate that does not pass is an error with a way out, and not tried again", () => {
  test("of an authority that nobody has named", async () => {
    const { host, connections } = await serve();
    const made = transport();
    const error = await made.send(get(host)).catch((each: unknown) => each);
    expect(error).toMatchObject({ ...untrusted, message: expect.stringContaining(host) });
    expect(error).toMatchObject({ wayOut: expect.stringContaining(`registries.hosts.${host}.ca`) });
    expect(error).toMatchObject({ wayOut: expect.stringContaining(`certs.d/${host}/`) });
    expect(made.waits).toEqual([]);
    expect(connections()).toBe(1);
  });

  test("with another authority's certificate, with one for another port, and with skipVerify there", async () => {
    const { host } = await serve();
    const cases: Record<string, HostSettings>[] = [
      { [host]: { ca: stranger.cert } },
      { "127.0.0.1:1": { ca: authority.cert } },
      { "127.0.0.1": { ca: authority.cert } },
      { "127.0.0.1:1": { skipVerify: true } },
      { [host]: { skipVerify: false } },
    ];
    for (const hosts of cases) {
      await expect(transport({ hosts }).send(get(host))).rejects.toMatchObject(untrusted);
    }
  });

  test("for another name, and out of date", async () => {
    const hosts = (host: string) => ({ [host]: { ca: authority.cert } });
    const other = await serve(undefined, await authority.issue(["DNS:other.test"]));
    await expect(transport({ hosts: hosts(other.host) }).send(get(other.host))).rejects.toMatchObject({
      ...untrusted,
      message: expect.stringContaining("ERR_TLS_CERT_ALTNAME_INVALID"),
    });
    const old = await serve(undefined, await authority.issue(["IP:127.0.0.1"], -1));
    await expect(transport({ hosts: hosts(old.host) }).send(get(old.host))).rejects.toMatchObject({
      ...untrusted,
      message: expect.stringContaining("CERT_HAS_EXPIRED"),
    });
  });

  test("even where the environment turns the check off for all of Node", async () => {
    const { host } = await serve();
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    cleanups.push(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]);
    await expect(transport().send(get(host))).rejects.toMatchObject(untrusted);
    await expect(transport({ hosts: { [host]: { ca: stranger.cert } } }).send(get(host))).rejects.toMatchObject(
      untrusted,
    );
  });

  test("of where a redirect leads, for which the registry's own settings do not count", async () => {
    const elsewhere = await serve();
    const first = await serve(
      (_request, response) => void response.writeHead(307, { location: `https://${elsewhere.host}/` }).end(),
    );
    for (const settings of [{ ca: authority.cert }, { skipVerify: true }]) {
      await expect(transport({ hosts: { [first.host]: settings } }).send(get(first.host))).rejects.toMatchObject({
        ...untrusted,
        message: expect.stringContaining(elsewhere.host),
      });
    }
    expect(
      (
        await transport({
          hosts: { [first.host]: { ca: authority.cert }, [elsewhere.host]: { ca: authority.cert } },
        }).send(get(first.host))
      ).status,
    ).toBe(200);
  });
});

describe("skipVerify", () => {
  test("takes any certificate, and says so once", async () => {
    const { host } = await serve(undefined, await stranger.issue(["DNS:other.test"], -1));
    const made = transport({ hosts: { [host]: { skipVerify: true } } });
    for (const _time of [1, 2, 3]) expect((await made.send(get(host))).status).toBe(200);
    expect(made.warnings).toEqual([expect.stringContaining(`the certificate of ${host} is not checked`)]);
  });

  test("never means plain http", async () => {
    const requests: string[] = [];
    const host = await serveAt(
      createHttpServer((request, response) => void response.end(String(requests.push(request.url ?? "")))),
    );
    await expect(transport({ hosts: { [host]: { skipVerify: true } } }).send(get(host))).rejects.toMatchObject({
      code: "registry-unreachable",
      wayOut: expect.stringContaining("registries.plainHttp"),
    });
    const client = createRegistryClient({
      ports: silentPorts(),
      env: { HOME: home },
      hosts: { [host]: { skipVerify: true } },
      attempts: 1,
    });
    cleanups.push(() => client.close());
    await expect(client.resolve({ registry: host, name: "a", tag: "b" })).rejects.toMatchObject({
      code: "registry-unreachable",
    });
    expect(requests).toEqual([]);
  });
});

describe("an own authority", () => {
  test("by the policy's settings, besides those that Node trusts", async () => {
    const { host } = await serve();
    const { host: other } = await serve();
    const made = transport({ hosts: { [host]: { ca: `${stranger.cert}\n${authority.cert}` } } });
    expect(new TextDecoder().decode((await made.send(get(host))).bytes)).toBe("hello");
    await expect(made.send(get(other))).rejects.toMatchObject(untrusted);
    expect(made.warnings).toEqual([]);
  });

  test("stands beside NODE_EXTRA_CA_CERTS", async () => {
    const extra = await serve(undefined, await stranger.issue(["IP:127.0.0.1"]));
    const own = await serve();
    await writeFile(join(home, "extra.pem"), stranger.cert);
    const script = `
      const { createTransport } = await import(${JSON.stringify(new URL("./transport.ts", import.meta.url).href)});
      const { silentPorts } = await import(${JSON.stringify(import.meta.resolve("@goldenpath/foundation/ports"))});
      const { CA, EXTRA, OWN } = process.env;
      const hosts = { [OWN]: { ca: CA }, [EXTRA]: { ca: CA } };
      for (const each of [{}, { hosts }]) {
        const made = createTransport({ ports: silentPorts(), env: {}, ...each });
        for (const host of [EXTRA, OWN]) {
          const send = made.send({ method: "GET", url: new URL("https://" + host), readUpTo: 100 });
          console.log(await send.then(({ status }) => status, ({ code }) => code));
        }
        await made.close();
      }`;
    const env = {
      NODE_EXTRA_CA_CERTS: join(home, "extra.pem"),
      CA: authority.cert,
      EXTRA: extra.host,
      OWN: own.host,
      NODE_NO_WARNINGS: "1",
    };
    const args = ["--conditions=goldenpath-source", "--input-type=module", "--eval", script];
    const { stdout } = await runChecked(process.execPath, args, { env });
    expect(stdout.trim().split("\n")).toEqual(["200", "certificate-untrusted", "200", "200"]);
  });

  test.each([
    ["no PEM", "certificate", /no certificate in PEM/],
    ["PEM that is no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", /not a certificate/],
  ])("with %s is an error that names where it is", async (_what, ca, why) => {
    const { host, connections } = await serve();
    await expect(transport({ hosts: { [host]: { ca } } }).send(get(host))).rejects.toMatchObject({
      name: "UserError",
      code: "certificates-invalid",
      message: expect.stringMatching(why),
    });
    await put(`.docker/certs.d/${host}/ca.crt`, ca);
    await expect(transport().send(get(host))).rejects.toThrow(`.docker/certs.d/${host}/ca.crt`);
    expect(connections()).toBe(0);
  });

  async function put(path: string, content: string): Promise<void> {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), content);
  }

  test("by certs.d of Docker or podman, for that port alone", async () => {
    for (const folder of [".docker", ".config/containers"]) {
      const { host } = await serve();
      const { host: other } = await serve();
      await put(`${folder}/certs.d/${host}/corp.crt`, authority.cert);
      const made = transport();
      expect((await made.send(get(host))).status).toBe(200);
      await expect(made.send(get(other))).rejects.toMatchObject(untrusted);
    }
  });

  test("shows its client's certificate there, and is refused without", async () => {
    // With TLS 1.3, Node's server closes the connection before its reason arrives; 1.2 refuses in the handshake.
    const strict: ServerOptions = { requestCert: true, rejectUnauthorized: true, maxVersion: "TLSv1.2" };
    const seen: unknown[] = [];
    const { host } = await serve(
      (request, response) =>
        void response.end(String(seen.push((request.socket as { authorized?: boolean } & Socket).authorized))),
      { ...strict, ca: authority.cert },
    );
    await put(`.docker/certs.d/${host}/ca.crt`, authority.cert);
    const refused = {
      code: "client-certificate-refused",
      wayOut: expect.stringContaining(`certs.d/${host}/client.cert and client.key`),
    };
    await expect(transport({ attempts: 1 }).send(get(host))).rejects.toMatchObject(refused);
    const client = await authority.issue([]);
    await put(`.docker/certs.d/${host}/client.cert`, client.cert);
    await expect(transport().send(get(host))).rejects.toMatchObject({ code: "certificates-invalid" });
    await put(`.docker/certs.d/${host}/client.key`, (await authority.issue([])).key);
    await expect(transport().send(get(host))).rejects.toMatchObject({ code: "certificates-invalid" });
    await put(`.docker/certs.d/${host}/client.key`, client.key);
    const masked: string[] = [];
    const ports = { ...silentPorts(), mask: (secret: string) => void masked.push(secret) };
    expect((await transport({ ports }).send(get(host))).status).toBe(200);
    expect(seen).toEqual([true]);
    expect(masked).toEqual([client.key]);
  });

  test("a registry on localhost has TLS where its settings say so", async () => {
    const { host } = await serve((_request, response) => void response.writeHead(404).end());
    const registry = host.replace("127.0.0.1", "localhost");
    const client = createRegistryClient({
      ports: silentPorts(),
      env: { HOME: home },
      hosts: { [registry]: { ca: authority.cert } },
    });
    cleanups.push(() => client.close());
    expect(await client.resolve({ registry, name: "a", tag: "b" })).toBeUndefined();
  });
});

describe("behind a proxy", () => {
  async function proxy() {
    const asked: string[] = [];
    const server = createHttpServer();
    let target = "";
    server.on("connect", (request, socket) => {
      asked.push(request.url ?? "");
      const [host, port] = target.split(":");
      const upstream = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on("error", () => socket.destroy());
      socket.on("error", () => upstream.destroy());
      cleanups.push(() => upstream.destroy());
    });
    const url = `http://${await serveAt(server)}`;
    return {
      asked,
      leadTo(host: string) {
        target = host;
        return { HOME: home, HTTPS_PROXY: url };
      },
    };
  }

  test("settings are the registry's all the same", async () => {
    const { host } = await serve();
    const { asked, leadTo } = await proxy();
    const env = leadTo(host);
    await expect(transport({ env }).send(get("registry.test"))).rejects.toMatchObject(untrusted);
    const wrong: Record<string, HostSettings>[] = [
      { "other.test": { ca: authority.cert } },
      { "registry.test:5000": { skipVerify: true } },
    ];
    const right: Record<string, HostSettings>[] = [
      { "registry.test": { ca: authority.cert } },
      { "registry.test:443": { skipVerify: true } },
    ];
    for (const hosts of wrong)
      await expect(transport({ env, hosts }).send(get("registry.test"))).rejects.toMatchObject(untrusted);
    for (const hosts of right) expect((await transport({ env, hosts }).send(get("registry.test"))).status).toBe(200);
    expect(new Set(asked)).toEqual(new Set(["registry.test:443"]));
  });

  test("but a host of this machine is asked without it", async () => {
    const { host } = await serve();
    const { asked, leadTo } = await proxy();
    const made = transport({ env: leadTo(host), hosts: { [host]: { ca: authority.cert } } });
    expect((await made.send(get(host))).status).toBe(200);
    expect(asked).toEqual([]);
  });

  test("by certs.d, with and without https' own port in its name, and with the client's certificate", async () => {
    const { host } = await serve(undefined, { requestCert: true, rejectUnauthorized: true, ca: authority.cert });
    const { leadTo } = await proxy();
    const client = await authority.issue([]);
    for (const name of ["registry.test", "registry.test:443"]) {
      const directory = join(home, ".docker/certs.d", name);
      await mkdir(directory, { recursive: true });
      await Promise.all([
        writeFile(join(directory, "ca.crt"), authority.cert),
        writeFile(join(directory, "client.cert"), client.cert),
        writeFile(join(directory, "client.key"), client.key),
      ]);
      expect((await transport({ env: leadTo(host) }).send(get("registry.test"))).status).toBe(200);
      await rm(directory, { recursive: true });
    }
  });
});

test("where certificates are looked for", () => {
  expect(certificateDirectories("registry.corp:5000", { HOME: "/h" })).toEqual([
    "/etc/docker/certs.d/registry.corp:5000",
    "/etc/containers/certs.d/registry.corp:5000",
    "/h/.docker/certs.d/registry.corp:5000",
    "/h/.config/containers/certs.d/registry.corp:5000",
  ]);
  expect(certificateDirectories("registry-1.docker.io", {})).toContain("/etc/docker/certs.d/docker.io");
  expect(certificateDirectories("..", { HOME: "/h" })).toEqual([]);
});
