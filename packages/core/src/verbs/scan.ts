import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { settleAll } from "@goldenpath/foundation/concurrency";
import type { Context } from "@goldenpath/foundation/ports";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { withSignedExceptions } from "../policy/signed-exceptions/gather.ts";
import { fetchExploited } from "../scan/data/kev.ts";
import type { ExploitedList } from "../scan/exploited.ts";
import { gatherComparison } from "../scan/gather-comparison.ts";
import { createLocator } from "../scan/locate.ts";
import { type PreparedScanner, prepareScanners } from "../scan/prepare.ts";
import { openReports, readGivenReports } from "../scan/reports/gather.ts";
import { scanTogether } from "../scan/scan-together.ts";
import type { Scanner } from "../scan/scanners/scanner.ts";
import { chooseScanners, scanners } from "../scan/scanners/table.ts";
import { listBuildSigners } from "../scan/signed-sbom.ts";
import { openVex } from "../scan/vex/gather.ts";
import { withPrivateTools } from "../tools/private.ts";
import { identityInput } from "./identity-input.ts";
import { type OpenedImage, withImage } from "./open.ts";
import { type ScanShared, scanImage } from "./scan-image.ts";
import { openScanPolicy, type ScanPolicy } from "./scan-policy.ts";
import { choice, commonInputs, flag, lines, optionalText, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const scanInputs = z.object({
  ...commonInputs,
  ...identityInput,
  // Not given at all: the defaults. Given as empty, as by a variable that is not set, it is a mistake.
  policy: requiredText().optional(),
  image: requiredText(),
  scanner: optionalText().transform((names) => names ?? "auto"),
  database: optionalText(),
  reports: lines(),
  "compare-with": optionalText(),
  mode: choice(["enforce", "audit"], "enforce"),
  spdx: flag(false),
});
type Inputs = z.infer<typeof scanInputs>;

/**
 * Lists what is in an image, finds its known vulnerabilities and judges them by the policy. Everything found is
 * reported; what fails is the policy's word. For an index each child that runs is scanned and has its own verdict.
 * Outputs: `sbom`, CycloneDX files (one a line, in the order of the children), `spdx`, the same in SPDX where that is
 * asked for, `sarif`, a file, and `counts`, JSON of
 * how many there are of each severity.
 * @param table the scanners that the input `scanner` chooses from
 */
export function createScanVerb(table: readonly Scanner[]): Verb<typeof scanInputs> {
  return {
    name: "scan",
    command: "scan",
    inputs: scanInputs,
    positional: "image",
    outputs: ["sbom", "spdx", "sarif", "counts"],
    run: (given, context) => runScan(given, table, context),
  };
}

export const scanVerb = createScanVerb(scanners);

function runScan(given: Inputs, table: readonly Scanner[], context: Context): Promise<VerbOutcome> {
  return withScan(given, table, context, (policy, scan) => withImage(given.image, context, policy, scan));
}

export type ScanOne = (opened: OpenedImage, shared?: ScanShared) => Promise<VerbOutcome>;

/** Work with what scans images: the policy, the scanners' data and the tools are there once for all of them. */
export async function withScan<T>(
  given: Omit<Inputs, "image" | "spdx"> & Partial<Pick<Inputs, "spdx">>,
  table: readonly Scanner[],
  context: Context,
  work: (policy: ScanPolicy, scan: ScanOne) => Promise<T>,
): Promise<T> {
  const startedAt = context.now();
  const opened = await openScanPolicy(given, context);
  // Nobody's rule says which ones count where no policy is given.
  const required = given.policy === undefined ? undefined : opened.policy.scan.scanners;
  const chosen = chooseScanners(given.scanner, required, table);
  const place = given.database === undefined ? undefined : resolve(context.workingDirectory, given.database);
  const openData = await prepareScanners(chosen, place, opened.policy, context);
  let data: Promise<PreparedScanner[]> | undefined;
  let exploited: Promise<ExploitedList | undefined> | undefined;
  const files = await readGivenReports(given.reports, opened.policy.scan.reports, context.workingDirectory);
  // Where builds sign SBOMs, most images have one, and whoever has none finds the cataloger when it is needed.
  const cataloger = listBuildSigners(opened.policy).size === 0 ? ["syft"] : [];
  const tools = [...cataloger, ...chosen.flatMap((scanner) => scanner.tools)];
  return withPrivateTools(tools, context, (ready) =>
    work(opened, async ({ client, image }, shared = {}) => {
      context.ports.log.info(`scanning ${formatReference(image.reference)}`);
      const { loaded: policy, notes } = await withSignedExceptions(client, opened, image.reference, startedAt);
      const directory = given["result-dir"] ?? context.temporaryDirectory;
      await mkdir(directory, { recursive: true });
      const locate = createLocator(context.workingDirectory, given.policy ?? "");
      const known = shared.known ?? (await gatherComparison({ client, image, policy, context }, given["compare-with"]));
      const vex = openVex(client, image, policy.policy, startedAt);
      const reports = openReports(client, image, policy.policy, files, startedAt, shared.before);
      const where = { client, image, directory, locate, reports, notes };
      await ready;
      // Once for all images, and the same for each.
      data ??= openData(client).then(scanTogether);
      exploited ??= fetchExploited(client, opened.policy, context);
      const [scanning, list] = await settleAll(data, exploited);
      const work = {
        mode: given.mode,
        hasSpdx: given.spdx === true,
        context,
        scanners: scanning,
        exploited: list,
        policy,
        startedAt,
        known,
        vex,
        shared,
        ...where,
      };
      return scanImage(work);
    }),
  );
}
