import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadSigner } from "@goldenpath/core/signing/keys";
import type { KeySigner } from "@goldenpath/core/signing/schemes/key/sign";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { makeKey } from "@goldenpath/testing/signers";
import { pushTinyImage, pushTinyIndex, tinyLayer } from "@goldenpath/testing/tiny-image";
import { goldenLayer, openPathWorld, type PathPolicy, type PathWorld, type PathWorldOptions } from "./path-world.ts";

/** The pipeline that was there before, whoever imports, and a signer whom nobody asks where an image comes from. */
export const originSigners = ["pipeline", "importer", "auditor"] as const;
export type OriginSigner = (typeof originSigners)[number];

export const ci = {
  id: "https://ci.acme.example/builders/v3",
  type: "https://ci.acme.example/build-types/container/v1",
};
export const commit = "d".repeat(40);

/** Images of elsewhere, on a path's world. */
export interface ImageWorld extends PathWorld {
  policy: PathPolicy;
  origin: Readonly<Record<OriginSigner, { file: string; signer: KeySigner }>>;
  /** `oci://HOST/upstream/redis`, from which imports are taken. */
  vendor: Repository;
  /** An image on the golden base, there; another one each time, or the one of this content. */
  pushUpstream(repository: Repository, tag?: string, content?: string): Promise<Descriptor>;
  /** An index of two platforms. */
  pushUpstreamIndex(repository: Repository): Promise<{ index: Descriptor; children: Descriptor[] }>;
}

/** What a pipeline of one's own states of an image. */
export function provenanceOf({ id = ci.id, type = ci.type, repository = "https://github.com/acme/shop" } = {}) {
  return {
    buildDefinition: {
      buildType: type,
      externalParameters: { image: "shop" },
      resolvedDependencies: [{ uri: `git+${repository}@refs/heads/main`, digest: { gitCommit: commit } }],
    },
    runDetails: { builder: { id }, metadata: { finishedOn: "2026-05-01T12:00:00Z" } },
  };
}

/** @param askLevel the registry's host → what is asked of the pipeline's builds besides, as YAML: `, level: { … }` */
export async function openImageWorld(
  tools: PathWorldOptions["tools"],
  askLevel = (_host: string): string => "",
): Promise<ImageWorld> {
  const world = await openPathWorld({ tools });
  const made = await Promise.all(
    originSigners.map(async (name) => {
      const key = await makeKey();
      const file = join(world.root, `${name}.key`);
      await writeFile(file, key.privateKeyPem, { mode: 0o600 });
      const context = { ports: silentPorts(), env: {}, workingDirectory: world.root };
      const signer = await loadSigner({ key: key.privateKeyPem }, context);
      return [name, { file, publicKey: key.publicKeyPem, signer }] as const;
    }),
  );
  const vendor = { registry: world.server.host, name: "upstream/redis" };
  const policy = await world.writePolicy({
    strategies: "image",
    signers: Object.fromEntries(made.map(([name, { publicKey }]) => [name, publicKey])),
    sources: `    - { repository: "https://github.com/acme/*", refs: [refs/heads/main], to: ["${world.server.host}/vetted/{name}"] }
    - { repository: "oci://${formatRepository(vendor)}", to: ["${world.server.host}/vetted/redis"] }
`,
    builders: `    - { kind: image, name: old, provenance: { signers: [pipeline], builders: ["${ci.id}"], buildTypes: ["${ci.type}"]${askLevel(world.server.host)} } }
    - { kind: image, name: vendors, import: { signers: [importer] } }
`,
  });
  let counter = 0;
  const layersOf = async (content = `${++counter}`) => [await goldenLayer(), await tinyLayer({ "srv/app": content })];
  const { client } = world;
  return {
    ...{ ...world, policy, vendor },
    origin: Object.fromEntries(made) as ImageWorld["origin"] & Record<OriginSigner, (typeof made)[number][1]>,
    pushUpstream: async (repository, tag, content) =>
      pushTinyImage(client, repository, await layersOf(content), tag === undefined ? {} : { tag }),
    async pushUpstreamIndex(repository) {
      const children = [];
      for (const architecture of ["amd64", "arm64"])
        children.push(await pushTinyImage(client, repository, await layersOf(), { architecture }));
      const digest = await pushTinyIndex(client, repository, children);
      const { bytes } = await client.fetchManifest({ ...repository, digest });
      return { index: { mediaType: mediaTypes.ociIndex, digest, size: bytes.byteLength }, children };
    },
  };
}
