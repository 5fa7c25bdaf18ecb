// What docker/github-builder leaves in a registry, made by hand so that each part of it can be false: an index with
// manifests of BuildKit's attestations, and signatures of those. The real ones are in test/interop/docker-builder.test.ts.
import { encodeBundleReferrer } from "@goldenpath/core/signing/bundle-layer";
import { predicateTypes, statementType } from "@goldenpath/core/signing/predicates";
import { cosignSignature } from "@goldenpath/core/signing/schemes/keyless-manifest";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { ConstructedSigstore, SignatureFalsehood } from "./constructed-sigstore.ts";

export const buildKitType = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
export const builderWorkflow = "https://github.com/docker/github-builder/.github/workflows/build.yml";
export const builderCommit = "c".repeat(40);
const commit = "d".repeat(40);

/** The certificate of a run of docker/github-builder's workflow, called by an application. */
export const builderRun: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: `${builderWorkflow}@refs/tags/v1`,
  buildSignerDigest: builderCommit,
  runnerEnvironment: "github-hosted",
  sourceRepository: "https://github.com/acme/shop",
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: commit,
  buildConfigUri: "https://github.com/acme/shop/.github/workflows/build.yml@refs/heads/main",
  buildTrigger: "push",
};

export interface BuildKitFacts {
  uri?: string | undefined;
  sha1?: string | undefined;
  builderId?: string;
  type?: string;
  /** What the statement is about, instead of the child. */
  about?: readonly Descriptor[];
}

/** The provenance as BuildKit writes it in mode `max`, with what a Dockerfile fetched besides. */
export function buildKitProvenance({ uri, sha1, builderId, type }: BuildKitFacts = {}): Record<string, unknown> {
  return {
    buildDefinition: {
      buildType: type ?? buildKitType,
      externalParameters: {
        configSource: {
          uri: uri ?? `https://github.com/acme/shop.git#${commit}`,
          digest: { sha1: sha1 ?? commit },
          path: "Dockerfile",
        },
        request: { frontend: "dockerfile.v0", args: { "build-arg:A": "1" } },
      },
      internalParameters: { builderPlatform: "linux/amd64" },
      resolvedDependencies: [
        { uri: `https://github.com/acme/shop.git#${commit}`, digest: { sha1: commit } },
        { uri: "https://github.com/other/library.git#v1", digest: { sha1: "e".repeat(40) } },
      ],
    },
    runDetails: {
      builder: { id: builderId ?? "https://github.com/acme/shop/actions/runs/7/attempts/1" },
      metadata: { invocationId: "x", startedOn: "2026-11-01T10:00:00Z", finishedOn: "2026-11-01T10:01:00Z" },
    },
  };
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Pushes a manifest of one statement, as BuildKit does with `oci-artifact=true`. */
export async function pushAttestation(
  client: RegistryClient,
  repository: Repository,
  child: Descriptor,
  facts: BuildKitFacts = {},
): Promise<Descriptor> {
  // Once for each name that it was pushed under.
  const subject = [...(facts.about ?? [child]), ...(facts.about ?? [child])].map(({ digest }, index) => ({
    name: `pkg:docker/acme/shop@${index}`,
    digest: { sha256: digestHex(digest) },
  }));
  const predicateType = predicateTypes.provenance;
  const statement = encode({ _type: statementType, subject, predicateType, predicate: buildKitProvenance(facts) });
  const push = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const layer = await push("application/vnd.in-toto+json", statement);
  const manifest = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: "application/vnd.docker.attestation.manifest.v1+json",
    config: await push(mediaTypes.ociEmpty, emptyBlob.bytes),
    layers: [{ ...layer, annotations: { "in-toto.io/predicate-type": predicateType } }],
    subject: { mediaType: child.mediaType, digest: child.digest, size: child.size },
  });
  const digest = await client.pushManifest(repository, manifest, mediaTypes.ociManifest);
  return { mediaType: mediaTypes.ociManifest, digest, size: manifest.byteLength };
}

/** Pushes an index of children, each with the attestation that it names. */
export async function pushAttested(
  client: RegistryClient,
  repository: Repository,
  pairs: readonly (readonly [child: Descriptor, attestation: Descriptor])[],
): Promise<Descriptor> {
  const manifests = [
    ...pairs.map(([child]) => child),
    ...pairs.map(([child, attestation]) => ({
      ...attestation,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.digest": child.digest,
        "vnd.docker.reference.type": "attestation-manifest",
      },
    })),
  ];
  const index = encode({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  const digest = await client.pushManifest(repository, index, mediaTypes.ociIndex);
  return { mediaType: mediaTypes.ociIndex, digest, size: index.byteLength };
}

export interface ManifestSignatureFalsehood extends SignatureFalsehood {
  as?: Partial<WorkflowIdentity>;
  predicateType?: string;
  /** Whose digest is signed, instead of the manifest's. */
  about?: Descriptor;
}

/** As `cosign sign` leaves it: a bundle that refers to the manifest, and says no more than that it signs it. */
export async function signManifest(
  client: RegistryClient,
  repository: Repository,
  manifest: Descriptor,
  sigstore: ConstructedSigstore,
  { as, predicateType = cosignSignature, about = manifest, ...falsehood }: ManifestSignatureFalsehood = {},
): Promise<void> {
  // Without a name, and with what `-a` would have added.
  const subject = [{ digest: { sha256: digestHex(about.digest) }, annotations: {} }];
  const statement = encode({ _type: statementType, subject, predicateType, predicate: {} });
  const bytes = Buffer.from(await sigstore.sign(statement, { ...builderRun, ...as }, falsehood));
  const bundle = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bytes), size: bytes.byteLength };
  await client.pushBlob(repository, bundle, () => bytes);
  await client.pushBlob(
    repository,
    { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size },
    () => emptyBlob.bytes,
  );
  const referrer = encodeBundleReferrer(manifest, bundle, predicateType, "2026-11-01T10:02:00Z");
  await client.pushManifest(repository, referrer, mediaTypes.ociManifest);
}
