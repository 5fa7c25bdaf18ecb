import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { ProbeReport } from "@goldenpath/registry-client/probe/probe-report";
import { buildImage, pushBuilt } from "@goldenpath/registry-client/testing";
import { makeAuthority } from "@goldenpath/registry-client/testing-tls";
import { type RegistryOptions, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../../../test/support/cli.ts";

// Each call of main listens for an interrupt; a process has one call, and this file has many.
process.setMaxListeners(100);

let directory: string;
const servers: RegistryServer[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-probe-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function registry(options: RegistryOptions = {}): Promise<RegistryServer> {
  const server = await startRegistry(options);
  servers.push(server);
  return server;
}

const run = (...args: string[]) => runMain("registry", "probe", ...args);

/** A Docker config directory. */
async function logins(name: string, auths: Record<string, string>): Promise<string> {
  const folder = join(directory, name);
  await mkdir(folder);
  const entries = Object.entries(auths).map(([host, login]) => [host, { auth: Buffer.from(login).toString("base64") }]);
  await writeFile(join(folder, "config.json"), JSON.stringify({ auths: Object.fromEntries(entries) }));
  return folder;
}

async function pushShop(server: RegistryServer, env: Record<string, string> = {}): Promise<string> {
  const client = createRegistryClient({ ports: silentPorts(), env });
  await pushBuilt(client, { registry: server.host, name: "quarantine/shop" }, buildImage(), "v1");
  await client.close();
  return `${server.host}/quarantine/shop:v1`;
}

describe("what is wrong exits 2 and says what is allowed", () => {
  test.each([
    [[], "expected one registry"],
    [["a.example", "b.example"], "expected one registry"],
    [["registry"], "neither a dot nor a port"],
    [["localhost:1", "--clients", "0"], "option --clients is '0': expected a whole number from 1 to 64"],
    [["localhost:1", "--clients", "65"], "from 1 to 64"],
    [["localhost:1", "--clients", "two"], "from 1 to 64"],
    [["localhost:1", "--duration", "10"], "option --duration is '10': expected such as 500ms"],
    [["localhost:1", "--duration", "11m"], "10m at most"],
    [["localhost:1", "--duration", "-1s"], "--duration"],
    [["localhost:1", "--max-requests", "0"], "--max-requests"],
    [["localhost:1", "--max-bytes", "10constructor"], "option --max-bytes"],
    [["localhost:1", "--pull-config", "/tmp"], "--quarantine is not given"],
    [["localhost:1", "--quarantine", "localhost:1/q", "--vetted", "localhost:1/v"], "--pull-config is not given"],
    [["localhost:1", "--quarantine", "localhost:1/Q"], "option --quarantine"],
    [["localhost:1", "--ca", "/nowhere/ca.pem"], "option --ca"],
    [["localhost:1", "--plain-http", "--skip-verify"], "plain http has no certificates"],
    [["localhost:1", "--imagine"], "Unknown option"],
    [["localhost:1", "--duration", "0s"], "gives no answer"],
  ])("%j", async (args, message) => {
    const { code, out, err } = await run(...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });
});

describe("quarantine", () => {
  test("readable exits 1", async () => {
    const server = await registry();
    const { code, out } = await run(server.host, "--duration", "0s", "--quarantine", await pushShop(server));
    expect(code).toBe(1);
    expect(out).toContain("readable  without a login: reads the image");
    expect(out).toContain("→ Take the right");
  });

  test("what could not be found out exits 2", async () => {
    const server = await registry();
    const { code, out } = await run(
      server.host,
      "--duration",
      "0s",
      "--quarantine",
      `${server.host}/quarantine/none:v1`,
      "--json",
    );
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ verdict: "error", quarantine: { answer: "unknown" } });
  });

  test("with production's logins as well: readable exits 1, refused 0", async () => {
    const server = await registry({ auth: { kind: "bearer", users: { ops: "o", production: "p" } } });
    const image = await pushShop(server, { DOCKER_CONFIG: await logins("ops", { [server.host]: "ops:o" }) });
    const reader = await logins("reader", { [server.host]: "production:p" });
    const readable = await run(server.host, "--duration", "0s", "--quarantine", image, "--pull-config", reader);
    expect(readable.code).toBe(1);
    expect(readable.out).toContain("readable  with production's logins");
    expect(readable.out).toContain("refused   without a login");
    const elsewhere = await logins("elsewhere", { "vetted.example": "production:p" });
    expect((await run(server.host, "--duration", "0s", "--quarantine", image, "--pull-config", elsewhere)).code).toBe(
      0,
    );
    // No login is in any of it.
    expect(`${readable.out}${readable.err}`).not.toContain(Buffer.from("production:p").toString("base64"));
  });
});

test("a registry that takes wrong bytes exits 1", async () => {
  const server = await registry({
    faults: [{ method: "POST", path: "mount=", action: { kind: "status", status: 201 } }],
  });
  const { code, out } = await run(server.host, "--write", "--duration", "0s");
  expect(code).toBe(1);
  expect(out).toMatch(/FINDING +mount/);
});

test("the table, with the load; nothing is left", async () => {
  const server = await registry();
  const { code, out, err } = await run(
    `http://${server.host}/team`,
    "--write",
    "--clients",
    "2",
    "--duration",
    "1m",
    "--max-requests",
    "40",
    "--max-bytes",
    "100MiB",
  );
  expect(code).toBe(0);
  expect(out).toMatch(/yes +mount from another repository +POST \?mount=&from= → 201/);
  expect(out).toMatch(/2 clients for [\d.]+ s \(the bound of requests was reached\)/);
  expect(out).not.toContain("Left behind");
  expect(err).toContain("writing to team/goldenpath-probe-");
});

test("--json is the report with its verdict, and nothing else on either side", async () => {
  const server = await registry();
  const { code, out, err } = await run(server.host, "--json", "--duration", "50ms", "--clients", "1");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const report = JSON.parse(out) as ProbeReport & { verdict: string };
  expect(report).toMatchObject({
    verdict: "pass",
    schemaVersion: "1.0",
    write: false,
    registry: server.host,
    left: [],
    load: { clients: 1 },
  });
  expect(
    report.checks.every(({ id, answer }) => /^[a-z0-9-]+$/.test(id) && ["yes", "no", "unknown"].includes(answer)),
  ).toBe(true);
  expect(new Set(server.requests.map(({ method }) => method))).toEqual(new Set(["GET"]));
});

test("an authority of one's own is trusted where it is named, and only then", async () => {
  const [authority, other] = [await makeAuthority("one"), await makeAuthority("other")];
  const server = createServer(await authority.issue(["DNS:localhost", "IP:127.0.0.1"]), (_request, response) =>
    response.end("{}"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const host = `localhost:${(server.address() as AddressInfo).port}`;
    const [right, wrong] = [join(directory, "right.pem"), join(directory, "wrong.pem")];
    await writeFile(right, authority.cert);
    await writeFile(wrong, other.cert);
    expect(await run(host, "--duration", "0s", "--ca", wrong)).toMatchObject({ code: 2, out: "" });
    const trusted = await run(`https://${host}`, "--duration", "0s", "--ca", right);
    expect(trusted).toMatchObject({ code: 0, out: expect.stringContaining(`https://${host}/v2/`) });
    expect((await run(host, "--duration", "0s", "--skip-verify")).code).toBe(0);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("help names every option", async () => {
  const { code, out } = await run("--help");
  expect(code).toBe(0);
  for (const option of [
    "--write",
    "--repository",
    "--clients",
    "--duration",
    "--max-requests",
    "--max-bytes",
    "--quarantine",
    "--pull-config",
    "--vetted",
    "--plain-http",
    "--ca",
    "--skip-verify",
    "--json",
  ])
    expect(out).toContain(option);
});
