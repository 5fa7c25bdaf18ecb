import { type IssueRequest, writeFleetIssues } from "@goldenpath/core/fleet/execute-issues";
import type { WrittenIssues } from "@goldenpath/core/fleet/issues";
import type { RescanReport } from "@goldenpath/core/fleet/rescan-facts";
import type { SourceName } from "@goldenpath/core/fleet/source-name";
import { listSources } from "@goldenpath/core/gate/binding";
import { githubServer } from "@goldenpath/core/policy/github-server";
import type { Context } from "@goldenpath/foundation/ports";
import { openIssues } from "@goldenpath/runner/fleet-issues";
import { invalid, type OpenedFleet } from "./fleet-options.ts";

/** `--issues` and `--issues-in OWNER/REPO`; undefined: none are written. */
export function readIssuePlace(
  isAsked: boolean | undefined,
  text: string | undefined,
): { into?: SourceName } | undefined {
  if (text === undefined) return isAsked === true ? {} : undefined;
  const [, owner, repo] = /^([\w-]+)\/([\w.-]+)$/.exec(text) ?? [];
  if (owner === undefined || repo === undefined || /^\.+$/.test(repo))
    throw invalid(`scan: --issues-in is '${text}': expected OWNER/REPO`);
  return { into: { owner, repo } };
}

/** With the token of whoever writes them: an app that is installed where the source repositories are. */
export async function writeIssues(
  report: RescanReport,
  { policy: { policy }, scope }: Pick<OpenedFleet, "policy" | "scope">,
  { into }: { into?: SourceName },
  context: Context,
): Promise<WrittenIssues> {
  const token = context.env["GITHUB_TOKEN"] || context.env["GH_TOKEN"];
  if (!token) throw invalid("scan: --issues needs GITHUB_TOKEN, which may write issues");
  context.ports.mask(token);
  const request: IssueRequest = {
    ...{ policy: policy.name, server: githubServer(context.env), scope },
    sources: listSources(policy).map(({ repository }) => repository),
    ...(into === undefined ? {} : { into }),
  };
  const { door, shut } = openIssues(token, context);
  try {
    return await writeFleetIssues(report, request, door, context.signal);
  } finally {
    await shut();
  }
}
