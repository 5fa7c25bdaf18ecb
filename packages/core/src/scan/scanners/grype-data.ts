import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { dataFileName } from "../data/data-statement.ts";
import { dataUnavailable, downloadData, maxListingBytes } from "../data/download.ts";
import type { DataContext, DataRequest, FetchedData } from "./scanner.ts";

/** Of the database's format that the lock's grype reads: `v6` in its publisher's addresses. */
const model = 6;

const listingSchema = z.looseObject({
  status: z.string().optional(),
  schemaVersion: z.string().regex(/^v\d+\.\d+\.\d+$/),
  built: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
  // Relative to the listing; what leads elsewhere is no file beside it.
  path: dataFileName,
  checksum: z.string().regex(/^sha256:[0-9a-f]{64}$/),
});

/**
 * The newest database of grype's publisher: what `latest.json` names, held to the checksum that stands there. The file
 * is `grype db import`'s.
 */
export async function fetchGrypeData({ source, directory }: DataRequest, context: DataContext): Promise<FetchedData> {
  const listing = source.endsWith(".json") ? source : `${source.replace(/\/+$/, "")}/v${model}/latest.json`;
  const listingFile = join(directory, "latest.json");
  await downloadData(listing, listingFile, context, { label: "grype's list", maxBytes: maxListingBytes });
  const { schemaVersion, built, path, checksum } = parseListing(await readFile(listingFile, "utf8"), listing);
  const url = new URL(`./${path}`, listing).href;
  const file = join(directory, path);
  const actual = await downloadData(url, file, context, { label: "grype's database" });
  if (`sha256:${actual}` !== checksum)
    throw dataUnavailable(listing, `it has ${checksum} for ${path}, and what is there is sha256:${actual}`);
  return { path: file, built, schema: schemaVersion, source: url };
}

function parseListing(text: string, where: string): z.output<typeof listingSchema> {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw dataUnavailable(where, "it is not JSON", error);
  }
  const parsed = listingSchema.safeParse(json);
  if (!parsed.success) throw dataUnavailable(where, describeIssues(parsed.error));
  const { schemaVersion, status } = parsed.data;
  if (!schemaVersion.startsWith(`v${model}.`))
    throw dataUnavailable(where, `it is of databases of format ${schemaVersion}, and grype reads v${model}`);
  if (status === "eol") throw dataUnavailable(where, "its publisher says that this format is no longer kept");
  return parsed.data;
}
