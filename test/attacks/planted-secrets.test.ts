import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { constructSigstore } from "../support/constructed-sigstore.ts";
import { workflow } from "../support/keyless-world.ts";
import { debianRelease, dpkgStanza, exampleDatabase, libcVersions } from "../support/scan-world.ts";
import { freePort } from "../support/servers.ts";
import { useTools } from "../support/tools.ts";

// What a stage is trusted with is looked for in all that it leaves and shows: what it prints, its results, every file
// that is there while it runs and after, the command lines of all processes, and the environment of those it starts.

const tools = useTools("syft", "grype");
const planted = (what: string): string => `planted-${what}-${createHash("sha256").update(what).digest("hex")}`;
const password = planted("registry-password");
const passphrase = planted("passphrase");
const jobToken = planted("job-token");
const githubToken = planted("github-token");
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const encrypted = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }).toString();
const plain = privateKey.export({ type: "pkcs8", format: "pem" }).toString();

const authorityPort = await freePort();
/** Whom the token is for, since it is shown to nobody else. */
const fulcio = `http://127.0.0.1:${authorityPort}`;

/** A token of a job: its signature is the secret of it. */
const idToken = [
  { alg: "RS256" },
  {
    ...{ iss: "https://issuer.example", aud: fulcio, sub: "repo:acme/shop:ref:refs/heads/main", exp: 4_000_000_000 },
    ...{
      job_workflow_ref: `${workflow.slice("https://github.com/".length)}@refs/tags/v1`,
      job_workflow_sha: "c".repeat(40),
    },
    ...{
      runner_environment: "github-hosted",
      repository: "acme/shop",
      repository_owner_id: "4321",
      sha: "a".repeat(40),
    },
    ...{ repository_visibility: "public", ref: "refs/heads/main", environment: "production", event_name: "push" },
    workflow_ref: "acme/shop/.github/workflows/ci.yml@refs/heads/main",
  },
  planted("id-token"),
]
  .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
  .join(".");

/** As they stand, and as they would be told in part or otherwise written. */
const secrets: readonly string[] = [
  ...[password, passphrase, jobToken, githubToken, idToken, idToken.split(".")[2] ?? ""],
  ...[encrypted, plain].map((pem) => pem.split("\n")[1] ?? ""),
  ...[password, passphrase].map((secret) => Buffer.from(secret).toString("base64")),
  Buffer.from(`me:${password}`).toString("base64"),
];

let root: string;
let registry: RegistryServer;
let image: string;
/** Whoever gives certificates, and shows in its refusal what it was sent. */
let authority: Server;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-planted-"));
  registry = await startRegistry({ auth: { kind: "bearer", users: { me: password } } });
  await mkdir(join(root, "docker"));
  const auth = Buffer.from(`me:${password}`).toString("base64");
  await writeFile(join(root, "docker/config.json"), JSON.stringify({ auths: { [registry.host]: { auth } } }));
  const client = createRegistryClient({ ports: silentPorts(), env: { DOCKER_CONFIG: join(root, "docker") } });
  const layer = await tinyLayer({
    "etc/os-release": debianRelease,
    "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
  });
  const { digest } = await pushTinyImage(client, { registry: registry.host, name: "quarantine/shop" }, [layer]);
  await client.close();
  image = `${registry.host}/quarantine/shop@${digest}`;
  authority = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    response.writeHead(400).end(`I was sent ${Buffer.concat(parts)}`);
  });
  await new Promise<void>((resolve) => authority.listen(authorityPort, "127.0.0.1", resolve));
  await writeFile(join(root, "policy.yaml"), await renderPolicy());
});
afterAll(async () => {
  authority?.close();
  await registry?.close();
  await rm(root, { recursive: true, force: true });
});

async function renderPolicy(): Promise<string> {
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString().trimEnd().replaceAll(/^/gm, "      ");
  const sigstore = await constructSigstore();
  return `version: 1
name: acme
serial: 1
sigstore:
  own: { trustedRoot: '${sigstore.trustedRoot}', proof: timestamp, fulcio: "${fulcio}", timestamp: "${fulcio}/api/v1/timestamp" }
signers:
  scan:
    publicKey: |
${pem}
  by-workflow:
    kind: keyless
    sigstore: own
    issuer: https://issuer.example
    workflow: ${workflow}
    at: ["${"c".repeat(40)}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
scan: { failOn: high, databaseMaxAge: unlimited }
environments:
  production:
    from: [${registry.host}/quarantine]
    to: [${registry.host}/vetted]
    requires: [{ stage: scan, signers: [scan, by-workflow] }]
    promoter: scan
`;
}

/** What a run prints and leaves, and what could be seen of it meanwhile. */
interface Seen {
  code: number | null;
  printed: string;
  /** Where a secret was seen. */
  leaks: string[];
  /** How many files and processes were looked at: where nothing is, nothing is found. */
  looks: { files: number; processes: number };
}

async function watch(
  directory: string,
  args: readonly string[],
  own: Readonly<Record<string, string>> = {},
): Promise<Seen> {
  for (const name of ["tmp", "home"]) await mkdir(join(directory, name), { recursive: true });
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../packages/cli/bin/goldenpath.mjs"), ...args], {
    cwd: directory,
    execArgv: [],
    env: {
      PATH: [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter),
      HOME: join(directory, "home"),
      TMPDIR: join(directory, "tmp"),
      NODE_OPTIONS: "--conditions=goldenpath-source",
      DOCKER_CONFIG: join(root, "docker"),
      GITHUB_TOKEN: githubToken,
      ...own,
    },
  } as Parameters<typeof spawn>[2]);
  const leaks = new Set<string>();
  const looks = { files: 0, processes: 0 };
  const look = (): void => {
    looks.files += lookAtFiles(directory, leaks);
    looks.processes += lookAtProcesses(child.pid ?? 0, leaks);
  };
  const timer = setInterval(look, 40);
  let printed = "";
  child.stdout?.on("data", (chunk) => {
    printed += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    printed += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(timer);
  look();
  note(leaks, "what it prints", printed);
  return { code, printed, leaks: [...leaks], looks };
}

function note(leaks: Set<string>, where: string, text: string): void {
  for (const [index, secret] of secrets.entries()) if (text.includes(secret)) leaks.add(`secret ${index} in ${where}`);
}

function lookAtFiles(directory: string, leaks: Set<string>): number {
  let count = 0;
  for (const entry of list(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) count += lookAtFiles(path, leaks);
    if (!entry.isFile()) continue;
    count += 1;
    note(leaks, path, read(path));
  }
  return count;
}

/** Every command line of the machine, and the environments of what that process has started. */
function lookAtProcesses(parent: number, leaks: Set<string>): number {
  const ids = list("/proc").flatMap(({ name }) => (/^\d+$/.test(name) ? [Number(name)] : []));
  const parents = new Map(ids.map((id) => [id, Number(/\) \S (\d+)/.exec(read(`/proc/${id}/stat`))?.[1] ?? 0)]));
  const isBelow = (id: number): boolean => {
    const above = parents.get(id) ?? 0;
    return above !== 0 && (above === parent || isBelow(above));
  };
  let started = 0;
  for (const id of ids) {
    const command = read(`/proc/${id}/cmdline`).replaceAll("\0", " ");
    note(leaks, `the command line of ${command.slice(0, 40)}`, command);
    // Between its making and its first program a process is a copy of who made it.
    if (!isBelow(id) || command === read(`/proc/${parent}/cmdline`).replaceAll("\0", " ")) continue;
    started += 1;
    note(leaks, `the environment of ${command.slice(0, 40)}`, read(`/proc/${id}/environ`));
  }
  return started;
}

// What ends meanwhile is not there.
function list(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}
function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

const resultFile = () => `goldenpath-results/scan-${image.split("sha256:")[1]?.slice(0, 12)}.json`;
const directoryOf = (name: string) => mkdtemp(join(root, `${name}-`));
const about = () => ["--image", image, "--policy", join(root, "policy.yaml")];

describe("the watch itself", () => {
  test("sees a secret on a command line, in a file, and in what is printed", async () => {
    const directory = await directoryOf("itself");
    await writeFile(join(directory, "left"), `x${passphrase}x`);
    const { leaks } = await watch(directory, ["verify", `--image=${password}`, "--policy", "p", "--environment", "e"]);
    expect(leaks.map((leak) => leak.replace(/ in .*/, "")).sort()).toContain("secret 0");
    expect(leaks).toContain(`secret 1 in ${join(directory, "left")}`);
  });
});

describe("no secret is seen anywhere", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await directoryOf("scan");
  });

  test("of a scan, which starts programs of others", async () => {
    const { code, leaks, looks, printed } = await watch(
      directory,
      ["scan", ...about(), "--database", exampleDatabase, "--verbose"],
      {
        SIGNING_KEY: encrypted,
        COSIGN_PASSWORD: passphrase,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: jobToken,
      },
    );
    expect({ code, leaks, printed }).toEqual({ code: 0, leaks: [], printed: expect.any(String) });
    expect(looks.processes).toBeGreaterThan(0);
    expect(looks.files).toBeGreaterThan(0);
  });

  test.each([
    ["whose passphrase is right", passphrase, 0],
    ["whose passphrase is wrong", planted("another"), 2],
  ])("of a signature with a key %s", async (_what, given, expected) => {
    const args = ["sign", ...about(), "--results", resultFile(), "--key", "env://SIGNING_KEY", "--verbose"];
    const { code, leaks, printed } = await watch(directory, args, { SIGNING_KEY: encrypted, COSIGN_PASSWORD: given });
    expect({ code, leaks, printed }).toEqual({ code: expected, leaks: [], printed: expect.any(String) });
  });

  test("of a key that is none, whose text is no part of the message", async () => {
    const args = ["sign", ...about(), "--results", resultFile(), "--key", "env://SIGNING_KEY"];
    const spoiled = plain.replace("PRIVATE KEY", "PRIVATE KEG");
    const { code, leaks } = await watch(directory, args, { SIGNING_KEY: spoiled });
    expect({ code, leaks }).toEqual({ code: 2, leaks: [] });
  });

  test("of a token, even where whoever was shown it shows it again", async () => {
    const args = ["sign", ...about(), "--results", resultFile(), "--signer", "keyless", "--verbose"];
    const { code, leaks, printed } = await watch(directory, args, { SIGSTORE_ID_TOKEN: idToken });
    expect({ code, leaks }).toEqual({ code: 2, leaks: [] });
    expect(printed).toContain("I was sent");
    expect(printed).toContain("***");
  });

  test("of a login that the registry does not take", async () => {
    const docker = join(root, "wrong");
    await mkdir(docker);
    const auth = Buffer.from(`you:${password}`).toString("base64");
    await writeFile(join(docker, "config.json"), JSON.stringify({ auths: { [registry.host]: { auth } } }));
    const args = ["verify", ...about(), "--environment", "production", "--verbose"];
    const { code, leaks, printed } = await watch(await directoryOf("login"), args, { DOCKER_CONFIG: docker });
    expect({ code, leaks }).toEqual({ code: 2, leaks: [] });
    expect(printed).toContain(registry.host);
  });
});
