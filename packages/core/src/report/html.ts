import { cleanText } from "@goldenpath/foundation/text/clean";

/**
 * Text from outside, as text: whatever it holds is shown, and nothing of it is markup; nor a line of its own or the
 * beginning of a command, where a job prints the page into its log (`::…` at the beginning of a line, `##[`).
 */
export const escapeHtml = (text: string): string =>
  cleanText(text).replaceAll(/[&<>"'`[\n]/g, (character) => `&#${character.charCodeAt(0)};`);
