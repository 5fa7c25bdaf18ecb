import type { Survey } from "@goldenpath/core/build/survey/survey";

/** An application's folder with these files in it, of which nothing was read but their names. */
export function withFiles(files: readonly string[]): Survey {
  return { path: "", files: [...files].sort(), folders: [], unread: [], remarks: [] };
}
