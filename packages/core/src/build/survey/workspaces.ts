import { createMatcher } from "../glob.ts";

/** Patterns of workspaces (npm, yarn, pnpm) → whether a folder is one: the last pattern that matches decides, as with all of them. */
export function createWorkspaceMatcher(patterns: readonly string[]): (folder: string) => boolean {
  const matchers = patterns.map((pattern) => {
    const isNegated = pattern.startsWith("!");
    const bare = pattern.replace(/^!/, "").replace(/^\.\//, "").replace(/\/+$/, "");
    // Anchored: a bare name would match at any depth, as in a .gitignore.
    return { isNegated, matches: createMatcher([`/${bare}`], "the list of a workspace's packages") };
  });
  return (folder) => matchers.reduce((is, { isNegated, matches }) => (matches(folder, true) ? !isNegated : is), false);
}
