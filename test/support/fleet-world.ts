import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDecisionStatement } from "@goldenpath/core/base/approval/predicate";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachStatement, attachStatements } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Statement } from "@goldenpath/core/signing/types";
import { buildVerificationSummary, type SummaryFacts } from "@goldenpath/core/signing/verification-summary";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { attachEvidence, describeTarget, type TestImage } from "@goldenpath/testing/chain";
import { type KeyName, makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { renderSigners } from "@goldenpath/testing/signers";
import { packLayer, pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { debianRelease, dpkgStanza, libcVersions } from "./scan-world.ts";

// Images as the promote stage leaves them in vetted repositories, by the hundred: each on one of two bases, with the
// evidence of its whole path. The SBOMs are written here in syft's form; what reads them is real.

export interface FleetApplication {
  /** Of the vetted repository, and of its source repository: https://github.com/acme/NAME. */
  name: string;
  /** Its base has the vulnerable libc6 of the examples' database, or the mended one. */
  base?: "old" | "new";
  /** The version of lodash in it. */
  lodash?: string;
  /** Other packages of npm, by name. */
  packages?: Readonly<Record<string, string>>;
  /** The packages are in the image as well, and not in its SBOM alone: for who looks there. */
  isInstalled?: true;
  /** Pieces of its evidence that are not there. */
  without?: readonly ("sbom" | "base" | "scan" | "promotion")[];
  /** Days since it was promoted. */
  age?: number;
  tags?: readonly string[];
}

export interface FleetWorld {
  registry: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  policy: LoadedPolicy;
  policyFile: string;
  directory: string;
  /** Source repositories as OWNER/NAME, each with a package-lock.json. */
  checkouts: string;
  /** Puts one there: HOST/vetted/NAME@DIGEST. */
  add(application: FleetApplication): Promise<TestImage>;
  sign(image: TestImage, statement: Statement, by: KeyName): Promise<Digest>;
  close(): Promise<void>;
}

export interface FleetPolicy {
  /** `build.sources` in YAML's flow style. */
  sources?: string;
  /** What `scan` has besides. */
  scan?: string;
  /** What the environment has besides, a line each. */
  environment?: string;
  /** What the bases are heavy with. */
  ballast?: Ballast;
  /** The bases count by what an approver has signed, their SBOMs beside it. */
  areApproved?: true;
}

/** Packages of Debian besides libc6, and bytes that don't compress. */
export interface Ballast {
  packages: number;
  bytes: number;
}

interface World extends Omit<FleetWorld, "add" | "sign" | "close"> {
  bases: Record<"old" | "new", Base>;
  ballast: Ballast;
}

export async function openFleetWorld(own: FleetPolicy = {}): Promise<FleetWorld> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-fleet-"));
  const checkouts = join(directory, "checkouts");
  const registry = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  const keys = await makeKeys(directory);
  const { ballast = { packages: 0, bytes: 0 } } = own;
  const [old, next] = await Promise.all([
    pushBase(client, registry.host, libcVersions.vulnerable, ballast),
    pushBase(client, registry.host, libcVersions.mended, ballast),
  ]);
  const policyFile = join(directory, "policy.yaml");
  const text = renderPolicy(registry.host, keys, [old.digest, next.digest], own);
  await writeFile(policyFile, text);
  const bytes = new TextEncoder().encode(text);
  const policy = { policy: parsePolicy(bytes, policyFile), uri: policyFile, digest: digestOf(bytes) };
  const bases = { old, new: next };
  if (own.areApproved === true)
    await Promise.all(
      (["old", "new"] as const).map((kind) =>
        approveBase(client, { ...{ policy, keys, host: registry.host }, kind, base: bases[kind], ballast }),
      ),
    );
  const world: World = { registry, client, keys, policy, policyFile, directory, checkouts, bases, ballast };
  const sign: FleetWorld["sign"] = async (image, statement, by) =>
    (await attachStatement(client, image, statement, keys[by].signer, new Date(), { isNew: true })).bundle.digest;
  return {
    ...world,
    sign,
    add: (application) => addApplication(world, sign, application),
    async close() {
      await client.close();
      await registry.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Puts many there, some at a time. */
export async function addAll(world: FleetWorld, applications: readonly FleetApplication[]): Promise<TestImage[]> {
  return mapConcurrently(8, applications, (each) => world.add(each));
}

const listBallast = ({ packages }: Ballast): string[] => Array.from({ length: packages }, (_, at) => `libballast${at}`);

async function pushBase(client: RegistryClient, host: string, version: string, ballast: Ballast) {
  const others = listBallast(ballast).map((name) => [`var/lib/dpkg/status.d/${name}`, dpkgStanza(name, "1.0-1")]);
  const layer = await tinyLayer({
    "etc/os-release": debianRelease,
    "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", version, "glibc"),
    "lib/libc.so.6": `libc of ${version}`,
    ...Object.fromEntries(others),
    ...(ballast.bytes === 0 ? {} : { "usr/share/ballast": randomBytes((ballast.bytes * 3) / 4).toString("base64") }),
  });
  const { digest, size } = await pushTinyImage(client, { registry: host, name: "bases/golden" }, [layer]);
  return { layer, digest, size };
}

type Base = Awaited<ReturnType<typeof pushBase>>;

/** As `goldenpath base approve` signs it by the platform's key. */
async function approveBase(
  client: RegistryClient,
  {
    policy,
    keys,
    host,
    kind,
    base,
    ballast,
  }: Pick<World, "policy" | "keys" | "ballast"> & {
    host: string;
    kind: "old" | "new";
    base: Base;
  },
): Promise<void> {
  const repository = parseRepository(`${host}/bases/golden`);
  const { digest, size } = base;
  const target = { image: { mediaType: mediaTypes.ociManifest, digest, size }, children: [] };
  const sbom = renderSbom(digest, listBaseComponents(kind, base.layer, listBallast(ballast)));
  const decided = { decision: "approved" as const, decidedAt: new Date(), endOfLife: "2999-12-31" };
  const decision = { ...decided, role: "run-only" as const, examined: {} };
  const { signer } = keys.platform;
  await attachStatements(
    client,
    repository,
    [
      buildStatement(buildSubjects(repository, [digest]), predicateTypes.cyclonedx, sbom),
      buildDecisionStatement({ image: { repository, digest, children: [] }, policy, decision }),
    ].map((statement) => ({ target, statement, signer })),
    new Date(),
  );
}

function renderPolicy(host: string, keys: TestKeys, bases: readonly Digest[], own: FleetPolicy): string {
  const names = ["build", "base", "scan", "promote"] as const;
  const approvers = own.areApproved === true ? (["platform"] as const) : [];
  const by = approvers.length === 0 ? "" : `, approval: { signers: [${approvers}] }`;
  return `version: 1
name: acme
serial: 7
signers:
${renderSigners(Object.fromEntries([...names, ...approvers].map((name) => [name, keys[name].publicKey])))}bases:
${bases.map((digest, at) => `  - { name: golden-${at === 0 ? "old" : "new"}, image: ${host}/bases/golden, digests: [${digest}]${by} }`).join("\n")}
build:
  strategies: [buildpacks]
  environments: [container, host]
  sources: ${own.sources ?? '["https://github.com/acme/*"]'}
  builders: [{ name: node, buildpacks: [${host}/buildpacks/node@${digestOf("buildpack")}], runImage: golden-new }]
scan: { failOn: high, databaseMaxAge: unlimited, ${own.scan ?? "rescan: { others: 14d }"} }
environments:
  production:
    from: [${host}/quarantine]
    to: [${host}/vetted]
    requires:
      - { stage: build, signers: [build] }
      - { stage: base, signers: [base] }
      - { stage: scan, signers: [scan], maxAge: 30d }
    promoter: promote
${own.environment ?? ""}`;
}

type Sign = FleetWorld["sign"];

async function addApplication(world: World, sign: Sign, application: FleetApplication): Promise<TestImage> {
  const { client, registry, keys, policy } = world;
  const { name, base: kind = "new", without = [], age = 1, tags = ["1.0.0"] } = application;
  const repository = parseRepository(`${registry.host}/vetted/${name}`);
  const base = world.bases[kind];
  const { packages = {}, isInstalled = false } = application;
  const installed = Object.entries(isInstalled ? packages : {}).map(([of, version]) => [
    `app/node_modules/${of}/package.json`,
    JSON.stringify({ name: of, version }),
  ]);
  const own = { "app/index.js": name, "app/package.json": JSON.stringify(application) };
  const layer = await tinyLayer({ ...own, ...Object.fromEntries(installed) });
  const [first, ...others] = tags;
  // As builders do: what the base has is not sent once more.
  await client.mountBlob(repository, packLayer(base.layer).digest, { ...repository, name: "bases/golden" });
  const pushed = await pushTinyImage(
    client,
    repository,
    [base.layer, layer],
    first === undefined ? {} : { tag: first },
  );
  const { bytes, mediaType } = await client.fetchManifest({ ...repository, digest: pushed.digest });
  for (const tag of others) await client.pushManifest(repository, bytes, mediaType, tag);
  const image = describeTarget(repository, { mediaType, digest: pushed.digest, size: pushed.size }, []);
  const source = { repository: `https://github.com/acme/${name}`, commit: "a".repeat(40), ref: "refs/heads/main" };
  await attachEvidence({
    ...{ client, image, policy, keys, pieces: ["provenance"] },
    falsehoods: { provenance: { built: { source }, age: age * 86_400_000 } },
  });
  const about = (type: string, predicate: Record<string, unknown>): Statement =>
    buildStatement(buildSubjects(repository, [image.digest]), type, predicate);
  if (!without.includes("sbom"))
    await sign(
      image,
      about(predicateTypes.cyclonedx, writeSbom(image, application, base.layer, layer, listBallast(world.ballast))),
      "build",
    );
  const time = new Date(Date.now() - age * 86_400_000);
  const summary = (stage: SummaryFacts["stage"], inputs: readonly Digest[], more: Partial<SummaryFacts> = {}) =>
    buildVerificationSummary({
      ...{ stage, image: { repository, digest: image.digest, children: [] }, passed: true, violations: 0, excepted: 0 },
      policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
      ...{ timeVerified: time, inputs: inputs.map((digest) => ({ digest, uri: "x:y" })), tools: [], ...more },
    });
  if (!without.includes("base")) {
    const found = await sign(
      image,
      about(predicateTypes.base, tellBase(image, kind, base, layer, registry.host)),
      "base",
    );
    await sign(image, summary("base", [found]), "base");
  }
  if (!without.includes("scan")) {
    const found = await sign(image, about(predicateTypes.vulnerabilities, tellScan(time)), "scan");
    const verdict = await sign(image, summary("scan", [found]), "scan");
    if (!without.includes("promotion"))
      await sign(image, summary("promote", [verdict], { environment: "production" }), "promote");
  }
  await writeCheckout(world, application);
  return image;
}

function tellBase(
  image: TestImage,
  kind: "old" | "new",
  base: World["bases"]["old"],
  layer: TinyLayer,
  host: string,
): Record<string, unknown> {
  const own = { digest: image.digest, matchedLayers: 1, totalLayers: 2, layers: [base.layer.diffId, layer.diffId] };
  return {
    children: [{ ...own, base: { name: `golden-${kind}`, image: `${host}/bases/golden`, digest: base.digest } }],
  };
}

function tellScan(time: Date): Record<string, unknown> {
  return {
    scanner: { uri: "pkg:test/scanner@1", result: { goldenpath: { platforms: ["linux/amd64"], findings: [] } } },
    metadata: { scanFinishedOn: time.toISOString() },
  };
}

/** As syft writes one of such an image. */
function writeSbom(
  image: TestImage,
  { base = "new", lodash, packages = {} }: FleetApplication,
  baseLayer: TinyLayer,
  layer: TinyLayer,
  debs: readonly string[],
): Record<string, unknown> {
  const npm = Object.entries({ ...(lodash === undefined ? {} : { lodash }), ...packages });
  return renderSbom(image.digest, [
    ...listBaseComponents(base, baseLayer, debs),
    ...npm.map(([name, of]) => ({
      ...{ type: "library", name, version: of, "bom-ref": name, purl: `pkg:npm/${name}@${of}` },
      properties: [
        ...[property("package:type", "npm"), property("package:language", "javascript")],
        ...placeIn(layer, `/app/node_modules/${name}/package.json`),
      ],
    })),
  ]);
}

const property = (name: string, value: string) => ({ name: `syft:${name}`, value });
const placeIn = (layer: TinyLayer, path: string) => [
  property("location:0:layerID", layer.diffId),
  property("location:0:path", path),
];

function renderSbom(digest: Digest, components: readonly object[]): Record<string, unknown> {
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${digest.slice(7, 15)}-0000-4000-8000-000000000000`,
    metadata: {
      timestamp: new Date().toISOString(),
      component: { type: "container", name: "app", version: digest },
    },
    components,
  };
}

function listBaseComponents(kind: "old" | "new", layer: TinyLayer, debs: readonly string[]): object[] {
  const version = libcVersions[kind === "old" ? "vulnerable" : "mended"];
  return [
    {
      ...{ type: "library", name: "libc6", version, "bom-ref": "libc6" },
      purl: `pkg:deb/debian/libc6@${encodeURIComponent(version)}?arch=amd64&distro=debian-12&upstream=glibc`,
      properties: [property("package:type", "deb"), ...placeIn(layer, "/var/lib/dpkg/status.d/libc6")],
    },
    ...debs.map((name) => ({
      ...{ type: "library", name, version: "1.0-1", "bom-ref": name },
      purl: `pkg:deb/debian/${name}@1.0-1?arch=amd64&distro=debian-12`,
      properties: [property("package:type", "deb"), ...placeIn(layer, `/var/lib/dpkg/status.d/${name}`)],
    })),
    {
      ...{ type: "operating-system", name: "debian", version: "12", "bom-ref": "os" },
      properties: [property("distro:id", "debian"), property("distro:versionID", "12")],
    },
  ];
}

async function writeCheckout({ checkouts }: World, { name, lodash, packages = {} }: FleetApplication): Promise<void> {
  const folder = join(checkouts, "acme", name);
  await mkdir(folder, { recursive: true });
  const all = { ...(lodash === undefined ? {} : { lodash }), ...packages };
  const locked = Object.entries(all).map(([each, version]) => [`node_modules/${each}`, { version }]);
  const lock = { name, lockfileVersion: 3, packages: Object.fromEntries(locked) };
  await writeFile(join(folder, "package-lock.json"), `${JSON.stringify(lock, null, 2)}\n`);
  await writeFile(join(folder, "CODEOWNERS"), `* @acme/everybody\n/package-lock.json @acme/${name}-team\n`);
}
