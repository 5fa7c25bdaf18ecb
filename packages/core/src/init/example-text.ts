import type { Answers } from "./answers.ts";
import { placeOf } from "./policy-text.ts";

export interface PlannedFile {
  /** Relative, with `/`. */
  path: string;
  content: string;
}

export const noCommit = "0".repeat(40);
/** The key that the examples have. */
export const exampleKey = /-----BEGIN PUBLIC KEY-----\n[\s\S]*?-----END PUBLIC KEY-----/;

/** @throws Error where the example has it no more: what is written would go on naming the example's. */
export function replace(text: string, what: string | RegExp, by: string): string {
  const written = text.replaceAll(typeof what === "string" ? what : new RegExp(what, "g"), () => by);
  if (written === text && by !== what) throw new Error(`the example has no ${String(what)}`);
  return written;
}

/** Where images of each environment are. */
export const placesOf = (answers: Answers): string[] => answers.environments.map((name) => placeOf(answers, name));
