import { writeFleetIssues } from "@goldenpath/core/fleet/execute-issues";
import type { WrittenIssues } from "@goldenpath/core/fleet/issues";
import type { RescanReport } from "@goldenpath/core/fleet/rescan-facts";
import type { Context } from "@goldenpath/foundation/ports";
import { openIssues } from "@goldenpath/runner/fleet-issues";
import { invalid } from "./fleet-options.ts";

/** With the token of whoever writes them: an app that is installed where the source repositories are. */
export async function writeIssues(report: RescanReport, context: Context): Promise<WrittenIssues> {
  const token = context.env["GITHUB_TOKEN"] || context.env["GH_TOKEN"];
  if (!token) throw invalid("scan: --issues needs GITHUB_TOKEN, which may write issues");
  context.ports.mask(token);
  const { door, shut } = openIssues(token, context);
  try {
    return await writeFleetIssues(report, door, context.signal);
  } finally {
    await shut();
  }
}
