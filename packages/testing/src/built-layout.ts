import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { PushOptions } from "@goldenpath/core/layouts/push-built";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Reference, Repository } from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts } from "@goldenpath/registry-client/subject";
import { startRegistry } from "@goldenpath/registry-server/server";
import { type TarOptions, tarFiles, tarOf } from "./tar.ts";
import { pushTinyImage, tinyLayer } from "./tiny-image.ts";

/** Images as builds leave them on the disk, in pieces, so that a test can change one of them. */

export type LayoutFiles = Record<string, string | Uint8Array>;

export interface LayoutParts {
  files: LayoutFiles;
  /** The one layer as it is in it: {@link appTar}, compressed. */
  layer: Uint8Array;
  /** Of the image's manifest. */
  root: Descriptor;
}

export const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
export const blobPath = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;
export function put(files: LayoutFiles, mediaType: string, bytes: Uint8Array): Descriptor {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
  files[blobPath(descriptor.digest)] = bytes;
  return descriptor;
}
export function putIndex(files: LayoutFiles, manifests: readonly object[]): void {
  files["index.json"] = encode({ schemaVersion: 2, manifests });
}

export const appTar = tarFiles({ "app/main": "hello" });

interface LayoutChanges {
  manifest?: object;
  config?: object;
  layerType?: string;
  layer?: object;
}

export function layout({
  manifest = {},
  config = {},
  layerType = mediaTypes.ociLayerTarGzip,
  layer = {},
}: LayoutChanges = {}): LayoutParts {
  const files: LayoutFiles = { "oci-layout": '{"imageLayoutVersion":"1.0.0"}' };
  const bytes = gzipSync(appTar);
  const descriptor = { ...put(files, layerType, bytes), ...layer };
  const configDescriptor = put(
    files,
    mediaTypes.ociConfig,
    encode({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digestOf(appTar)] }, ...config }),
  );
  const root = put(
    files,
    mediaTypes.ociManifest,
    encode({
      ...{ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: configDescriptor, layers: [descriptor] },
      ...manifest,
    }),
  );
  putIndex(files, [root]);
  return { files, layer: bytes, root };
}

export const asEntries = (files: LayoutFiles): TarOptions[] =>
  Object.entries(files).map(([name, content]) => ({ name, content }));

export type TaggedOptions = PushOptions & { tags: readonly [Reference, ...Reference[]] };

/** A registry, and a folder for what builds leave. */
export interface LayoutStand {
  host: string;
  client: RegistryClient;
  folder: string;
  writeFolder(files: LayoutFiles): Promise<string>;
  writeTar(entries: readonly TarOptions[]): Promise<string>;
  /** Somewhere new to push to. */
  target(change?: Partial<PushOptions>): TaggedOptions;
  /** What {@link target}'s first tag is at. */
  tagged(target: TaggedOptions): Promise<Digest | undefined>;
  /** An image of one layer, for others to stand on. */
  pushBase(): Promise<{ repository: Repository; image: ChildFacts }>;
  close(): Promise<void>;
}

export async function openLayoutStand(): Promise<LayoutStand> {
  const server = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  const folder = await mkdtemp(join(tmpdir(), "goldenpath-layouts-"));
  let counter = 0;
  return {
    host: server.host,
    client,
    folder,
    async writeFolder(files) {
      const path = join(folder, `layout-${++counter}`);
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), content);
      }
      return path;
    },
    async writeTar(entries) {
      const path = join(folder, `archive-${++counter}.tar`);
      await writeFile(path, tarOf(...entries));
      return path;
    },
    target(change = {}) {
      const repository = { registry: server.host, name: `quarantine/shop-${++counter}` };
      const tags: [Reference] = [{ ...repository, tag: "1" }];
      const context = { ports: silentPorts(), signal: new AbortController().signal, temporaryDirectory: folder };
      return { repository, client, context, ...change, tags };
    },
    tagged: ({ tags }) => client.resolve(tags[0]),
    async pushBase() {
      const repository = { registry: server.host, name: "bases/golden" };
      const { digest } = await pushTinyImage(client, repository, [await goldenLayer]);
      const [image] = (await fetchImageFacts(client, { ...repository, digest })).children;
      if (image === undefined) throw new TypeError("the base has an image");
      return { repository, image };
    },
    async close() {
      await client.close();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const goldenLayer = tinyLayer({ "etc/os-release": "golden" });
