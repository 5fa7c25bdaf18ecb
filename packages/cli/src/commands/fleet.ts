import { parseArgs } from "node:util";
import { findInFleet } from "@goldenpath/core/fleet/execute-find";
import { describeFound } from "@goldenpath/core/fleet/find-report";
import { parseQuery } from "@goldenpath/core/fleet/query";
import { renderFound } from "@goldenpath/core/fleet/render-find";
import { withClient } from "@goldenpath/core/verbs/open";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { fleetOptions, invalid, openFleet } from "./fleet-options.ts";

/** `goldenpath fleet find QUERY [HOST/NAME…] --policy POLICY …`. */
export async function runFleetCommand(args: readonly string[], output: Output): Promise<number> {
  const [action, ...rest] = args;
  switch (action) {
    case "find":
      return runFind(rest, output);
    case "scan":
      return (await import("./fleet-scan.ts")).runFleetScan(rest, output);
    case "prune":
      return (await import("./fleet-prune.ts")).runFleetPrune(rest, output);
    case "rebase":
      return (await import("./fleet-rebase.ts")).runFleetRebase(rest, output);
    default:
      throw invalid("expected find CVE-… | pkg:TYPE/NAME@RANGE, scan, prune, or rebase");
  }
}

/** What could not be looked at may have it: then the answer is no whole one, and says so by its exit code. */
async function runFind(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: fleetOptions, allowPositionals: true });
  const [text, ...names] = positionals;
  if (text === undefined) throw invalid("find: expected CVE-… | pkg:TYPE/NAME@RANGE");
  const query = parseQuery(text);
  const { context, policy, places, named, list } = await openFleet(values, names);
  const report = await withClient(context, policy, async (client) => {
    const source = { client, policy, now: new Date(), areNamed: named.length > 0 };
    return findInFleet(source, await list(client), { query, text }, places);
  });
  output.out(values.json === true ? `${stringifyJson(describeFound(report), 2)}\n` : renderFound(report));
  return report.failures.length > 0 ? exitCodes.error : exitCodes.pass;
}
