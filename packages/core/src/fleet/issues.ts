import { createHash } from "node:crypto";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { code, escapeMarkdown } from "../report/markdown.ts";
import type { RefusedThing, RescannedImage, RescanReport } from "./rescan-facts.ts";

/** One issue: of one owner in one source repository. */
export interface FleetIssue {
  owner: string;
  repo: string;
  /** Who answers for it. */
  whose: string;
  title: string;
  body: string;
}

/** An open issue that begins with the marker and is of the author that this run writes as. */
export interface OwnIssue {
  number: number;
  body: string;
  title: string;
  url: string;
}

/** A source repository's issues, to whoever writes there. All of it may fail, as the network does. */
export interface IssueDoor {
  /** Why nothing is written there: it is a fork, archived, or has no issues. */
  isClosedTo(repository: SourceName): Promise<string | undefined>;
  /** Open issues whose body `accepts`, by the author that this run writes as, the oldest first. */
  list(repository: SourceName, accepts: (body: string) => boolean): Promise<OwnIssue[]>;
  open(repository: SourceName, issue: Pick<FleetIssue, "title" | "body">): Promise<string>;
  update(repository: SourceName, number: number, issue: Pick<FleetIssue, "title" | "body">): Promise<void>;
  /** As completed. */
  close(repository: SourceName, number: number, body: string): Promise<void>;
}

export interface SourceName {
  owner: string;
  repo: string;
}

/** Addresses, and sentences on what was not written. */
export interface WrittenIssues {
  opened: string[];
  updated: string[];
  unchanged: string[];
  closed: string[];
  skipped: string[];
  failures: string[];
}

/** How an issue begins: hidden, and the same as long as it is about the same owner. */
export function issueMarker(whose: string): string {
  return `<!-- goldenpath-fleet ${createHash("sha256").update(whose).digest("hex").slice(0, 32)} -->`;
}

const anyMarker = /^<!-- goldenpath-fleet ([0-9a-f]{32}) -->\n/;

/** The marker of an issue that a rescan wrote; undefined of any other. */
export function readMarker(body: string): string | undefined {
  return anyMarker.exec(body.replaceAll("\r\n", "\n"))?.[0].trimEnd();
}

/** GitHub's limit, less what an escape may have been counted for. Characters. */
const maxBody = 60_000;
const maxRows = 200;

/** https://github.com/acme/shop → acme, shop */
export function sourceName(repository: string): SourceName | undefined {
  const [, owner, repo] = /^https:\/\/[^/]+\/([\w.-]+)\/([\w.-]+)$/.exec(repository) ?? [];
  const isName = (text: string | undefined): text is string => text !== undefined && !/^\.+$/.test(text);
  return isName(owner) && isName(repo) ? { owner, repo } : undefined;
}

interface Row {
  image: RescannedImage["image"];
  thing: RefusedThing;
}

/**
 * The issues that a rescan asks for: of each source repository one for each owner in it, of what is mended there. What a
 * newer base mends is no application's issue. The same things make the same text.
 */
export function planIssues({ images }: Pick<RescanReport, "images">): FleetIssue[] {
  const rows = images.flatMap(({ image, refused }): (Row & { at: SourceName; key: string })[] => {
    const at = image.source === undefined ? undefined : sourceName(image.source.repository);
    if (at === undefined) return [];
    return refused
      .filter(({ action }) => action === "update")
      .map((thing) => ({ image, thing, at, key: JSON.stringify([at.owner, at.repo, thing.owner]) }));
  });
  return [...Map.groupBy(rows, ({ key }) => key).values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const whose = first.thing.owner;
    const things = new Set(own.map(({ thing }) => thing.violation.thing)).size;
    const title = `${things} ${things === 1 ? "thing" : "things"} to mend in what is deployed from here`;
    return [{ ...first.at, whose, title, body: renderBody(whose, own) }];
  });
}

function renderBody(whose: string, rows: readonly Row[]): string {
  const sorted = rows.toSorted(
    (a, b) =>
      a.thing.countsFrom.getTime() - b.thing.countsFrom.getTime() ||
      compare(a.thing.violation.thing, b.thing.violation.thing) ||
      compare(formatRepository(a.image.repository), formatRepository(b.image.repository)),
  );
  const head = [
    issueMarker(whose),
    "A rescan of what is deployed found that the policy refuses this. Each line counts from its day on: then deployments",
    "and rollbacks of the image are refused. Mend it, and deploy the new image; this issue then closes by itself.",
    "",
    `Owner: ${escapeMarkdown(whose)}`,
    "",
    "| Counts from | What | Where | Image | What to do |",
    "| --- | --- | --- | --- | --- |",
  ];
  const lines: string[] = [];
  let length = head.join("\n").length;
  for (const row of sorted.slice(0, maxRows)) {
    const line = renderRow(row);
    length += line.length + 1;
    if (length > maxBody) break;
    lines.push(line);
  }
  const left = sorted.length - lines.length;
  return [...head, ...lines, ...(left > 0 ? ["", `and ${left} more.`] : []), ""].join("\n");
}

function renderRow({ image, thing: { violation, countsFrom, place } }: Row): string {
  const where =
    place === undefined
      ? ""
      : place.url !== undefined && /^https:\/\/[\w.:/%@#-]{1,400}$/.test(place.url)
        ? `[${escapeMarkdown(`${place.file}:${place.line}`)}](${place.url})`
        : code(`${place.file}:${place.line}`);
  const cells = [
    countsFrom.toISOString().slice(0, 10),
    escapeMarkdown(violation.thing),
    where,
    `${code(formatRepository(image.repository))} ${escapeMarkdown(image.tags.slice(0, 5).join(", "))}`,
    escapeMarkdown(violation.wayOut),
  ];
  return `| ${cells.join(" | ")} |`;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** An issue of whose things nothing is left. */
export function closeBody(body: string): string {
  const marker = readMarker(body) ?? "";
  return `${marker}\nNothing of this is left in what is deployed.\n`;
}
