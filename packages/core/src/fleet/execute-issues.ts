import { describeError } from "@goldenpath/foundation/errors";
import {
  closeBody,
  type IssueDoor,
  issueMarker,
  planIssues,
  readMarker,
  sourceName,
  type WrittenIssues,
} from "./issues.ts";
import type { RescanReport } from "./rescan-facts.ts";

/**
 * Writes the issues of a rescan: one of each owner in each source repository, found again by its hidden marker and its
 * author; and closes those of whom nothing is left. A repository that a failure of the rescan may be about keeps its
 * issues. One after the other: GitHub asks for a pause between writes.
 */
export async function writeFleetIssues(
  report: Pick<RescanReport, "images" | "failures">,
  door: IssueDoor,
  signal: AbortSignal,
): Promise<WrittenIssues> {
  const written: WrittenIssues = { opened: [], updated: [], unchanged: [], closed: [], skipped: [], failures: [] };
  const wanted = planIssues(report);
  const sources = [...new Set(report.images.flatMap(({ image }) => image.source?.repository ?? []))].toSorted();
  // What was not looked at may be of any of them.
  const mayClose = report.failures.length === 0;
  for (const source of sources) {
    const at = sourceName(source);
    if (at === undefined) continue;
    try {
      const own = wanted.filter(({ owner, repo }) => owner === at.owner && repo === at.repo);
      await writeOf(at, own, door, mayClose, written);
    } catch (error) {
      if (signal.aborted) throw error;
      written.failures.push(`${source}: ${describeError(error)}`);
    }
  }
  return written;
}

async function writeOf(
  at: { owner: string; repo: string },
  own: ReturnType<typeof planIssues>,
  door: IssueDoor,
  mayClose: boolean,
  written: WrittenIssues,
): Promise<void> {
  const closed = own.length === 0 ? undefined : await door.isClosedTo(at);
  if (closed !== undefined) {
    written.skipped.push(`${at.owner}/${at.repo}: ${closed}`);
    return;
  }
  const there = await door.list(at, (body) => readMarker(body) !== undefined);
  const kept = new Set<number>();
  for (const issue of own) {
    const marker = issueMarker(issue.whose);
    const known = there.find(({ body }) => readMarker(body) === marker);
    if (known === undefined) written.opened.push(await door.open(at, issue));
    else {
      kept.add(known.number);
      if (known.body.replaceAll("\r\n", "\n") === issue.body && known.title === issue.title)
        written.unchanged.push(known.url);
      else {
        await door.update(at, known.number, issue);
        written.updated.push(known.url);
      }
    }
  }
  for (const { number, body, url } of there) {
    if (kept.has(number)) continue;
    if (mayClose) {
      await door.close(at, number, closeBody(body));
      written.closed.push(url);
    } else written.skipped.push(`${url} stays open: not all images could be looked at`);
  }
}
