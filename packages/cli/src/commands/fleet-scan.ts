import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { rescanFleet } from "@goldenpath/core/fleet/execute-scan";
import { renderFleetPage } from "@goldenpath/core/fleet/render-page";
import { renderRescan } from "@goldenpath/core/fleet/render-rescan";
import { describeRescan, type RescanReport } from "@goldenpath/core/fleet/rescan-facts";
import { scanners } from "@goldenpath/core/scan/scanners/table";
import type { Signer } from "@goldenpath/core/signing/types";
import { withClient } from "@goldenpath/core/verbs/open";
import { withScan } from "@goldenpath/core/verbs/scan";
import { openSignerBy } from "@goldenpath/core/verbs/signer-inputs";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { gatherRunFacts } from "../facts.ts";
import { exitCodes, type Output } from "../output.ts";
import { readIssuePlace, writeIssues } from "./fleet-issues.ts";
import { fleetOptions, invalid, openFleet } from "./fleet-options.ts";

const options = {
  ...fleetOptions,
  scanner: { type: "string" },
  database: { type: "string" },
  signer: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  "dry-run": { type: "boolean" },
  html: { type: "string" },
  issues: { type: "boolean" },
  "issues-in": { type: "string" },
} as const;

type Given = ReturnType<typeof parse>["values"];
const parse = (args: readonly string[]) => parseArgs({ args: [...args], options, allowPositionals: true });

/**
 * `goldenpath fleet scan [HOST/NAME…] --policy POLICY (--key KEY | --signer KIND | --dry-run)`. Exits 1 where something
 * is refused now, 2 where something could not be looked at, or an issue not be written.
 */
export async function runFleetScan(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parse(args);
  const isDry = values["dry-run"] === true;
  if (isDry !== (values.key === undefined && values.signer === undefined))
    throw invalid("scan: expected --key KEY or --signer KIND, which signs the verdicts, or --dry-run");
  const place = readIssuePlace(values.issues, values["issues-in"]);
  if (isDry && place !== undefined) throw invalid("scan: --dry-run writes no issues");
  const fleet = await openFleet(values, positionals);
  const temporaryDirectory = await mkdtemp(join(tmpdir(), "goldenpath-fleet-"));
  const context: Context = {
    ...fleet.context,
    ...{ temporaryDirectory, now: () => new Date() },
    run: await gatherRunFacts(process.cwd(), process.env),
  };
  try {
    const { signer: kind, key, "key-passphrase": passphrase } = values;
    const inputs = { ...(kind === undefined ? {} : { signer: kind }), key, "key-passphrase": passphrase };
    const signer = isDry ? undefined : await openSignerBy(inputs, context, fleet.policy);
    const report = await rescan(values, fleet, signer, context);
    if (values.html !== undefined) await writeFile(resolve(values.html), renderFleetPage(report));
    const told = place === undefined ? undefined : await writeIssues(report, fleet, place, context);
    if (values.json === true)
      output.out(
        `${stringifyJson({ ...describeRescan(report), ...(told === undefined ? {} : { issues: told }) }, 2)}\n`,
      );
    else output.out(renderRescan(report, told));
    if (report.failures.length > 0 || (told?.failures.length ?? 0) > 0) return exitCodes.error;
    return report.images.some(({ verdict }) => verdict === "fail") ? exitCodes.fail : exitCodes.pass;
  } finally {
    await rm(temporaryDirectory, { recursive: true, force: true });
  }
}

function rescan(
  given: Given,
  { policy, places, named, list }: Awaited<ReturnType<typeof openFleet>>,
  signer: Signer | undefined,
  context: Context,
): Promise<RescanReport> {
  const inputs = {
    ...{ policy: given.policy, "policy-signer": given["policy-signer"], "result-dir": undefined },
    ...{ scanner: given.scanner ?? "auto", database: given.database, "compare-with": undefined },
    ...{ "registry-identities": [], reports: [] },
    mode: "audit" as const,
  };
  return withScan(inputs, scanners, context, (_own, scan) =>
    withClient(context, policy, async (client) => {
      const repositories = await list(client);
      return rescanFleet({ client, policy, repositories, areNamed: named.length > 0, scan, signer, places }, context);
    }),
  );
}
