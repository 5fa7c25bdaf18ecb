import { createHash } from "node:crypto";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { code, escapeMarkdown } from "../report/markdown.ts";
import { type IssueSection, maxBody, renderSections } from "./issue-sections.ts";
import type { RefusedThing, RescannedImage, RescanReport } from "./rescan-facts.ts";
import { readSource, type SourceName } from "./source-name.ts";

/** One issue: of one owner in one repository. */
export interface FleetIssue extends SourceName {
  /** Who answers for it. */
  whose: string;
  title: string;
  /** By the image's repository, those of which something counts first before the others. */
  sections: IssueSection[];
}

/** What an issue is written as. */
export interface IssueText {
  title: string;
  body: string;
}

/** An open issue that begins with the marker and is of the author that this run writes as. */
export interface OwnIssue extends IssueText {
  number: number;
  url: string;
}

/** Why an issue is closed: what it is about is mended, or no longer anybody's here. */
export type CloseReason = "completed" | "not_planned";

/** A repository's issues, to whoever writes there. All of it may fail, as the network does. */
export interface IssueDoor {
  /** Why nothing is written there: it is a fork, archived, or has no issues. */
  isClosedTo(repository: SourceName): Promise<string | undefined>;
  /**
   * Open issues whose body `accepts`, by the author that this run writes as, the oldest first; undefined where the
   * repository is not shown, or has no issues.
   */
  list(repository: SourceName, accepts: (body: string) => boolean): Promise<OwnIssue[] | undefined>;
  /** The repositories that may have such issues, of all that the token is for; undefined where nobody says which. */
  listReachable(): Promise<SourceName[] | undefined>;
  open(repository: SourceName, issue: IssueText): Promise<string>;
  update(repository: SourceName, number: number, issue: IssueText): Promise<void>;
  close(repository: SourceName, number: number, body: string, reason: CloseReason): Promise<void>;
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

/** Where a run writes, and as what. */
export interface IssuePlace {
  /** The policy's name: what is found by another one has issues of its own. */
  policy: string;
  /** The GitHub that is spoken to: https://github.com */
  server: string;
  /** One repository for all issues, in the place of the sources' own. */
  into?: SourceName | undefined;
}

const hash = (text: string, length: number): string => createHash("sha256").update(text).digest("hex").slice(0, length);

/** How an issue begins: hidden, and the same as long as it is of the same policy and about the same owner. */
export function issueMarker({ policy }: Pick<IssuePlace, "policy">, whose: string): string {
  return `<!-- goldenpath-fleet ${hash(policy, 16)} ${hash(whose, 32)} -->`;
}

/** The marker of an issue that a rescan by this policy wrote; undefined of any other. */
export function readMarker({ policy }: Pick<IssuePlace, "policy">, body: string): string | undefined {
  const [found, own] = /^<!-- goldenpath-fleet ([0-9a-f]{16}) [0-9a-f]{32} -->(?=\n)/.exec(unifyLines(body)) ?? [];
  return own === hash(policy, 16) ? found : undefined;
}

/** GitHub gives a body back with the line ends that it was sent with, or with those of a form. */
export const unifyLines = (body: string): string => body.replaceAll("\r\n", "\n");

/** GitHub takes names of any case for the same. */
export const sourceKey = ({ owner, repo }: SourceName): string => `${owner}/${repo}`.toLowerCase();

interface Row {
  image: RescannedImage["image"];
  thing: RefusedThing;
}

/**
 * The issues that a rescan asks for: of each source repository one for each owner in it, of what is mended there; or, in
 * one place for all, one for each owner. What a newer base mends is no application's issue. `astray`: of what has none,
 * since it was built from no repository of this server. The same things make the same text.
 */
export function planIssues(
  { images }: Pick<RescanReport, "images">,
  place: IssuePlace,
): { issues: FleetIssue[]; astray: string[] } {
  const astray = new Map<string, number>();
  const rows = images.flatMap(({ image, refused }): (Row & { at: SourceName; key: string })[] => {
    const own = refused.filter(({ action }) => action === "update");
    const at = place.into ?? findOwnSource(image, place);
    if (at === undefined) {
      const where =
        image.source?.repository ?? `${formatRepository(image.repository)}, of which nobody says its source`;
      if (own.length > 0) astray.set(where, (astray.get(where) ?? 0) + own.length);
      return [];
    }
    return own.map((thing) => ({ image, thing, at, key: JSON.stringify([sourceKey(at), thing.owner]) }));
  });
  const issues = [...Map.groupBy(rows, ({ key }) => key).values()].flatMap((own): FleetIssue[] => {
    const [first] = own;
    if (first === undefined) return [];
    const { owner, repo } = first.at;
    const title = `To mend in what is deployed${place.into === undefined ? " from here" : ""}: ${count(own)}`;
    return [{ owner, repo, whose: first.thing.owner, title, sections: listSections(own, place) }];
  });
  const tell = (things: number): string => `${things} ${things === 1 ? "thing" : "things"} to mend`;
  return {
    issues,
    astray: [...astray].map(
      ([where, things]) => `${where}: ${tell(things)}, and it is no repository of ${place.server}`,
    ),
  };
}

function count(rows: readonly Row[]): string {
  const things = new Set(rows.map(({ thing }) => thing.violation.thing)).size;
  return `${things} ${things === 1 ? "thing" : "things"}`;
}

/** The source repository of an image, where it is one of the server that is spoken to. */
export function findOwnSource(
  { source }: Pick<RescannedImage["image"], "source">,
  { server }: Pick<IssuePlace, "server">,
): SourceName | undefined {
  const named = source === undefined ? undefined : readSource(source.repository);
  return named?.server === server ? { owner: named.owner, repo: named.repo } : undefined;
}

/** The sooner something of it counts, the sooner it is read: a long issue is cut at its end. */
function listSections(rows: readonly Row[], { into }: IssuePlace): IssueSection[] {
  const sorted = rows.toSorted(
    (a, b) =>
      a.thing.countsFrom.getTime() - b.thing.countsFrom.getTime() ||
      compare(formatRepository(a.image.repository), formatRepository(b.image.repository)) ||
      compare(a.thing.violation.thing, b.thing.violation.thing) ||
      compare(a.image.digest, b.image.digest),
  );
  const groups = Map.groupBy(sorted, ({ image }) => formatRepository(image.repository));
  return [...groups].map(([of, own]) => {
    const sources = [...new Set(own.map(({ image }) => image.source?.repository ?? "nobody says"))];
    const source = into === undefined ? "" : `, from ${sources.map((each) => escapeMarkdown(each)).join(", ")}`;
    return {
      of,
      head: [
        `**${code(of)}**${source}`,
        "",
        "| Counts from | What | Where | Tags | What to do |",
        "| --- | --- | --- | --- | --- |",
      ],
      rows: own.map(renderRow),
    };
  });
}

/** @param kept sections of the issue as it stands, of what this run did not look at */
export function renderIssue(
  { title, whose, sections }: FleetIssue,
  kept: readonly IssueSection[],
  place: IssuePlace,
): IssueText {
  const head = [
    issueMarker(place, whose),
    "A rescan of what is deployed found that the policy refuses this. Each line counts from its day on: then deployments",
    "and rollbacks of the image are refused. Mend it, and deploy the new image; this issue then closes by itself.",
    "",
    `Owner: ${escapeMarkdown(whose)}, by policy ${escapeMarkdown(place.policy)}`,
    "",
  ].join("\n");
  const more = kept.length === 0 ? "" : ", and what was not looked at today";
  return {
    title: `${title}${more}`,
    body: `${head}\n${renderSections([...sections, ...kept], maxBody - head.length)}`,
  };
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
    escapeMarkdown(image.tags.slice(0, 5).join(", ")),
    escapeMarkdown(violation.wayOut),
  ];
  return `| ${cells.join(" | ")} |`;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** An issue of which nothing is left to do, and why. */
export function closeBody(marker: string, why: string): string {
  return `${marker}\n${why}\n`;
}
