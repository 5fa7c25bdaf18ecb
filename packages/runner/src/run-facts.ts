import type { Context } from "@goldenpath/foundation/ports";

/** What tells a run of a workflow, and where it is; a server without https has no address that is linked. */
export function describeRun(env: Context["env"]): { id: string; attempt: number; url?: string } {
  const id = env["GITHUB_RUN_ID"] ?? "";
  const url = `${env["GITHUB_SERVER_URL"] ?? "https://github.com"}/${env["GITHUB_REPOSITORY"] ?? ""}/actions/runs/${id}`;
  const attempt = Number(env["GITHUB_RUN_ATTEMPT"]);
  return {
    id: /^\d+$/.test(id) ? id : "0",
    attempt: Number.isInteger(attempt) && attempt > 0 ? attempt : 1,
    ...httpsOnly(url),
  };
}

export const httpsOnly = (url: string): { url?: string } => (url.startsWith("https://") ? { url } : {});
