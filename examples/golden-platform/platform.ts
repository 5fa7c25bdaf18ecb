import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { activatePolicy } from "@goldenpath/core/policy/activate";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { pointerName, pointerTag } from "@goldenpath/core/policy/pointer";
import { publishPolicy } from "@goldenpath/core/policy/publish";
import { generateKeyPair, loadSigner } from "@goldenpath/core/signing/keys";
import { type Stage, stages } from "@goldenpath/core/stages";
import { runProcess } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type Document, parseDocument } from "yaml";
import { type BaseVariant, buildGoldenBase } from "./base.ts";
import { packageBuildpack } from "./buildpackage.ts";
import { type BuiltImage, pushImage } from "./image.ts";

export interface PlatformOptions {
  /** Keys, built images and the policy are kept here from one run to the next. */
  directory: string;
  /** `localhost:PORT`: where the platform's images and its quarantine and vetted repositories are. */
  registry: string;
  client: RegistryClient;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  /** Of its policy, in place of the example's: absent, each stage signs with a key that is made here. */
  settings?: PolicySettings;
}

export interface PolicySettings {
  /** As the policy has them, by the stages' names. */
  signers: Readonly<Record<string, object>>;
  /** The instances of Sigstore that they name. */
  sigstore: Readonly<Record<string, object>>;
  sources: readonly string[];
  failOn: string;
}

export interface StageKey {
  /** Path of the private key (PKCS#8 PEM, readable by its owner alone). */
  file: string;
  publicKeyFile: string;
  publicKey: string;
}

export interface Platform {
  /** `oci://HOST/platform/policy@sha256:…`: what the actions' `policy` input takes. */
  policy: string;
  policyFile: string;
  /** A policy of somebody else, who approves a base that the organisation does not. */
  foreignPolicy: string;
  keys: PlatformKeys;
  base: string;
  foreignBase: string;
  buildpack: string;
}

/** A key a stage, and that of the platform's own signer, who says which policy is in force. */
export type PlatformKeys = Record<Stage | "policy", StageKey>;

/** What takes time and needs no registry: the two bases and the buildpack as images on disk. */
export interface PlatformImages {
  golden: BuiltImage;
  other: BuiltImage;
  buildpack: BuiltImage;
}

export async function buildPlatformImages(
  options: Omit<PlatformOptions, "registry" | "client">,
): Promise<PlatformImages> {
  const outputDirectory = join(options.directory, "images");
  const build = (variant: BaseVariant): Promise<BuiltImage> =>
    buildGoldenBase({ ...options, outputDirectory, variant });
  const golden = await build("golden");
  const other = await build("other");
  const buildpack = await packageBuildpack(join(import.meta.dirname, "buildpacks/node"), {
    outputDirectory,
    env: options.env,
  });
  return { golden, other, buildpack };
}

/**
 * An organisation's side of the path: pushes the bases and the buildpack, makes the stages' keys on first use, and
 * publishes the policy that names them all.
 */
export async function installPlatform(images: PlatformImages, options: PlatformOptions): Promise<Platform> {
  const { client, registry, directory } = options;
  const push = async (name: string, image: BuiltImage): Promise<string> => {
    const repository = parseRepository(`${registry}/platform/${name}`);
    const digest = await pushImage(client, repository, image, "latest");
    return formatReference({ ...repository, digest });
  };
  const [base, foreignBase, buildpack] = [
    await push("base", images.golden),
    await push("base-other", images.other),
    await push("buildpack-node", images.buildpack),
  ];
  const keys = await makeKeys(join(directory, "keys"));
  const { settings } = options;
  const own = { registry, keys, base, buildpack, ...(settings === undefined ? {} : { settings }) };
  const policy = await writePolicy(join(directory, "policy.yaml"), own);
  const foreign = await writePolicy(join(directory, "policy-of-others.yaml"), { ...own, base: foreignBase });
  const publish = async (file: string): Promise<string> => {
    const reference = await publishPolicy(client, parseRepository(`${registry}/platform/policy`), await readFile(file));
    return `oci://${formatReference(reference)}`;
  };
  return {
    policy: await publish(policy),
    policyFile: policy,
    foreignPolicy: await publish(foreign),
    keys,
    base,
    foreignBase,
    buildpack,
  };
}

/**
 * Puts the platform's policy in force for what is promoted to `vetted`, HOST/FIRST, and gives the name by which the
 * stages take whichever is in force.
 */
export async function activatePlatformPolicy(
  { policyFile, policy, keys }: Pick<Platform, "policy" | "policyFile" | "keys">,
  vetted: string,
  { client, ports, env }: Pick<PlatformOptions, "client" | "ports" | "env">,
): Promise<string> {
  const bytes = await readFile(policyFile);
  const next = { policy: parsePolicy(bytes, policyFile), uri: policy, digest: digestOf(bytes) };
  const signer = await loadSigner({ key: keys.policy.file }, { ports, env, workingDirectory: "/" });
  const repository = parseRepository(`${vetted}/${pointerName}`);
  // The demo's registry is new each time; an organisation says so once.
  const isFirst = await client.fetchManifest({ ...repository, tag: pointerTag }).then(
    () => false,
    () => true,
  );
  await activatePolicy(client, { next, bytes, repository, signer, isFirst, now: new Date() });
  return `oci://${vetted}/${pointerName}:${pointerTag}`;
}

async function makeKeys(directory: string): Promise<PlatformKeys> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const made: [keyof PlatformKeys, StageKey][] = [];
  for (const stage of [...stages, "policy"] as const) {
    const [file, publicKeyFile] = [join(directory, `${stage}.key`), join(directory, `${stage}.pub`)];
    const known = await readFile(publicKeyFile, "utf8").catch(() => undefined);
    if (known !== undefined) {
      made.push([stage, { file, publicKeyFile, publicKey: known }]);
      continue;
    }
    const { privateKeyPem, publicKeyPem } = generateKeyPair();
    await writeFile(file, privateKeyPem, { mode: 0o600 });
    // The public half last: where it is, the pair is whole.
    await writeFile(publicKeyFile, publicKeyPem);
    made.push([stage, { file, publicKeyFile, publicKey: publicKeyPem }]);
  }
  return Object.fromEntries(made) as PlatformKeys;
}

interface PolicyFacts {
  registry: string;
  keys: PlatformKeys;
  base: string;
  buildpack: string;
  settings?: PolicySettings;
}

/**
 * On a machine of one's own, to look at things, nothing of value is lost where a user may make no namespaces (Ubuntu
 * 24.04, without passwordless sudo).
 */
async function canKeepBuildsApart(): Promise<boolean> {
  if (process.geteuid?.() === 0) return true;
  const ways: [string, string[]][] = [
    ["unshare", ["--user", "--map-root-user", "--mount", "--", "true"]],
    ["sudo", ["-n", "true"]],
  ];
  for (const [program, args] of ways) {
    const { exitCode } = await runProcess(program, args, { env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } }).catch(
      () => ({ exitCode: 1 }),
    );
    if (exitCode === 0) return true;
  }
  return false;
}

/** policy.yaml with what was made filled in. The serial rises when the content changes, and only then. */
async function writePolicy(file: string, facts: PolicyFacts): Promise<string> {
  const template = await readFile(join(import.meta.dirname, "policy.yaml"), "utf8");
  const isApart = await canKeepBuildsApart();
  const render = (serial: number): string => {
    const document = parseDocument(template);
    const [image = "", digest = ""] = facts.base.split("@") as [string, Digest];
    document.setIn(["serial"], serial);
    for (const stage of stages) document.setIn(["signers", stage, "publicKey"], facts.keys[stage].publicKey);
    document.setIn(["bases", 0, "image"], image);
    document.setIn(["bases", 0, "digests", 0], digest);
    document.setIn(["build", "builders", 0, "buildpacks", 0], facts.buildpack);
    if (facts.settings !== undefined) fillIn(document, facts.settings);
    // Of a run elsewhere, whether builds are kept apart is not this machine's to say.
    else if (!isApart) document.setIn(["build", "isolation"], ["host", "host-unisolated"]);
    document.setIn(["environments", "production", "from", 0], `${facts.registry}/quarantine`);
    document.setIn(["environments", "production", "to", 0], `${facts.registry}/vetted`);
    return document.toString({ lineWidth: 0 });
  };
  const earlier = await readFile(file, "utf8").catch(() => undefined);
  const serial = Number(/^serial: (\d+)$/m.exec(earlier ?? "")?.[1] ?? "1");
  if (earlier === render(serial)) return file;
  await writeFile(`${file}.partial`, render(earlier === undefined ? serial : serial + 1));
  await rename(`${file}.partial`, file);
  return file;
}

function fillIn(document: Document, { signers, sigstore, sources, failOn }: PolicySettings): void {
  document.setIn(["sigstore"], document.createNode(sigstore));
  document.setIn(["signers"], document.createNode(signers));
  document.setIn(["build", "sources"], document.createNode(sources));
  document.setIn(["scan", "failOn"], failOn);
}
