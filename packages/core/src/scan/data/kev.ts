import { copyFile, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Policy } from "../../policy/schema.ts";
import { type Catalogue, type ExploitedList, parseCatalogue } from "../exploited.ts";
import type { DataContext, DataRequest, FetchedData, PublishedData } from "../scanners/scanner.ts";
import { dataUnavailable, downloadData } from "./download.ts";
import { kevName } from "./earlier-data.ts";
import { fetchData } from "./fetch-data.ts";

/** The catalogue has some two megabytes. Bytes. */
const maxCatalogue = 64 * 1024 * 1024;
const fileName = "known_exploited_vulnerabilities.json";

/**
 * CISA's catalogue of known exploited vulnerabilities, as data that is mirrored beside the scanners': of these grype's
 * alone has it.
 */
export const kev = {
  name: kevName,
  data: {
    publisher: `https://www.cisa.gov/sites/default/files/feeds/${fileName}`,
    fetchNewest: fetchCatalogue,
    unpack: async (file, directory) => {
      await readCatalogue(file);
      await copyFile(file, join(directory, fileName));
    },
  },
} satisfies PublishedData;

async function fetchCatalogue({ source, directory }: DataRequest, context: DataContext): Promise<FetchedData> {
  const path = join(directory, fileName);
  await downloadData(source, path, context, { label: "CISA's catalogue", maxBytes: maxCatalogue });
  const catalogue = parseCatalogue(await readFile(path, "utf8"));
  if ("problem" in catalogue) throw dataUnavailable(source, catalogue.problem);
  return { path, built: catalogue.released, schema: catalogue.version, source };
}

async function readCatalogue(file: string): Promise<Catalogue> {
  const catalogue = parseCatalogue(await readFile(file, "utf8"));
  if (!("problem" in catalogue)) return catalogue;
  throw new InfrastructureError(
    `the mirrored ${basename(file)} is no catalogue of known exploited vulnerabilities: ${catalogue.problem}`,
    {
      code: "data-untrusted",
      safeToRetry: false,
      wayOut: "Mirror it again: goldenpath data mirror --scanner kev.",
    },
  );
}

/**
 * The list that scans go by, where the policy has one mirrored (`scan.data.kev`).
 * @throws as `fetchData`: without the list it asks for, nothing is said to be free of what is in it
 */
export async function fetchExploited(
  client: RegistryClient,
  policy: Policy,
  context: Context,
): Promise<ExploitedList | undefined> {
  if (policy.scan.data?.kev !== true) return undefined;
  const { directory, mirrored } = await fetchData(client, kev, policy, context);
  if (mirrored === undefined) throw new TypeError("a mirrored list that is from nowhere");
  const { cves, released } = await readCatalogue(join(directory, fileName));
  return { cves, released, from: mirrored.from };
}
