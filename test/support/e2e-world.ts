import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stages } from "@goldenpath/core/stages";
import { toolCacheDirectory } from "@goldenpath/core/tools/cache";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { parseDocument } from "yaml";
import {
  activatePlatformPolicy,
  buildPlatformImages,
  installPlatform,
  type Platform,
} from "../../examples/golden-platform/platform.ts";
import { type ActOptions, type ActRun, runAct } from "./act.ts";
import { claimsOf, giveTokens, setWorkflows } from "./e2e-tokens.ts";
import {
  goldenpathCommit,
  goldenpathCommitOnGitHub,
  goldenpathCommitOnOldRunner,
  goldenpathName,
  ofGitHub,
  renderGoldenpath,
  standInRepositories,
  workflowsOnGitHub,
  workflowsOnOldRunner,
  workflowsOnServer,
  wrapperCommit,
  wrapperCommitOnGitHub,
  wrapperName,
} from "./e2e-workflows.ts";
import type { JobClaims } from "./github-issuer.ts";
import type { RealSigstore } from "./real-sigstore.ts";
import { projectRoot } from "./workflows.ts";

export const logins = {
  /** What the job that builds has: of quarantine's registry, where it may only read. */
  pull: { username: "reader", password: "pull-password-of-the-test" },
  quarantine: { username: "builder", password: "quarantine-password-of-the-test" },
  vetted: { username: "promoter", password: "vetted-password-of-the-test" },
};

/**
 * An organisation in a folder: two registries with a login each, a platform, its wrapper, and goldenpath as others get
 * it.
 */
export interface World {
  directory: string;
  quarantine: RegistryServer;
  vetted: RegistryServer;
  platform: Platform;
  client: RegistryClient;
  /** For programs that look at the registries: a Docker configuration with both logins. */
  env: Readonly<Record<string, string | undefined>>;
  /** What the wrapper names: `oci://…:in-force`. */
  policy: string;
  /** Puts another policy in force, which accepts what was judged under the one before. */
  changePolicy(serial: number): Promise<void>;
  secrets: Readonly<Record<string, string>>;
  /**
   * Runs a workflow of a repository `acme/NAME` that is made of `files` (path → text) over a copy of `source`. `claims`:
   * what tokens of its jobs say in another way. Its artifacts are folders in `artifacts`.
   */
  run(
    name: string,
    source: string | undefined,
    files: Readonly<Record<string, string>>,
    claims?: Partial<JobClaims>,
    started?: Started,
  ): Promise<ActRun & { commit: string; artifacts: string }>;
  close(): Promise<void>;
}

/** What starts a run, where that is not a push, and what its jobs get besides. */
export interface Started {
  event?: (commit: string) => ActOptions["event"];
  /** Instead of the organisation's: a fork's run has none. */
  secrets?: Readonly<Record<string, string>>;
  env?: Readonly<Record<string, string>>;
}

/**
 * Its stages sign with keys, by the workflows for any server; with a Sigstore, without any, by those for github.com. Of
 * both wrappers, only that one can be called.
 */
export async function openWorld(
  tools: { act: string; git: string; cosign: string },
  { sigstore }: { sigstore?: RealSigstore } = {},
): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-e2e-"));
  const ports: Ports = silentPorts();
  let current: Partial<JobClaims> = {};
  const basic = ({ username, password }: { username: string; password: string }) =>
    ({ kind: "basic", users: { [username]: password } }) as const;
  // Two registries, each with its own user: whoever has the one login can do nothing in the other.
  const readers = { [logins.pull.username]: logins.pull.password };
  const quarantine = await startRegistry({ auth: { ...basic(logins.quarantine), readers } });
  const vetted = await startRegistry({ auth: basic(logins.vetted) });
  const env = { ...process.env, DOCKER_CONFIG: writeDockerConfig(directory, quarantine.host, vetted.host) };
  const client = createRegistryClient({ ports, env });
  const close = async (): Promise<void> => {
    await client.close();
    await Promise.all([quarantine.close(), vetted.close()]);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const home = join(directory, "platform");
    const images = await buildPlatformImages({ directory: home, ports, env });
    const platform = await installPlatform(images, { directory: home, registry: quarantine.host, client, ports, env });
    const places = { client, quarantine: quarantine.host, vetted: vetted.host, ports };
    const change = sigstore === undefined ? {} : { sigstore };
    const policy = await activate(await writeWithVetted(platform, vetted.host, change), platform, places);
    const policySigner = platform.keys.policy.publicKey;
    const goldenpath = renderGoldenpath(join(directory, "goldenpath"), workflowsOnServer());
    const facts = { quarantine: quarantine.host, vetted: vetted.host, policy, policySigner };
    const repositories = {
      ...standInRepositories(),
      [`${goldenpathName}@${goldenpathCommit}`]: goldenpath,
      [`${goldenpathName}@${goldenpathCommitOnOldRunner}`]: renderGoldenpath(
        join(directory, "goldenpath-on-old-runner"),
        workflowsOnOldRunner(),
      ),
      [`${goldenpathName}@${goldenpathCommitOnGitHub}`]: renderGoldenpath(
        join(directory, "goldenpath-on-github"),
        sigstore === undefined
          ? workflowsOnGitHub()
          : giveTokens(workflowsOnGitHub(), sigstore, ofGitHub, () => current),
      ),
      [`${wrapperName}@${wrapperCommit}`]: renderWrapper(join(directory, "wrapper"), goldenpathCommit, facts, {
        [fullWrapper]: useKeys,
      }),
      [`${wrapperName}@${wrapperCommitOnGitHub}`]: renderWrapper(
        join(directory, "wrapper-on-github"),
        goldenpathCommitOnGitHub,
        facts,
        { [fullWrapper]: (text) => text, [compactWrapper]: intoCompact },
      ),
    };
    const secrets = {
      ...(sigstore === undefined ? await readKeys(tools.cosign, join(directory, "encrypted"), platform) : {}),
      PULL_USERNAME: logins.pull.username,
      PULL_PASSWORD: logins.pull.password,
      QUARANTINE_USERNAME: logins.quarantine.username,
      QUARANTINE_PASSWORD: logins.quarantine.password,
      VETTED_USERNAME: logins.vetted.username,
      VETTED_PASSWORD: logins.vetted.password,
    };
    let runs = 0;
    return {
      ...{ directory, quarantine, vetted, platform, client, env, policy, secrets, close },
      async changePolicy(serial) {
        await activate(
          await writeWithVetted(platform, vetted.host, { serial, remark: ` serial ${serial}` }),
          platform,
          places,
        );
      },
      async run(name, source, files, claims = {}, started = {}) {
        runs += 1;
        const at = join(directory, `run-${runs}`);
        const repository = join(at, "repository");
        const commit = await makeRepository(tools.git, repository, { name, source, files });
        const honest = claimsOf(name, commit, files);
        current = { ...honest, ...claims };
        const checkouts = {
          [`acme/${name}@${commit}`]: repository,
          [`${goldenpathName}@${goldenpathCommit}`]: goldenpath,
        };
        const run = await runAct({
          act: tools.act,
          repository,
          directory: join(at, "act"),
          event: started.event?.(commit) ?? {
            name: "push",
            payload: { ref: "refs/heads/main", repository: { name, full_name: `acme/${name}` } },
          },
          secrets: started.secrets ?? secrets,
          repositories,
          // As on a runner of one's own, whose tool cache stays from one run to the next. act says no workflow's ref.
          env: {
            GITHUB_WORKFLOW_REF: honest.workflow_ref ?? "",
            STAND_IN_REPOSITORIES: JSON.stringify(checkouts),
            STAND_IN_ARTIFACTS: join(at, "artifacts"),
            ...started.env,
            GOLDENPATH_TOOL_CACHE: toolCacheDirectory(process.env),
          },
        });
        return { ...run, commit, artifacts: join(at, "artifacts") };
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export function keySecret(stage: string): string {
  return `GOLDENPATH_${stage.toUpperCase()}_KEY`;
}

export function passphraseSecret(stage: string): string {
  return `${keySecret(stage)}_PASSPHRASE`;
}

/** The stages' keys as secrets. */
async function readKeys(cosign: string, directory: string, platform: Platform): Promise<Record<string, string>> {
  const plain = stages.map((stage) => [keySecret(stage), readFileSync(platform.keys[stage].file, "utf8")]);
  return { ...Object.fromEntries(plain), ...(await encryptKeys(cosign, directory, platform)) };
}

/**
 * The secrets of two stages, one that signs a result and one that promotes, with their keys under a passphrase, as
 * cosign keeps keys; the others stay plain.
 */
async function encryptKeys(cosign: string, directory: string, platform: Platform): Promise<Record<string, string>> {
  mkdirSync(directory, { mode: 0o700 });
  const secrets: Record<string, string> = {};
  for (const stage of ["scan", "promote"] as const) {
    const passphrase = `passphrase-of-${stage}-of-the-test`;
    const env = { PATH: process.env["PATH"], HOME: directory, COSIGN_PASSWORD: passphrase };
    const args = ["import-key-pair", "--key", platform.keys[stage].file, "--output-key-prefix", stage, "--yes"];
    await runChecked(cosign, args, { env, cwd: directory });
    secrets[keySecret(stage)] = readFileSync(join(directory, `${stage}.key`), "utf8");
    secrets[passphraseSecret(stage)] = passphrase;
  }
  return secrets;
}

/**
 * The example's caller, calling the wrapper at its commit; `onGitHub`, the one that calls the workflows for github.com.
 */
export function readCaller({ onGitHub = false } = {}): Record<string, string> {
  const path = ".github/workflows/golden-path.yml";
  const commit = onGitHub ? wrapperCommitOnGitHub : wrapperCommit;
  return { [path]: pinCommit(readFileSync(join(projectRoot, "examples/caller", path), "utf8"), wrapperName, commit) };
}

/** The same, calling the wrapper of the compact path. */
export function readCompactCaller(): Record<string, string> {
  const [[path, text] = ["", ""]] = Object.entries(readCaller({ onGitHub: true }));
  return { [path]: replaceOnce(text, "platform/.github/workflows/golden-path.yml", `platform/${compactWrapper}`) };
}

const fullWrapper = ".github/workflows/golden-path.yml";
const compactWrapper = ".github/workflows/golden-path-compact.yml";

/** Its evidence counts in an environment of its own (`setWorkflows`). */
const intoCompact = (text: string): string =>
  replaceOnce(text, "    with:\n", "    with:\n      environment: compact\n");

function writeDockerConfig(directory: string, quarantine: string, vetted: string): string {
  const target = join(directory, "docker");
  const auth = ({ username, password }: { username: string; password: string }) => ({
    auth: Buffer.from(`${username}:${password}`).toString("base64"),
  });
  mkdirSync(target, { mode: 0o700 });
  const config = { auths: { [quarantine]: auth(logins.quarantine), [vetted]: auth(logins.vetted) } };
  writeFileSync(join(target, "config.json"), JSON.stringify(config), { mode: 0o600 });
  return target;
}

/**
 * The example platform has one registry for both; here vetted is another, with another login. `remark` makes another
 * policy of it.
 */
async function writeWithVetted(
  platform: Platform,
  vetted: string,
  { serial = 1, remark = "", sigstore }: { serial?: number; remark?: string; sigstore?: RealSigstore } = {},
): Promise<string> {
  const document = parseDocument(readFileSync(platform.policyFile, "utf8"));
  document.setIn(["environments", "production", "to", 0], `${vetted}/vetted`);
  document.set("serial", serial);
  if (sigstore !== undefined) setWorkflows(document, sigstore, ofGitHub);
  document.set("accepts", "14d");
  document.commentBefore = remark;
  const file = join(dirname(platform.policyFile), `policy-${serial}.yaml`);
  writeFileSync(file, document.toString({ lineWidth: 0 }));
  return file;
}

/**
 * Puts a policy in force: in vetted, where promote looks, and in quarantine, where the other stages have a login to
 * read it.
 * @returns what the wrapper names
 */
async function activate(
  policyFile: string,
  platform: Platform,
  { client, quarantine, vetted, ports }: { client: RegistryClient; quarantine: string; vetted: string; ports: Ports },
): Promise<string> {
  const own = { ...platform, policyFile, policy: "acme/platform//policy.yaml" };
  const options = { client, ports, env: process.env };
  await activatePlatformPolicy(own, `${vetted}/vetted`, options);
  return activatePlatformPolicy(own, `${quarantine}/platform`, options);
}

/**
 * The example organisation's wrappers, each by its path, with what a platform team fills in, and a database of vulnerabilities, since the
 * scanner's own cannot be downloaded here.
 */
function renderWrapper(
  target: string,
  commit: string,
  facts: WrapperFacts,
  wrappers: Readonly<Record<string, (text: string) => string>>,
): string {
  mkdirSync(join(target, ".github/workflows"), { recursive: true });
  for (const [path, change] of Object.entries(wrappers))
    writeFileSync(join(target, path), change(fillWrapper(path, commit, facts)));
  return target;
}

function fillWrapper(path: string, commit: string, facts: WrapperFacts): string {
  const database = join(projectRoot, "examples/vulnerability-data/grype-db");
  let text = pinCommit(readFileSync(join(projectRoot, "examples/organisation", path), "utf8"), goldenpathName, commit);
  text = replaceOnce(
    text,
    /policy: oci:\/\/registry\.acme\.example\/\S+/,
    `policy: ${facts.policy}\n      database: ${database}`,
  );
  text = replaceOnce(
    text,
    / {8}-----BEGIN PUBLIC KEY-----[\s\S]*-----END PUBLIC KEY-----\n/,
    facts.policySigner.replaceAll(/^(?=.)/gm, "        "),
  );
  for (const place of ["quarantine", "vetted"] as const) {
    text = replaceOnce(text, `${place}: registry.acme.example/${place}/`, `${place}: ${facts[place]}/${place}/`);
    if (place === "quarantine")
      text = replaceOnce(text, "pull-registry: registry.acme.example", `pull-registry: ${facts.quarantine}`);
    text = replaceOnce(text, `${place}-registry: registry.acme.example`, `${place}-registry: ${facts[place]}`);
  }
  return text;
}

interface WrapperFacts {
  quarantine: string;
  vetted: string;
  policy: string;
  policySigner: string;
}

/** The wrapper of an organisation that has keys: it passes them on by their names. */
function useKeys(text: string): string {
  const document = parseDocument(text);
  for (const name of stages.flatMap((stage) => [keySecret(stage), passphraseSecret(stage)])) {
    document.setIn(["on", "workflow_call", "secrets", name], { required: false });
    document.setIn(["jobs", "path", "secrets", name], `\${{ secrets.${name} }}`);
  }
  document.setIn(["jobs", "path", "with", "signer"], "key");
  return document.toString({ lineWidth: 0 });
}

function pinCommit(text: string, repository: string, commit: string): string {
  return replaceOnce(text, new RegExp(`(uses: ${repository}/[\\w./-]+)@0{40}`), `$1@${commit}`);
}

function replaceOnce(text: string, what: string | RegExp, by: string): string {
  const replaced = text.replace(what, by);
  if (replaced === text) throw new Error(`the workflow has no ${String(what)}`);
  return replaced;
}

async function makeRepository(
  git: string,
  directory: string,
  { name, source, files }: { name: string; source: string | undefined; files: Readonly<Record<string, string>> },
): Promise<string> {
  mkdirSync(directory, { recursive: true });
  if (source !== undefined) cpSync(source, directory, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  // Without the user's own settings: a signing hook or another default branch would change what is made.
  const env = {
    PATH: process.env["PATH"],
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_SYSTEM: "/dev/null",
    HOME: directory,
  };
  const identity = ["-c", "user.name=acme", "-c", "user.email=team@acme.example"];
  const run = async (...args: string[]): Promise<string> =>
    (await runChecked(git, args, { env, cwd: directory })).stdout.trim();
  await run("init", "--quiet", "--initial-branch", "main");
  await run("remote", "add", "origin", `https://github.com/acme/${name}`);
  await run("add", "--all");
  await run(...identity, "commit", "--quiet", "--message", "first");
  return run("rev-parse", "HEAD");
}
