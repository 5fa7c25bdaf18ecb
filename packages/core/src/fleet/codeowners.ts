import { createMatcher } from "../build/glob.ts";

/** Where GitHub looks for it, in this order; the first one counts. */
export const codeownersFiles = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/** Lines that are read. */
const maxLines = 5_000;

/**
 * Who owns a file by CODEOWNERS: those of the last line whose pattern has it, as GitHub has it. Undefined where no line
 * has it, and where the last one that has names nobody.
 * https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
 * @param path from the repository's root, with slashes
 */
export function findCodeowner(text: string, path: string): string | undefined {
  let owners: string[] = [];
  for (const line of text.split(/\r?\n/).slice(0, maxLines)) {
    const [pattern, ...names] = line
      .replace(/(^|\s)#.*$/, "")
      .trim()
      .split(/\s+/);
    // GitHub takes neither of these for a pattern here.
    if (pattern === undefined || pattern === "" || pattern.startsWith("!") || pattern.includes("[")) continue;
    if (hasFile(pattern, path))
      owners = names.filter((name) => /^@[\w.-]+(?:\/[\w.-]+)?$|^[^\s@]+@[^\s@]+$/.test(name));
  }
  return owners.length === 0 ? undefined : owners.join(" ");
}

/** The rules of gitignore, but for a pattern that ends in `/*`, which has the files of a folder and not those below. */
function hasFile(pattern: string, path: string): boolean {
  const matches = createMatcher([pattern], "CODEOWNERS");
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : undefined;
  const isDeep = pattern.endsWith("/*") && folder !== undefined && matches(folder, true);
  return matches(path, false) && !isDeep;
}
