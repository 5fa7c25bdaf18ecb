import { mkdir, mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { copySource } from "@goldenpath/core/build/source";
import type { Built, StrategyRunner } from "@goldenpath/core/build/strategies/runner";
import { type BuildStrategy, judgeBuilders, listBuildersOnBase } from "@goldenpath/core/build/strategies/strategy";
import { basePath, name } from "@goldenpath/core/policy/schema-text";
import { runChecked } from "@goldenpath/foundation/exec/run";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";

/*
 * A strategy that the project does not have, as a test adds it: a site's files become one layer on the base. In the
 * project its halves would be two files, `strategies/folder.ts` and `strategies/folder/run.ts`, since judges load the
 * first alone.
 */

const builderSchema = z.strictObject({
  kind: z.literal("folder").describe("The strategy that this builder is for."),
  name: name.describe("How messages call this builder."),
  into: basePath.describe("Where the application's files go."),
  runImage: name.describe("The name of the approved base that they are put on."),
});
type FolderBuilder = z.infer<typeof builderSchema>;
interface FolderPlan {
  into: string;
}

const label = "example.folder.into";

export const folder = {
  name: "folder",
  builderSchema,
  buildType: "https://folder.example/build-types/folder/v1",
  takes: [],
  engines: [],
  evidence: "language",
  detect: ({ files }) => (files.includes("index.html") ? ["index.html (a site)"] : []),
  plan: ({ into }) => ({ into }),
  prove: (image, { builders }) => {
    // The base is proven by bytes; that these builders put the files where they belong, by nothing but the label.
    const marks = new Set(image.children.map(({ config }) => config?.config?.Labels?.[label]));
    const fitting = listBuildersOnBase(image, builders).filter(({ into }) => marks.size === 1 && marks.has(into));
    return {
      builders: fitting.map((builder) => builder.name),
      materials: [],
      isClaimed: marks.size > 0 && !marks.has(undefined),
    };
  },
  judge: judgeBuilders,
} as const satisfies BuildStrategy<FolderBuilder, FolderPlan>;

export const folderRunner: StrategyRunner<FolderPlan> = {
  run: async ({ plan, runImage, source, context, client }): Promise<Built> => {
    if (runImage === undefined) throw new TypeError("a site is put on a base");
    const work = await mkdtemp(join(context.temporaryDirectory, "folder-"));
    await mkdir(join(work, "files", plan.into), { recursive: true });
    await copySource(source, join(work, "files", plan.into), context.signal);
    const always = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    const top = plan.into.split("/")[1] ?? "";
    await runChecked("tar", ["--create", `--file=${work}/layer.tar`, `--directory=${work}/files`, ...always, top], {
      env: { PATH: context.env["PATH"] },
      signal: context.signal,
    });
    const digest = await pushOnBase(client, runImage, plan.repository, await readFile(join(work, "layer.tar")), {
      labels: { [label]: plan.into },
      tags: plan.tags.map(({ tag }) => tag ?? ""),
    });
    return { digest, tools: [], notes: [`the files are in ${plan.into}`] };
  },
  fetchSbom: () => Promise.resolve(undefined),
  noSbom: "a folder has no SBOM",
};

async function pushOnBase(
  client: RegistryClient,
  base: Parameters<typeof fetchImageFacts>[1],
  repository: Repository,
  tar: Uint8Array,
  { labels, tags }: { labels: Record<string, string>; tags: readonly string[] },
): Promise<Built["digest"]> {
  const [child] = (await fetchImageFacts(client, base)).children;
  if (child === undefined) throw new TypeError("the base has no image");
  const push = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const { manifest, config } = child;
  for (const layer of manifest.layers) await push(layer.mediaType, await client.fetchBlob(base, layer));
  const own = {
    ...config,
    config: { ...config.config, Labels: labels },
    rootfs: { type: "layers", diff_ids: [...config.rootfs.diff_ids, digestOf(tar)] },
  };
  const built = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await push(mediaTypes.ociConfig, Buffer.from(JSON.stringify(own))),
    layers: [...manifest.layers, await push(mediaTypes.ociLayerTarGzip, gzipSync(tar))],
  };
  const bytes = Buffer.from(JSON.stringify(built));
  for (const tag of tags) await client.pushManifest(repository, bytes, mediaTypes.ociManifest, tag);
  return digestOf(bytes);
}
