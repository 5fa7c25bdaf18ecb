import { isDeepStrictEqual } from "node:util";
import { UserError } from "@goldenpath/foundation/errors";
import { parsePolicy } from "./parse.ts";
import { readStrictYaml } from "./yaml.ts";

/**
 * A policy's text without some of its exceptions, and with the next serial. Every other line, comments included, stays
 * as it is; a comment that stands right above an exception goes with it.
 * @param removed places in the policy's list, from 0
 * @throws UserError `policy-invalid` where the list is not written one exception below the other, each on lines of its
 *   own, or where the text is no policy
 */
export function proposeWithout(text: string, removed: ReadonlySet<number>, where: string): string {
  const policy = parsePolicy(new TextEncoder().encode(text), where);
  const read = readStrictYaml(text);
  if ("problems" in read) throw new TypeError("a policy that parses is YAML");
  const lines = text.split("\n");
  // Each entry's first line, from 0, and where the list ends: the first line after it that is indented less.
  const starts = policy.exceptions.map((_, index) => read.yaml.locate(["exceptions", index], "value").line - 1);
  const key = read.yaml.locate(["exceptions"], "key").line - 1;
  const isList =
    starts.every((line) => /^\s*-(\s|$)/.test(lines[line] ?? "")) && new Set(starts).size === starts.length;
  if (!isList) throw notEditable(where, key + 1);
  const end = findEnd(lines, starts);
  const dropped = new Set<number>();
  starts.forEach((start, index) => {
    if (!removed.has(index)) return;
    const last = starts[index + 1] ?? end;
    for (let line = start; line < last - countHeading(lines, last, start); line += 1) dropped.add(line);
    for (let line = start - countHeading(lines, start, key); line < start; line += 1) dropped.add(line);
  });
  const isEmptied = removed.size === starts.length;
  const serialLine = read.yaml.locate(["serial"], "key").line - 1;
  const changed = lines.flatMap((line, at) => {
    if (dropped.has(at)) return [];
    if (at === serialLine) return [line.replace(/(serial\s*:\s*)\d+/, `$1${policy.serial + 1}`)];
    return [isEmptied && at === key ? line.replace(/:\s*(#.*)?$/, (_, note) => `: []${note ? ` ${note}` : ""}`) : line];
  });
  return checkProposal(changed.join("\n"), text, removed, where);
}

/** Nothing but what was asked for may be another than before. */
function checkProposal(proposed: string, text: string, removed: ReadonlySet<number>, where: string): string {
  const before = parsePolicy(new TextEncoder().encode(text), where);
  const wanted = {
    ...before,
    serial: before.serial + 1,
    exceptions: before.exceptions.filter((_, index) => !removed.has(index)),
  };
  let after: unknown;
  try {
    after = parsePolicy(new TextEncoder().encode(proposed), where);
  } catch (error) {
    throw notEditable(where, undefined, error);
  }
  if (!isDeepStrictEqual(after, wanted)) throw notEditable(where);
  return proposed;
}

/** Comments right above a line, which speak of what begins there. */
function countHeading(lines: readonly string[], line: number, after: number): number {
  let count = 0;
  while (line - count - 1 > after && /^\s*#/.test(lines[line - count - 1] ?? "")) count += 1;
  return count;
}

/** The line after the last entry: what is indented no more than its dash begins something else. */
function findEnd(lines: readonly string[], starts: readonly number[]): number {
  const last = starts.at(-1) ?? 0;
  const indent = indentOf(lines[last] ?? "");
  let end = last + 1;
  for (let line = last + 1; line < lines.length; line += 1) {
    const text = lines[line] ?? "";
    if (text.trim() === "" || /^\s*#/.test(text)) continue;
    if (indentOf(text) <= indent) break;
    end = line + 1;
  }
  return end;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function notEditable(where: string, line?: number, cause?: unknown): UserError {
  const at = line === undefined ? "" : `:${line}`;
  return new UserError(`${where}${at}: the exceptions are not written so that some can be taken out`, {
    code: "policy-invalid",
    cause,
    wayOut: "Write each exception as an entry of its own (`- rule: …`) on lines of its own, or take them out by hand.",
  });
}
