import { cleanText } from "@goldenpath/foundation/text/clean";

/** Text from outside, as text: whatever it holds is shown, and nothing of it is markup. */
export const escapeHtml = (text: string): string =>
  cleanText(text).replaceAll(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
