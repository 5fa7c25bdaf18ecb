import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runGate } from "@goldenpath/core/gate/verify";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { stages } from "@goldenpath/core/stages";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import {
  activatePlatformPolicy,
  installPlatform,
  type Platform,
  type PlatformImages,
} from "../golden-platform/platform.ts";
import type { Github } from "./github.ts";
import { withLogin } from "./login.ts";

export interface LiveInputs {
  owner: string;
  /** Of goldenpath. */
  commit: string;
  /** OWNER/REPO. */
  goldenpath: string;
  /** For the registry alone, from here and in the jobs that attest, judge and promote. */
  token: string;
  /** The login of the job that builds, which runs the application's code. */
  pullToken: string;
  clean: boolean;
  /** What is made is kept there. */
  directory: string;
  /** Where the registry's login is until the end. */
  temporary: string;
  /** HOST, with the owner's packages below it. */
  registry: string;
}

export interface LiveWorld {
  github: Github;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  say(line: string): void;
  buildImages(): Promise<PlatformImages>;
  createClient(env: Readonly<Record<string, string | undefined>>): RegistryClient;
}

const examples = join(import.meta.dirname, "..");
const promoteEnvironment = "goldenpath-promote";

/**
 * Makes a platform's and an application's repository, sends the application along the path there, and holds what came
 * out to the policy from here. @returns the exit code: 0 where it was promoted and the gate takes it
 */
export async function runLive(inputs: LiveInputs, world: LiveWorld): Promise<number> {
  assertInputs(inputs, world.github.isDry);
  const { owner } = inputs;
  const name = `goldenpath-live-${randomBytes(4).toString("hex")}`;
  const repositories = { platform: `${owner}/${name}-platform`, application: `${owner}/${name}-application` };
  const made: string[] = [];
  const walkWith = (env: LiveWorld["env"]): Promise<number> =>
    walk(inputs, { ...world, env }, name, repositories, made);
  try {
    if (world.github.isDry) return await walkWith(world.env);
    return await withLogin(inputs, (folder) => walkWith({ ...world.env, DOCKER_CONFIG: folder }));
  } finally {
    await leave(inputs, world, made);
  }
}

/** @throws UserError `arguments-invalid` */
function assertInputs({ owner, commit, goldenpath: repository, token, pullToken }: LiveInputs, isDry: boolean): void {
  const invalid = (what: string): UserError => new UserError(what, { code: "arguments-invalid" });
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$/.test(owner))
    throw invalid(`--owner '${owner}': expected an account's name`);
  if (!/^[0-9a-f]{40}$/.test(commit)) throw invalid(`--commit '${commit}': expected 40 hexadecimal digits`);
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository)) throw invalid(`--goldenpath '${repository}': expected OWNER/REPO`);
  if (token === "" && !isDry)
    throw invalid("GOLDENPATH_LIVE_TOKEN is not set: expected a token with the scope write:packages and no other");
  const pull = "expected a token with the scope read:packages and no other, for the job that builds";
  if (pullToken === "" && !isDry) throw invalid(`GOLDENPATH_LIVE_PULL_TOKEN is not set: ${pull}`);
  if (pullToken === token && !isDry)
    throw invalid(`GOLDENPATH_LIVE_PULL_TOKEN is the same as GOLDENPATH_LIVE_TOKEN, which writes: ${pull}`);
}

async function walk(
  inputs: LiveInputs,
  world: LiveWorld,
  name: string,
  { platform, application }: { platform: string; application: string },
  made: string[],
): Promise<number> {
  const { github, say } = world;
  const ownerId = await github.ownerId(inputs.owner);
  for (const repository of [platform, application]) {
    await github.createRepository(repository);
    made.push(repository);
  }
  const place = `${inputs.registry}/${inputs.owner.toLowerCase()}/${name}`;
  const installed = github.isDry ? undefined : await install(inputs, world, place, ownerId);
  const wrapper = await renderWrapper(inputs, place, installed?.keys.policy.publicKey ?? "(the policy's key)\n");
  const pinned = await github.putFile(platform, ".github/workflows/golden-path.yml", Buffer.from(wrapper));
  await github.createEnvironment(application, promoteEnvironment);
  await setLogins(inputs, github, application);
  const commit = await pushApplication(github, application, `${platform}/.github/workflows/golden-path.yml@${pinned}`);
  const run = await github.awaitRun(application, commit);
  if (installed === undefined) return 0;
  say(`The run ended in ${run.conclusion}: ${run.url}`);
  if (run.conclusion !== "success") return 1;
  const vetted = `${place}/vetted/${application.split("/")[1]}`;
  return verifyPromoted(installed.client, vetted, installed.policyFile, say);
}

interface Installed extends Platform {
  client: RegistryClient;
}

/** The golden base, the buildpack, and the policy that has the stages' workflows at the commit as its signers, in force. */
async function install(
  { commit, directory, owner, goldenpath: repository }: LiveInputs,
  { ports, env, buildImages, createClient }: LiveWorld,
  place: string,
  ownerId: string,
): Promise<Installed> {
  const client = createClient(env);
  const signers = Object.fromEntries(
    stages.map((stage) => [
      stage,
      {
        kind: "keyless",
        sigstore: "public",
        workflow: `https://github.com/${repository}/.github/workflows/stage-${stage}.yml`,
        at: [commit],
        ownerId,
        repositories: [`https://github.com/${owner}/*`],
      },
    ]),
  );
  const images = await buildImages();
  const sigstore = { public: publicInstance };
  const settings = { signers, sigstore, sources: [`https://github.com/${owner}/*`], failOn: "critical" };
  const made = await installPlatform(images, { directory, registry: place, client, ports, env, settings });
  await activatePlatformPolicy(made, `${place}/vetted`, { client, ports, env });
  return { ...made, client };
}

/**
 * The public instance, with the trusted root that goldenpath brings: what the instance has changed since is not in it,
 * and then nothing verifies. An organisation reviews the root that it puts into its policy.
 */
const publicInstance = {
  embedded: "public",
  fulcio: "https://fulcio.sigstore.dev",
  rekor: "https://rekor.sigstore.dev",
  rekorVersion: 1,
} as const;

/** examples/organisation's, with this run's names in it and nothing else changed. */
async function renderWrapper({ commit, goldenpath: repository, registry }: LiveInputs, place: string, key: string) {
  const template = await readFile(join(examples, "organisation/.github/workflows/golden-path.yml"), "utf8");
  return template
    .replace(/^( +)-----BEGIN PUBLIC KEY-----\n[\s\S]*?-----END PUBLIC KEY-----\n/m, (_all, indent: string) =>
      key.trim().replaceAll(/^/gm, indent).concat("\n"),
    )
    .replaceAll(/goldenpath-ci\/goldenpath\/(.*)@0{40}(?: # .*)?/g, `${repository}/$1@${commit}`)
    .replaceAll(/registry\.acme\.example(?=\/)/g, place)
    .replaceAll("registry.acme.example", registry);
}

async function setLogins({ owner, token, pullToken }: LiveInputs, github: Github, application: string): Promise<void> {
  for (const who of ["PULL", "QUARANTINE", "VETTED"]) {
    const environment = who === "VETTED" ? promoteEnvironment : undefined;
    await github.setSecret(application, `${who}_USERNAME`, owner, environment);
    await github.setSecret(application, `${who}_PASSWORD`, who === "PULL" ? pullToken : token, environment);
  }
}

/** The example's files, each in a commit, and the caller last: it starts the run. @returns the last commit */
async function pushApplication(github: Github, application: string, wrapper: string): Promise<string> {
  const folder = join(examples, "apps/web");
  for (const file of (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile()))
    await github.putFile(application, file.name, await readFile(join(folder, file.name)));
  const caller = await readFile(join(examples, "caller/.github/workflows/golden-path.yml"), "utf8");
  const text = caller.replace(/acme\/platform\/\.github\/workflows\/golden-path\.yml@0{40}(?: # .*)?/, wrapper);
  return github.putFile(application, ".github/workflows/golden-path.yml", Buffer.from(text));
}

/** Whether the gate takes, from here, what the run has promoted. */
async function verifyPromoted(
  client: RegistryClient,
  vetted: string,
  policyFile: string,
  say: (line: string) => void,
): Promise<number> {
  const repository = parseRepository(vetted);
  const [tag] = (await client.listTags(repository)).filter((each) => !each.startsWith("sha256-"));
  const digest = tag === undefined ? undefined : await client.resolve({ ...repository, tag });
  if (digest === undefined)
    throw new InfrastructureError(`the run passed, and there is no image in ${vetted}`, {
      code: "registry-error",
      wayOut: "Look at the run's summary, and whether the token may read the package.",
    });
  const image = { ...repository, digest };
  const bytes = await readFile(policyFile);
  const policy = { policy: parsePolicy(bytes, policyFile), uri: policyFile, digest: digestOf(bytes) };
  const { verdict, violations } = await runGate(client, image, "production", policy, new Date());
  say(`${formatReference(image)}: ${verdict}`);
  for (const { rule, problem, wayOut } of violations) say(`  ${rule}: ${problem}. ${wayOut}`);
  return verdict === "pass" ? 0 : 1;
}

async function leave({ clean }: LiveInputs, { github, say }: LiveWorld, made: readonly string[]): Promise<void> {
  if (clean) for (const repository of made) await github.deleteRepository(repository);
  else if (made.length > 0 && !github.isDry)
    say(
      `Both are left: ${made.map((each) => `gh repo delete ${each} --yes`).join("; ")}. The packages are your account's.`,
    );
}
