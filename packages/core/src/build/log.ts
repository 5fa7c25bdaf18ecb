// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals' escape sequences start with one
const escapeSequence = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.?)/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const control = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;
const maxLine = 4_096;

/**
 * A line that strangers' code printed, made fit for a log that is read by more than people. The runner obeys lines that begin with `::` (after white space),
 * and `##[…]` anywhere in a line; and it ends a line at a carriage return. So: a mark in front, no control characters, no `##[`.
 */
export function quoteLine(line: string): string {
  const plain = line.replace(escapeSequence, "").replace(control, "").replaceAll("##[", "# #[");
  return `| ${plain.length > maxLine ? `${plain.slice(0, maxLine)}…` : plain}`;
}
