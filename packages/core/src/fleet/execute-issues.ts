import { describeError } from "@goldenpath/foundation/errors";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { otherImages, readSections } from "./issue-sections.ts";
import {
  closeBody,
  type FleetIssue,
  findOwnSource,
  type IssueDoor,
  type IssuePlace,
  issueMarker,
  type OwnIssue,
  planIssues,
  readMarker,
  renderIssue,
  sourceKey,
  unifyLines,
  type WrittenIssues,
} from "./issues.ts";
import { type FleetScope, isAllLookedAt, isLookedAt } from "./looked-at.ts";
import type { RescanReport } from "./rescan-facts.ts";
import { readSource, type SourceName } from "./source-name.ts";

export interface IssueRequest extends IssuePlace {
  scope: FleetScope;
  /** Addresses of source repositories that the policy names, of which no image may be left. */
  sources: readonly string[];
}

/**
 * Writes the issues of a rescan: one of each owner in each source repository (or in the one for all), found again by its
 * hidden marker and its author; and closes those of whom nothing is left. What the run did not look at stands in its
 * issue as it stood. One after the other: GitHub asks for a pause between writes.
 */
export async function writeFleetIssues(
  report: Pick<RescanReport, "images" | "failures">,
  request: IssueRequest,
  door: IssueDoor,
  signal: AbortSignal,
): Promise<WrittenIssues> {
  const written: WrittenIssues = { opened: [], updated: [], unchanged: [], closed: [], skipped: [], failures: [] };
  const { issues, astray } = planIssues(report, request);
  written.skipped.push(...astray);
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (signal.aborted) throw error;
      written.failures.push(`${what}: ${describeError(error)}`);
    }
  };
  const places = new Map<string, SourceName>(
    issues.map(({ owner, repo }) => [sourceKey({ owner, repo }), { owner, repo }]),
  );
  await attempt("the repositories in which issues may be left open", async () => {
    for (const each of await listPlaces(report, request, door))
      places.set(sourceKey(each), places.get(sourceKey(each)) ?? each);
  });
  for (const [key, at] of [...places].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const own = issues.filter((issue) => sourceKey(issue) === key);
    await attempt(`${request.server}/${at.owner}/${at.repo}`, () =>
      writeOf(at, own, { report, request, door, written }),
    );
  }
  return written;
}

/** Where issues of runs before may be open: also where no image is left of. */
async function listPlaces(
  { images }: Pick<RescanReport, "images">,
  request: IssueRequest,
  door: IssueDoor,
): Promise<SourceName[]> {
  if (request.into !== undefined) return [request.into];
  const reachable = await door.listReachable();
  if (reachable !== undefined) return reachable;
  const named = request.sources.flatMap((address) => readSource(address) ?? []);
  return [
    ...images.flatMap(({ image }) => findOwnSource(image, request) ?? []),
    ...named.filter(({ server }) => server === request.server),
  ];
}

interface Writing {
  report: Pick<RescanReport, "images" | "failures">;
  request: IssueRequest;
  door: IssueDoor;
  written: WrittenIssues;
}

async function writeOf(at: SourceName, own: readonly FleetIssue[], writing: Writing): Promise<void> {
  const { request, door, written } = writing;
  const asksFirst = own.length > 0;
  const isShut = async (): Promise<boolean> => {
    const why = await door.isClosedTo(at);
    if (why !== undefined) written.skipped.push(`${at.owner}/${at.repo}: ${why}`);
    return why !== undefined;
  };
  if (asksFirst && (await isShut())) return;
  const there = await door.list(at, (body) => readMarker(request, body) !== undefined);
  if (there === undefined) {
    // Where nothing is to be told, what is not shown has nothing of ours.
    if (asksFirst) throw new Error("it is not shown, or has no issues: the token has to be for it");
    return;
  }
  if (there.length > 0 && !asksFirst && (await isShut())) return;
  const byMarker = Map.groupBy(there, ({ body }) => readMarker(request, body) ?? "");
  for (const issue of own) {
    const [known] = byMarker.get(issueMarker(request, issue.whose)) ?? [];
    await writeOne(at, issue, known, writing);
  }
  const wanted = new Set(own.map(({ whose }) => issueMarker(request, whose)));
  for (const [marker, [first, ...again]] of byMarker) {
    // Two runs at once may have opened two: the older one is kept up to date.
    for (const each of again) await close(at, each, `Told in #${first?.number}.`, "not_planned", writing);
    if (first !== undefined && !wanted.has(marker)) await closeOne(at, first, writing);
  }
}

async function writeOne(
  at: SourceName,
  issue: FleetIssue,
  known: OwnIssue | undefined,
  { report, request, door, written }: Writing,
): Promise<void> {
  const kept = known === undefined ? [] : listUnlooked(known, report, request);
  const text = renderIssue(issue, kept, request);
  if (known === undefined) written.opened.push(await door.open(at, text));
  else if (unifyLines(known.body) === text.body && known.title === text.title) written.unchanged.push(known.url);
  else {
    await door.update(at, known.number, text);
    written.updated.push(known.url);
  }
}

/** Sections of an issue on images that this run did not look at. */
function listUnlooked({ body }: OwnIssue, { failures }: Writing["report"], { scope }: IssueRequest) {
  return readSections(unifyLines(body)).filter(({ of }) =>
    of === otherImages ? !isAllLookedAt(scope, failures) : !isLookedAt(of, scope, failures),
  );
}

/** An issue whose owner has nothing to mend there by this run. */
async function closeOne(at: SourceName, known: OwnIssue, writing: Writing): Promise<void> {
  const { report, request, written } = writing;
  const [unlooked] = listUnlooked(known, report, request);
  if (unlooked !== undefined) {
    const what = unlooked.of === otherImages ? "all images that it is about" : `all images of ${unlooked.of}`;
    written.skipped.push(`${known.url} stays as it is: this run did not look at ${what}`);
    return;
  }
  const isOfHere = ({ image }: RescanReport["images"][number]): boolean => {
    const source = findOwnSource(image, request);
    return request.into !== undefined || (source !== undefined && sourceKey(source) === sourceKey(at));
  };
  const sections = new Set(readSections(unifyLines(known.body)).map(({ of }) => of));
  const isThere = report.images.some(
    (each) => isOfHere(each) && (sections.has(otherImages) || sections.has(formatRepository(each.image.repository))),
  );
  if (isThere) await close(at, known, "Nothing of this is left in what is deployed.", "completed", writing);
  else await close(at, known, "No image that this was about is there any more.", "not_planned", writing);
}

async function close(
  at: SourceName,
  { number, body, url }: OwnIssue,
  why: string,
  reason: "completed" | "not_planned",
  { request, door, written }: Writing,
): Promise<void> {
  await door.close(at, number, closeBody(readMarker(request, body) ?? "", why), reason);
  written.closed.push(url);
}
