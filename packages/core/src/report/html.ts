import { createHash } from "node:crypto";
import { cleanText } from "@goldenpath/foundation/text/clean";

/**
 * Text from outside, as text: whatever it holds is shown, and nothing of it is markup; nor a line of its own or the
 * beginning of a command, where a job prints the page into its log (`::…` at the beginning of a line, `##[`).
 */
export const escapeHtml = (text: string): string =>
  cleanText(text).replaceAll(/[&<>"'`[\n]/g, (character) => `&#${character.charCodeAt(0)};`);

/**
 * A page as one file of HTML. Nothing in it is fetched from anywhere: its style and its script are in it, and no other
 * than these, by their hashes, is taken by a browser, whatever a stranger's text might be made to look like.
 * @param page `title` is text; `style`, `script` and `body` are ours, with what is a stranger's escaped
 */
export function renderDocument(page: { title: string; style: string; script?: string; body: string }): string {
  const { title, style, script, body } = page;
  const policy = [
    "default-src 'none'",
    ...(script === undefined ? [] : [`script-src ${hashOf(script)}`]),
    `style-src ${hashOf(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
${script === undefined ? "" : `<script>${script}</script>\n`}</body>
</html>
`;
}

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
