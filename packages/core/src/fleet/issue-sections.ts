import { repositoryOf } from "./looked-at.ts";

/** A part of an issue: what is to be mended in images of one repository. */
export interface IssueSection {
  /** HOST/NAME of the images, or `otherImages`. */
  of: string;
  /** Lines before the rows. */
  head: readonly string[];
  /** A line each. */
  rows: readonly string[];
}

/** What stands for images that an issue has no room to name. */
export const otherImages = "*";

/** GitHub's limit of 65,536 characters, less what an escape may have been counted for. */
export const maxBody = 60_000;
/** Rows of one issue that a person still reads. */
const maxRows = 200;
/** For the line that tells what was left out. */
const roomForRest = 200;

const marker = (of: string): string => `<!-- goldenpath-fleet-of ${of} -->`;

/**
 * Sections as text, each behind a hidden line that says whose it is, by which `readSections` finds them again. What has
 * no room is counted, and stands for images that nobody knows then.
 * @param room characters
 */
export function renderSections(sections: readonly IssueSection[], room: number): string {
  const parts: string[] = [];
  let [left, rowsLeft, unnamed] = [room - roomForRest, maxRows, 0];
  let hasOthers = false;
  for (const { of, head, rows } of sections) {
    if (of === otherImages) {
      hasOthers = true;
      continue;
    }
    const top = ["", marker(of), ...head].join("\n");
    const rest = (more: number): string => `\nand ${more} more here.`;
    let length = top.length + 1 + rest(rows.length).length;
    const lines: string[] = [];
    for (const row of rows) {
      if (lines.length >= rowsLeft || length + row.length + 1 > left) break;
      lines.push(row);
      length += row.length + 1;
    }
    if (length > left || (rows.length > 0 && lines.length === 0)) {
      unnamed += rows.length;
      hasOthers = true;
      continue;
    }
    left -= length;
    rowsLeft -= lines.length;
    const more = rows.length - lines.length;
    parts.push([top, ...lines, ...(more > 0 ? [rest(more)] : []), ""].join("\n"));
  }
  if (hasOthers)
    parts.push(
      `\n${marker(otherImages)}\nand ${unnamed === 0 ? "" : `${unnamed} `}more, of images that are not named here.\n`,
    );
  return parts.join("");
}

/**
 * The sections of an issue as it stands, each line of theirs a line of `head`: it was written here, and a person of that
 * repository may have changed it since. One without any is of images that nobody knows.
 */
export function readSections(body: string): IssueSection[] {
  const [, ...found] = body.split(/^<!-- goldenpath-fleet-of (\S{1,400}) -->$/m);
  const sections: IssueSection[] = [];
  for (let at = 0; at + 1 < found.length; at += 2) {
    const [of = "", text = ""] = found.slice(at, at + 2);
    const isOf = of === otherImages || repositoryOf(of) === of;
    sections.push({ of: isOf ? of : otherImages, head: text.replace(/^\n|\n+$/g, "").split("\n"), rows: [] });
  }
  return sections.length === 0 ? [{ of: otherImages, head: [], rows: [] }] : sections;
}
