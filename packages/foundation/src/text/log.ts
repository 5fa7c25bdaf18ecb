import { cleanLine, cleanText } from "./clean.ts";

/**
 * Text for a log that GitHub's runner reads as well: clean, and no line of it a command. The runner obeys a line that
 * starts with `::` after white space as .NET has it, and `##[…]` anywhere in a line (actions/runner, ActionCommand.cs).
 * Such text is shown as what it is.
 */
export function cleanLog(text: string): string {
  const clean = cleanText(text);
  if (!clean.includes("::") && !clean.includes("##[")) return clean;
  return clean
    .split("\n")
    .map((line) => (/^[\s\ufffd]*::/.test(line) ? `| ${breakCommands(line)}` : breakCommands(line)))
    .join("\n");
}

/**
 * Text for an annotation, which @actions/core makes one line of: what is inside must not be a command of the older
 * form.
 */
export function cleanAnnotation(text: string): string {
  return breakCommands(cleanText(text));
}

const maxLine = 4_096;

/** A line that strangers' code printed: told apart from our own by its mark, and cut where it is long. */
export function quoteLine(line: string): string {
  return `| ${breakCommands(cleanLine(line, maxLine))}`;
}

function breakCommands(line: string): string {
  return line.replaceAll("##[", "# #[");
}

/** The colours that our own text may have (SGR: plain, bold, dim, red, green, yellow). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence starts with one
const ownColors = /(\u001b\[(?:0|1|2|31|32|33)m)/;

/** As {@link cleanLog}, for a terminal that shows colours: ours stay. */
export function cleanTerminal(text: string, color: boolean): string {
  if (!color) return cleanLog(text);
  return text
    .split(ownColors)
    .map((part, index) => (index % 2 === 1 ? part : cleanLog(part)))
    .join("");
}
