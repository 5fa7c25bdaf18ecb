import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "@goldenpath/foundation/errors";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { formatReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { dataUnavailable } from "../data/download.ts";
import { unpackTar } from "../data/tar-files.ts";
import type { DataContext, DataRequest, FetchedData } from "./scanner.ts";
import { readTrivyFacts, trivyFiles } from "./trivy-data.ts";

/** Of the one layer of the artifact that trivy's publisher pushes. */
const layerMediaType = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip";

/**
 * The newest data of trivy's publisher, who has it in registries as one archive.
 * @throws InfrastructureError `data-unavailable`, `scanner-failed`; UserError `input-invalid`; the client's others
 */
export async function fetchTrivyData({ source, directory }: DataRequest, context: DataContext): Promise<FetchedData> {
  if (!source.startsWith("oci://")) {
    throw new UserError(`trivy's data is in registries, and its source is '${source}': expected oci://HOST/NAME:TAG`, {
      code: "input-invalid",
    });
  }
  const reference = parseReference(source.slice("oci://".length), "the source of trivy's data");
  const path = join(directory, "trivy-db.tar.gz");
  const digest = await withRegistryClient(context, async (client) => {
    const found = await client.fetchManifest(reference);
    const [layer, ...others] = found.kind === "image" ? found.manifest.layers : [];
    if (layer?.mediaType !== layerMediaType || others.length > 0)
      throw dataUnavailable(source, `it has not one layer of ${layerMediaType}`);
    await pipeline(Readable.from(await client.openBlob(reference, layer)), createWriteStream(path, { flags: "wx" }));
    return found.digest;
  });
  const look = join(directory, "look");
  await unpackTrivyData(path, look, context.signal);
  const { built, schema = "" } = await readTrivyFacts(look);
  if (built === undefined) throw dataUnavailable(source, "it does not say when it was made");
  const { registry, name } = reference;
  return { path, built, schema, source: `oci://${formatReference({ registry, name, digest })}` };
}

/** @throws InfrastructureError `data-untrusted` */
export async function unpackTrivyData(file: string, directory: string, signal: AbortSignal): Promise<void> {
  const folder = join(directory, "db");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const names = trivyFiles.map((each) => basename(each));
  await unpackTar(file, folder, (path) => names.includes(path), signal);
}
