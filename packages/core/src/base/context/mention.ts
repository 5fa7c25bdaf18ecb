import type { SourcePlace } from "@goldenpath/foundation/errors";

/** What an image is taken for, where a file names it. */
export type MentionUse =
  /** What an application's image stands on. */
  | "base"
  /** What an application is built with, or files are taken from. */
  | "build"
  /** What runs beside it: services of a compose file, containers of a workflow's jobs. */
  | "run";

/** An image that a file names. */
export interface Mention {
  /** From the folder that is looked at. */
  file: string;
  /** From 1. */
  line: number;
  /** As it is after variables. */
  name: string;
  use: MentionUse;
}

export interface FileMentions {
  mentions: Mention[];
  /** What can't be read, or resolved: nobody knows which image stands there. */
  unread: (SourcePlace & { line: number; use?: MentionUse })[];
}

export const noMentions: FileMentions = { mentions: [], unread: [] };
