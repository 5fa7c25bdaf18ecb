import { buildpacks, listBuildpacks } from "@goldenpath/core/build/strategies/buildpacks";
import { ownPolicy } from "@goldenpath/core/build/strategies/find";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { type Attachment, type AttachTarget, attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildProvenance, type ProvenanceFacts } from "@goldenpath/core/signing/provenance";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Statement } from "@goldenpath/core/signing/types";
import { buildVerificationSummary } from "@goldenpath/core/signing/verification-summary";
import type { Stage } from "@goldenpath/core/stages";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { KeyName, TestKeys } from "./chain-keys.ts";
import { pushedLayers, pushTinyImage, pushTinyIndex, tinyLayer } from "./tiny-image.ts";

/**
 * A chain of evidence made by hand: a tiny image, and about it every statement of the path, signed and attached by the
 * code that the verbs use. Each piece can be left out or be false in one respect, so that a test of what is refused
 * changes that one thing and nothing else.
 */

/** An image or index in a registry, as statements are attached to it. */
export interface TestImage extends AttachTarget {
  /** HOST/NAME@sha256:… */
  reference: string;
  digest: Digest;
}

/** A valid image of two layers of some bytes; other `content` is another image. */
export async function pushImage(
  client: RegistryClient,
  repository: string,
  content = "hello",
  tag?: string,
): Promise<TestImage> {
  const target = parseRepository(repository);
  const image = await pushTinyImage(client, target, await layersOf(content), tag === undefined ? {} : { tag });
  const { mediaType, digest, size } = image;
  return describeTarget(target, { mediaType, digest, size }, []);
}

/**
 * An index of two images, for linux/amd64 and linux/arm64, and an attestation child as BuildKit makes it, which does
 * not run.
 */
export async function pushIndex(client: RegistryClient, repository: string, content = "hello"): Promise<TestImage> {
  const target = parseRepository(repository);
  const children: Descriptor[] = [];
  for (const architecture of ["amd64", "arm64"]) {
    children.push(await pushTinyImage(client, target, await layersOf(`${content} ${architecture}`), { architecture }));
  }
  const attestation = {
    ...(await pushAttestation(client, target, content)),
    platform: { os: "unknown", architecture: "unknown" },
  };
  const digest = await pushTinyIndex(client, target, [...children, attestation]);
  const { bytes } = await client.fetchManifest({ ...target, digest });
  return describeTarget(target, { mediaType: mediaTypes.ociIndex, digest, size: bytes.byteLength }, children);
}

/**
 * What BuildKit leaves beside an image: a manifest whose layers are in-toto statements; or, with other bytes or another
 * config, what says that it is one.
 */
export async function pushAttestation(
  client: RegistryClient,
  target: Repository,
  content: string,
  {
    payload = JSON.stringify({ content }),
    configType = mediaTypes.ociConfig,
  }: { payload?: string | Uint8Array; configType?: string } = {},
): Promise<Descriptor> {
  const push = async (mediaType: string, given: string | Uint8Array): Promise<Descriptor> => {
    const bytes = typeof given === "string" ? new TextEncoder().encode(given) : given;
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(target, descriptor, () => bytes);
    return descriptor;
  };
  const config = await push(
    configType,
    JSON.stringify({
      architecture: "unknown",
      os: "unknown",
      rootfs: { type: "layers", diff_ids: [digestOf(content)] },
    }),
  );
  const layer = await push("application/vnd.in-toto+json", payload);
  const manifest = new TextEncoder().encode(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }),
  );
  const digest = await client.pushManifest(target, manifest, mediaTypes.ociManifest);
  return { mediaType: mediaTypes.ociManifest, digest, size: manifest.byteLength };
}

async function layersOf(content: string): Promise<Awaited<ReturnType<typeof tinyLayer>>[]> {
  return [await tinyLayer({ "etc/base": "the base of all" }), await tinyLayer({ "app/index.js": content.repeat(100) })];
}

export function describeTarget(repository: Repository, image: Descriptor, children: readonly Descriptor[]): TestImage {
  return {
    repository,
    image,
    children,
    digest: image.digest,
    reference: formatReference({ ...repository, digest: image.digest }),
  };
}

/**
 * The same image in another repository, its manifests and blobs having been put there: what evidence is to be attached
 * to.
 */
export function inRepository(image: TestImage, repository: string): TestImage {
  return describeTarget(parseRepository(repository), image.image, image.children);
}

/** The statements that a whole chain has, in the order of signing. */
export const pieces = ["provenance", "sbom", "base", "baseVerdict", "scan", "scanVerdict"] as const;
export type Piece = (typeof pieces)[number];

/** What is false about a piece; everything else about it is as it should be. */
export interface Falsehood {
  /** Signed with this key, not the stage's. */
  by?: KeyName;
  /** How long ago the stage did its work, in milliseconds. */
  age?: number;
  /** A verdict that is FAILED. */
  failed?: boolean;
  /** Made under this policy, not the one that is in force. */
  policy?: LoadedPolicy;
  /** Of the provenance: what it says of how it was built. */
  built?: Partial<ProvenanceFacts>;
  /** Of a finding: its predicate, in place of one that tells nothing. */
  predicate?: Record<string, unknown>;
  /** About these manifests of the image only (and attached to no other). */
  only?: readonly Digest[];
}

/** `false` leaves a piece out. */
export type Falsehoods = Readonly<Partial<Record<Piece, Falsehood | false>>>;

const pieceStage: Readonly<Record<Piece, Stage>> = {
  provenance: "build",
  sbom: "build",
  base: "base",
  baseVerdict: "base",
  scan: "scan",
  scanVerdict: "scan",
};

export interface EvidenceFacts {
  client: RegistryClient;
  image: TestImage;
  policy: LoadedPolicy;
  keys: TestKeys;
  falsehoods?: Falsehoods;
  /** Sign these only. */
  pieces?: readonly Piece[];
}

/** Signs and attaches the evidence of each stage, and says which referrer carries what on the image itself. */
export async function attachEvidence(facts: EvidenceFacts): Promise<Map<Piece, Attachment>> {
  const attached = new Map<Piece, Attachment>();
  for (const piece of facts.pieces ?? pieces) {
    const falsehood = facts.falsehoods?.[piece];
    if (falsehood === false) continue;
    const target = narrow(facts.image, falsehood?.only);
    const statement = makeStatement(piece, target, facts, falsehood ?? {}, attached);
    const { signer } = facts.keys[falsehood?.by ?? pieceStage[piece]];
    attached.set(piece, await attachStatement(facts.client, target, statement, signer, new Date()));
  }
  return attached;
}

function narrow(image: TestImage, only: readonly Digest[] | undefined): AttachTarget {
  if (only === undefined) return image;
  const [first, ...rest] = [image.image, ...image.children].filter((each) => only.includes(each.digest));
  if (first === undefined) throw new TypeError("a statement about nothing");
  return { repository: image.repository, image: first, children: rest };
}

function makeStatement(
  piece: Piece,
  target: AttachTarget,
  { policy: inForce }: EvidenceFacts,
  { age = 60_000, failed = false, policy = inForce, built = {}, predicate: found }: Falsehood,
  attached: ReadonlyMap<Piece, Attachment>,
): Statement {
  const { repository } = target;
  const time = new Date(Date.now() - age);
  const image = { repository, digest: target.image.digest, children: target.children.map((child) => child.digest) };
  const finding = (type: string, predicate: Record<string, unknown>): Statement =>
    buildStatement(buildSubjects(repository, [image.digest, ...image.children]), type, found ?? predicate);
  const verdict = (rested: "base" | "scan"): Statement => {
    const input = attached.get(rested)?.bundle.digest ?? digestOf("nothing");
    return buildVerificationSummary({
      stage: rested,
      image,
      policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
      passed: !failed,
      violations: failed ? 1 : 0,
      excepted: 0,
      timeVerified: time,
      inputs: [{ digest: input, uri: "test:finding" }],
      tools: [],
    });
  };
  switch (piece) {
    case "provenance":
      return buildProvenance({
        image,
        source: { repository: "https://github.com/acme/shop", commit: "a".repeat(40), ref: "refs/heads/main" },
        buildEnvironment: "host",
        buildType: buildpacks.buildType,
        builders: policy.policy.build.builders,
        materials: listBuildpacks(ownPolicy(policy.policy, buildpacks).builders),
        bases: [],
        policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
        builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
        startedOn: time,
        finishedOn: time,
        ...built,
      });
    case "sbom":
      return finding(predicateTypes.cyclonedx, {
        bomFormat: "CycloneDX",
        specVersion: "1.6",
        components: [{ type: "library", name: "left" }],
      });
    case "base":
      return finding(predicateTypes.base, {
        children: [image.digest, ...image.children].map((digest) => ({
          digest,
          base: { name: "golden" },
          matchedLayers: 1,
          totalLayers: 2,
          layers: pushedLayers.get(digest) ?? [],
        })),
      });
    case "scan":
      return finding(predicateTypes.vulnerabilities, {
        scanner: { uri: "pkg:test/scanner", version: "1", result: { matches: [] } },
      });
    case "baseVerdict":
      return verdict("base");
    case "scanVerdict":
      return verdict("scan");
  }
}

/** What base and scan find of an image of one platform, as these stages tell it: on `golden`, with one finding. */
export function tellFound(digest: Digest, { severity = "medium" } = {}): Falsehoods {
  const layers = pushedLayers.get(digest) ?? [];
  const base = { name: "golden", image: "registry.example/golden", digest: digestOf("base") };
  const told = {
    ...{ id: "CVE-2026-1", platform: "linux/amd64", severity, fixedVersions: ["2"], fixState: "fixed" },
    package: { name: "left", version: "1", type: "npm" },
    origin: "application",
  };
  return {
    base: { predicate: { children: [{ digest, base, matchedLayers: 1, totalLayers: 2, layers }] } },
    scan: {
      predicate: {
        scanner: { result: { goldenpath: { platforms: ["linux/amd64"], findings: [told] } } },
        metadata: { scanFinishedOn: new Date().toISOString() },
      },
    },
  };
}

/**
 * Attaches what is attached to one image to another one as well, bundle by bundle, as somebody with write access to
 * quarantine can.
 */
export async function transplantEvidence(client: RegistryClient, from: TestImage, to: TestImage): Promise<Digest[]> {
  const attached: Digest[] = [];
  for (const { digest } of await client.listReferrers(from.repository, from.digest)) {
    const { kind, manifest } = await client.fetchManifest({ ...from.repository, digest });
    if (kind === "index") throw new TypeError("a referrer that is an index");
    for (const blob of [manifest.config, ...manifest.layers]) {
      const bytes = await client.fetchBlob(from.repository, blob);
      await client.pushBlob(to.repository, blob, () => bytes);
    }
    const { mediaType, size } = to.image;
    const moved = new TextEncoder().encode(
      JSON.stringify({ ...manifest, subject: { mediaType, digest: to.digest, size } }),
    );
    attached.push(await client.pushManifest(to.repository, moved, mediaTypes.ociManifest));
  }
  return attached;
}
