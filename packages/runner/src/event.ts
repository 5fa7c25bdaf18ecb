import { parseJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";

/** GitHub's payloads have at most 25 MB. */
const maxEventBytes = 32 * 1024 * 1024;

/**
 * The repository's default branch, by the event that started the run (`GITHUB_EVENT_PATH`); undefined where that does
 * not say, as a schedule's doesn't.
 */
export async function readDefaultBranch(
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const path = env["GITHUB_EVENT_PATH"];
  if (!path) return undefined;
  try {
    const event = parseJson(new TextDecoder().decode(await readBoundedFile(path, maxEventBytes)));
    const repository = memberOf(event, "repository");
    const branch = memberOf(repository, "default_branch");
    return typeof branch === "string" && branch !== "" ? branch : undefined;
  } catch {
    // Tags that depend on it are not made; nothing else asks.
    return undefined;
  }
}

export const memberOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
