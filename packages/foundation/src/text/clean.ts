/**
 * The one place where a string from outside is made fit for people, terminals and runners: a label, a package's or
 * file's name, a version, a tag, a build's output, what a registry or a tool says, a policy's text. What is decided on
 * stays as it came; what is shown went through here.
 */

/**
 * ECMA-48: control sequences, control strings (a window's title, a link) and the short ones, which would leave their
 * letters behind.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals' escape sequences start with one
const escapeSequence = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~]?)/g;
/**
 * The ends of a line by Unicode (UAX 14), and the tab: white space that is more than a blank. .NET, in which the runner
 * is written, trims U+0085 as well.
 */
const lineBreaks = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
/**
 * What shows as something else than it is, or as nothing: controls (C0, DEL, C1), formats (bidirectional marks and
 * overrides, zero width, tags), halves of a surrogate pair, and whatever else Unicode calls ignorable (Hangul fillers,
 * the variation selectors that hide text). U+FE0E and U+FE0F only say how an emoji is drawn.
 */
const unfit = /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\u{fe0e}\u{fe0f}]]/gv;
const replacement = "\ufffd";
/** What most text has nothing of; looked for first, as the classes of Unicode take a hundred times as long. */
const beyondAscii = /[^\n -~]/;

/** Whether each line of it is printable ASCII, which nothing here changes. */
export function isPlain(text: string): boolean {
  return !beyondAscii.test(text);
}

/**
 * One line of it, at most `maxLength` characters (UTF-16 units) long: each unfit character shows as `�`, so that it is
 * seen that there was one.
 */
export function cleanLine(text: string, maxLength = Number.POSITIVE_INFINITY): string {
  if (isPlain(text)) return cut(text.replace(/\n+/g, " "), maxLength);
  return cut(replaceUnfit(text.replace(escapeSequence, "").replace(lineBreaks, " ")), maxLength);
}

/**
 * As {@link cleanLine}, but it may have lines, which end in `\n`: for our own messages, which have a way out on a line
 * of its own.
 */
export function cleanText(text: string): string {
  if (isPlain(text)) return text;
  return text
    .replace(escapeSequence, "")
    .split(/\r\n|[\n\v\f\r\u0085\u2028\u2029]/)
    .map((line) => replaceUnfit(line.replaceAll("\t", " ")))
    .join("\n");
}

/**
 * Everything in it that is text, names of fields included, by {@link cleanText}: for a document that is written for
 * another reader's eyes, such as SARIF.
 */
export function cleanStrings<T>(value: T): T {
  if (typeof value === "string") return cleanText(value) as T;
  if (Array.isArray(value)) return value.map(cleanStrings) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [cleanLine(name), cleanStrings(inner)])) as T;
}

function replaceUnfit(text: string): string {
  return text.replace(unfit, replacement);
}

/** Never between the halves of a pair. */
export function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const last = text.charCodeAt(maxLength - 1);
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? maxLength - 1 : maxLength)}…`;
}

/**
 * Without the characters of `unwanted` at its end, in time that grows with the text alone: a pattern such as `x+$`
 * begins anew at each of them.
 */
export function trimEnd(text: string, unwanted: string): string {
  let end = text.length;
  while (end > 0 && unwanted.includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/**
 * A stranger's answer without any JSON Web Token: who was sent one may send it back, and masks know a secret only
 * whole, which a cut text may not have.
 */
export function hideTokens(text: string): string {
  return text.replaceAll(/eyJ[\w-]{8,}(?:\.[\w-]*)*/g, "***");
}
