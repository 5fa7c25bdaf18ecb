import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { describeIssues, parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { findPrivateTool } from "../tools/private.ts";
import { describeToolFailure, runTool } from "../tools/run-tool.ts";
import { type Sbom, sbomPackages } from "./catalog.ts";

/** Milliseconds; it reads one file and writes one. */
const timeout = 5 * 60 * 1000;
const maxSpdxBytes = 256 * 1024 * 1024;

const purlReference = "purl";
const packageSchema = z.looseObject({
  SPDXID: z.string(),
  externalRefs: z.array(z.looseObject({ referenceType: z.string(), referenceLocator: z.string() })).optional(),
});
/** What is read of SPDX 2.3's JSON (spdx-schema.json). */
const documentSchema = z.looseObject({
  spdxVersion: z.literal("SPDX-2.3"),
  creationInfo: z.looseObject({ creators: z.array(z.string()) }),
  packages: z.array(packageSchema),
  relationships: z.array(
    z.looseObject({ spdxElementId: z.string(), relatedSpdxElement: z.string(), relationshipType: z.string() }),
  ),
});
type SpdxDocument = z.infer<typeof documentSchema>;

const subjectSchema = z.looseObject({ component: z.looseObject({ purl: z.string().optional() }).optional() });

/**
 * An SBOM that was judged, in SPDX 2.3 as well: by syft, of the CycloneDX file, so that both are of the same packages
 * and nothing of the image is read again. What SPDX has no room for (where in the image a package lies, but for one
 * sentence) is in CycloneDX alone.
 * @throws InfrastructureError `sbom-invalid` where a package is not in it, `cataloger-failed`, and those of finding and
 *   running the tool
 */
export async function writeSpdx(sbom: Sbom, sbomFile: string, spdxFile: string, context: Context): Promise<void> {
  const tool = await findPrivateTool("syft", context);
  const home = join(context.temporaryDirectory, "syft-spdx");
  const env = { XDG_CACHE_HOME: home, NO_COLOR: "1", SYFT_CHECK_FOR_APP_UPDATE: "false" };
  const run = { home, env, timeoutMs: timeout, maxOutputBytes: maxSpdxBytes };
  const ended = await runTool(tool, ["convert", sbomFile, "--output", "spdx-json"], run, context);
  if (ended.exitCode !== 0) {
    const { message, wayOut } = describeToolFailure(tool, ended);
    throw new InfrastructureError(message, { code: "cataloger-failed", wayOut });
  }
  const document = completeSpdx(ended.stdout, sbom, `Tool: ${tool.name}-${tool.version}`);
  await writeFile(spdxFile, `${stringifyJson(document, 2)}\n`);
}

/**
 * What syft makes of a CycloneDX document, held to it: every package is in it, and what it describes has the subject's
 * own package URL, which syft makes up anew.
 * @param tool as SPDX names creators, since syft says `Tool: -`
 * @throws InfrastructureError `sbom-invalid`
 */
export function completeSpdx(text: string, sbom: Sbom, tool: string): SpdxDocument {
  const document = parseSpdx(text);
  const listed = new Set(document.packages.flatMap(purlsOf));
  const missing = sbomPackages(sbom).flatMap(({ purl }) => (purl === undefined || listed.has(purl) ? [] : [purl]));
  if (missing.length > 0)
    throw invalid(`it has not ${missing.length} of the SBOM's packages, ${missing.slice(0, 3).join(", ")} among them`);
  const { component } = subjectSchema.catch({}).parse(sbom["metadata"]);
  const roots = new Set(
    document.relationships
      .filter(
        ({ spdxElementId, relationshipType }) =>
          spdxElementId === "SPDXRef-DOCUMENT" && relationshipType === "DESCRIBES",
      )
      .map(({ relatedSpdxElement }) => relatedSpdxElement),
  );
  const { creators } = document.creationInfo;
  return {
    ...document,
    creationInfo: {
      ...document.creationInfo,
      creators: creators.map((creator) => (creator === "Tool: -" ? tool : creator)),
    },
    packages: document.packages.map((each) =>
      roots.has(each.SPDXID) && component?.purl !== undefined
        ? { ...each, externalRefs: [reference(component.purl)] }
        : each,
    ),
  };
}

function reference(purl: string) {
  return { referenceCategory: "PACKAGE-MANAGER", referenceType: purlReference, referenceLocator: purl };
}

function purlsOf({ externalRefs = [] }: SpdxDocument["packages"][number]): string[] {
  return externalRefs.flatMap(({ referenceType, referenceLocator }) =>
    referenceType === purlReference ? [referenceLocator] : [],
  );
}

function parseSpdx(text: string): SpdxDocument {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw invalid("it is not JSON", error);
  }
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) throw invalid(describeIssues(parsed.error));
  return parsed.data;
}

function invalid(why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`what syft makes of the SBOM in SPDX can't be used: ${why}`, {
    code: "sbom-invalid",
    cause,
    wayOut: "Leave the input 'spdx' out: the SBOM in CycloneDX is whole.",
  });
}
