import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseApiUrl } from "./github.ts";

/**
 * The server whose API is spoken to: by `GITHUB_SERVER_URL`, else by `GITHUB_API_URL`, as GitHub documents these of
 * github.com, of GitHub Enterprise Server (`https://HOST/api/v3`) and of ghe.com (`https://api.NAME.ghe.com`).
 * @throws UserError `github-url-invalid`: what is found out of one server's repository would be told to another's
 */
export function githubServer(env: Context["env"]): string {
  const said = env["GITHUB_SERVER_URL"] || undefined;
  const api = parseApiUrl(env["GITHUB_API_URL"]);
  const known = serverOf(api);
  const server = said === undefined ? known : URL.parse(said)?.origin;
  if (server === undefined || (known !== undefined && known !== server)) {
    throw new UserError(
      `GITHUB_API_URL is '${api.href}', and GITHUB_SERVER_URL ${said === undefined ? "is not set" : `'${said}'`}: expected both of one server`,
      {
        code: "github-url-invalid",
        wayOut: "On a GitHub Enterprise Server they are https://HOST/api/v3 and https://HOST.",
      },
    );
  }
  return server;
}

function serverOf(api: URL): string | undefined {
  const { hostname, host, pathname } = api;
  if (hostname === "api.github.com") return "https://github.com";
  if (/^api\.[^.]+\.ghe\.com$/.test(hostname)) return `https://${host.slice("api.".length)}`;
  return /^\/api\/v3\/?$/.test(pathname) ? api.origin : undefined;
}
