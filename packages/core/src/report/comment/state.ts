import { deflateRawSync, inflateRawSync } from "node:zlib";
import { parseJson } from "@goldenpath/foundation/text/json";
import { type Part, partsSchema } from "./part.ts";

/** The first line of a comment that is ours; whose it is says its author, since anybody can write this. */
export const commentMarker = "<!-- goldenpath: the path of this pull request -->";

const state = /^<!-- goldenpath-parts:1:([A-Za-z0-9_-]*) -->$/m;
/** Far more than a comment can hold of it. Bytes. */
const maxState = 4 * 1024 * 1024;

export function isOurs(body: string): boolean {
  return body.startsWith(commentMarker);
}

/** The parts as a line of a comment that nobody sees; of letters alone, so nothing in it can end the line. */
export function keepParts(parts: readonly Part[]): string {
  return `<!-- goldenpath-parts:1:${deflateRawSync(JSON.stringify(parts), { level: 9 }).toString("base64url")} -->`;
}

/**
 * The parts in a comment's body. None where they can't be read: whoever may edit comments can break them, and the next
 * run tells its own anew.
 */
export function readParts(body: string): Part[] {
  const [, packed] = state.exec(body.replaceAll("\r", "")) ?? [];
  if (packed === undefined) return [];
  try {
    const text = inflateRawSync(Buffer.from(packed, "base64url"), { maxOutputLength: maxState }).toString("utf8");
    return partsSchema.parse(parseJson(text));
  } catch {
    return [];
  }
}
