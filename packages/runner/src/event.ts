import { parseJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";

/** GitHub's payloads have at most 25 MB. */
const maxEventBytes = 32 * 1024 * 1024;

/** The payload of the event that started the run (`GITHUB_EVENT_PATH`); undefined where there is none to be read. */
export async function readEvent(env: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  const path = env["GITHUB_EVENT_PATH"];
  if (!path) return undefined;
  try {
    return parseJson(new TextDecoder().decode(await readBoundedFile(path, maxEventBytes)));
  } catch {
    return undefined;
  }
}

/**
 * The repository's default branch, by the event that started the run; undefined where that does not say, as a
 * schedule's doesn't. Tags that depend on it are then not made; nothing else asks.
 */
export async function readDefaultBranch(
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const branch = memberOf(memberOf(await readEvent(env), "repository"), "default_branch");
  return typeof branch === "string" && branch !== "" ? branch : undefined;
}

export const memberOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
