import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type RegistryOptions, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createRegistryClient } from "../create.ts";
import { parseReference } from "../oci/reference.ts";
import { buildImage, pushBuilt } from "../testing.ts";
import { judgeQuarantine } from "./judge-quarantine.ts";
import { gatherQuarantine } from "./quarantine.ts";

const cleanups: (() => unknown)[] = [];
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-quarantine-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true, force: true });
});

/** Two registries: quarantine for `ops` alone, unless told otherwise, and vetted for `production`. */
async function pair(options: RegistryOptions = {}): Promise<{ quarantine: RegistryServer; vetted: RegistryServer }> {
  const quarantine = await startRegistry({ auth: { kind: "bearer", users: { ops: "o" } }, ...options });
  const vetted = await startRegistry({ auth: { kind: "bearer", users: { production: "p", ops: "o" } } });
  cleanups.push(
    () => quarantine.close(),
    () => vetted.close(),
  );
  const env = await logins("setup", { [quarantine.host]: "ops:o", [vetted.host]: "ops:o" });
  const client = createRegistryClient({ ports: silentPorts(), env });
  await pushBuilt(client, { registry: quarantine.host, name: "quarantine/shop" }, buildImage(), "v1");
  await pushBuilt(client, { registry: vetted.host, name: "vetted/shop" }, buildImage(), "v1");
  await client.close();
  return { quarantine, vetted };
}

/** `{host: "name:password"}` → the environment of whoever is logged in so. */
async function logins(name: string, auths: Record<string, string>): Promise<{ DOCKER_CONFIG: string }> {
  const folder = join(directory, name);
  await mkdir(folder, { recursive: true });
  const entries = Object.entries(auths).map(([host, login]) => [host, { auth: Buffer.from(login).toString("base64") }]);
  await writeFile(join(folder, "config.json"), JSON.stringify({ auths: Object.fromEntries(entries) }));
  return { DOCKER_CONFIG: folder };
}

async function look(image: string, own: Record<string, string>, production?: Record<string, string>, vetted?: string) {
  const facts = await gatherQuarantine({
    ports: silentPorts(),
    env: await logins("own", own),
    image: parseReference(image),
    ...(production === undefined ? {} : { pullConfig: (await logins("production", production)).DOCKER_CONFIG }),
    ...(vetted === undefined ? {} : { vetted: parseReference(vetted) }),
  });
  return judgeQuarantine(facts);
}

describe("readable", () => {
  test("production's login reads quarantine", async () => {
    const { quarantine, vetted } = await pair({ auth: { kind: "bearer", users: { ops: "o", production: "p" } } });
    const report = await look(
      `${quarantine.host}/quarantine/shop:v1`,
      {},
      { [quarantine.host]: "production:p", [vetted.host]: "production:p" },
    );
    expect(report.answer).toBe("readable");
    expect(report.attempts.map(({ puller, answer }) => [puller, answer])).toEqual([
      ["pull-config", "readable"],
      ["anonymous", "refused"],
    ]);
  });

  test("anybody does", async () => {
    const { quarantine } = await pair({ auth: { kind: "bearer", users: { ops: "o" }, anonymousPull: true } });
    expect((await look(`${quarantine.host}/quarantine/shop:v1`, {})).answer).toBe("readable");
  });

  test("the manifest is refused, and the layers that it names are not", async () => {
    const { quarantine } = await pair({ auth: { kind: "bearer", users: { ops: "o" }, anonymousPull: true } });
    // Let through once (asked for a token, then with it) for whoever looks with their own login; from then on as a
    // registry that guards manifests alone.
    quarantine.faults = [{ path: "/(manifests|tags)/", after: 2, action: { kind: "status", status: 403 } }];
    const report = await look(`${quarantine.host}/quarantine/shop:v1`, { [quarantine.host]: "ops:o" });
    expect(report).toMatchObject({
      answer: "readable",
      attempts: [{ why: expect.stringContaining("a layer of the image") }],
    });
  });

  test("a name without that tag, whose list of tags can be read", async () => {
    const { quarantine } = await pair({ auth: { kind: "bearer", users: { ops: "o" }, anonymousPull: true } });
    expect((await look(`${quarantine.host}/quarantine/shop:none`, {})).answer).toBe("readable");
  });
});

describe("unknown", () => {
  test("a password that is wrong is refused everywhere, and shows nothing", async () => {
    const { quarantine, vetted } = await pair();
    const production = { [quarantine.host]: "production:old", [vetted.host]: "production:old" };
    expect((await look(`${quarantine.host}/quarantine/shop:v1`, {}, production)).answer).toBe("unknown");
    expect(
      (await look(`${quarantine.host}/quarantine/shop:v1`, {}, production, `${vetted.host}/vetted/shop:v1`)).answer,
    ).toBe("unknown");
  });

  test("a directory without any login", async () => {
    const { quarantine } = await pair();
    expect((await look(`${quarantine.host}/quarantine/shop:v1`, {}, {})).answer).toBe("unknown");
  });

  test("an image that does not exist, by the word of one's own login", async () => {
    const { quarantine } = await pair();
    expect((await look(`${quarantine.host}/quarantine/shpo:v1`, { [quarantine.host]: "ops:o" })).answer).toBe(
      "unknown",
    );
  });

  test("a registry without logins that says 404", async () => {
    const { quarantine } = await pair({ auth: undefined } as RegistryOptions);
    expect((await look(`${quarantine.host}/quarantine/shpo:v1`, {})).answer).toBe("unknown");
  });

  test.each([429, 500, 503])("a registry that answers %d", async (status) => {
    const { quarantine } = await pair({ auth: { kind: "bearer", users: { ops: "o" }, anonymousPull: true } });
    quarantine.faults = [{ path: "/(manifests|tags)/", action: { kind: "status", status } }];
    expect((await look(`${quarantine.host}/quarantine/shop:v1`, {})).answer).toBe("unknown");
  });

  test("nobody is there", async () => {
    expect((await look("localhost:1/quarantine/shop:v1", {})).answer).toBe("unknown");
  });
});

describe("refused", () => {
  test("nobody without a login, and none of production's logins is for it", async () => {
    const { quarantine, vetted } = await pair();
    const report = await look(
      `${quarantine.host}/quarantine/shop:v1`,
      { [quarantine.host]: "ops:o" },
      { [vetted.host]: "production:p" },
    );
    expect(report.answer).toBe("refused");
    expect(report.attempts[0]?.why).toContain("no login for this registry");
  });

  test("a login that is good, and may not", async () => {
    const { quarantine } = await pair({ auth: { kind: "basic", users: { ops: "o", production: "p" } } });
    quarantine.faults = [{ path: "^/v2/quarantine/", action: { kind: "status", status: 403 } }];
    expect(
      (await look(`${quarantine.host}/quarantine/shop:v1`, {}, { [quarantine.host]: "production:p" })).answer,
    ).toBe("refused");
  });

  test("a login that reads vetted", async () => {
    const { quarantine, vetted } = await pair();
    const report = await look(
      `${quarantine.host}/quarantine/shop:v1`,
      {},
      { [quarantine.host]: "production:p", [vetted.host]: "production:p" },
      `${vetted.host}/vetted/shop:v1`,
    );
    expect(report.answer).toBe("refused");
  });
});

/** Answers by who asks, as the embedded registry can't: quarantine is hidden from everybody but `ops`. */
async function hidingRegistry(): Promise<string> {
  const manifest = buildImage();
  const basic = (login: string) => `Basic ${Buffer.from(login).toString("base64")}`;
  const server = createServer((request, response) => {
    const who = request.headers.authorization;
    const [status, headers, body]: [number, Record<string, string>, Uint8Array | string] =
      who !== basic("ops:o") && who !== basic("production:p")
        ? [401, { "www-authenticate": 'Basic realm="x"' }, ""]
        : request.url === "/v2/"
          ? [200, {}, "{}"]
          : who === basic("ops:o") && request.url === "/v2/quarantine/shop/manifests/v1"
            ? [200, { "content-type": manifest.descriptor.mediaType }, manifest.bytes]
            : [404, {}, ""];
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return `localhost:${(server.address() as AddressInfo).port}`;
}

describe("a 404 that may be hiding", () => {
  test("is unknown where nobody can say that the image is there", async () => {
    const host = await hidingRegistry();
    expect((await look(`${host}/quarantine/shop:v1`, {}, { [host]: "production:p" })).answer).toBe("unknown");
  });

  test("is a refusal where one's own login sees the image", async () => {
    const host = await hidingRegistry();
    const report = await look(`${host}/quarantine/shop:v1`, { [host]: "ops:o" }, { [host]: "production:p" });
    expect(report.answer).toBe("refused");
    expect(report.attempts[0]?.why).toContain("hidden");
  });
});

test("what can be read of production's logins is said without them", async () => {
  const { quarantine } = await pair();
  await expect(
    gatherQuarantine({
      ports: silentPorts(),
      env: {},
      image: parseReference(`${quarantine.host}/q:v1`),
      pullConfig: join(directory, "none"),
    }),
  ).rejects.toMatchObject({ code: "docker-config-invalid" });
});

test("production's logins are those of its directory, and not of whoever runs the probe", async () => {
  const { quarantine, vetted } = await pair();
  const own = await logins("own", { [quarantine.host]: "ops:o" });
  const { DOCKER_CONFIG } = await logins("production", { [vetted.host]: "production:p" });
  const facts = await gatherQuarantine({
    ports: silentPorts(),
    // podman's file is one's own, too.
    env: { ...own, REGISTRY_AUTH_FILE: join(own.DOCKER_CONFIG, "config.json"), XDG_RUNTIME_DIR: own.DOCKER_CONFIG },
    image: parseReference(`${quarantine.host}/quarantine/shop:v1`),
    pullConfig: DOCKER_CONFIG,
  });
  expect(facts.control.isManifest).toBe(true);
  expect(judgeQuarantine(facts).answer).toBe("refused");
});
