/** Authorities that take tokens for `sigstore`: the public instances, and GitHub's own for private repositories. */
const ofTheField = ["fulcio.sigstore.dev", "fulcio.sigstage.dev", "fulcio.githubapp.com"];

/**
 * Whom a job's token has to be for, to be shown to an authority: for those of the field `sigstore`, as all tools have it,
 * and for any other its own address. A policy names the authority, and whoever calls a stage names the policy: a token
 * that another authority takes as well would let the one that is named sign as this job there.
 */
export function audienceOf(fulcio: string, env: Readonly<Record<string, string | undefined>>): string {
  const { protocol, host, origin } = new URL(fulcio);
  const isOfTheField = protocol === "https:" && (ofTheField.includes(host) || isOfTenant(host, env));
  return isOfTheField ? "sigstore" : origin;
}

/** An enterprise on ghe.com has an authority of GitHub's beside its server, which the runner names. */
function isOfTenant(
  host: string,
  { GITHUB_SERVER_URL: server }: Readonly<Record<string, string | undefined>>,
): boolean {
  if (server === undefined || !URL.canParse(server)) return false;
  const own = new URL(server).host;
  return own.endsWith(".ghe.com") && host === `fulcio.${own}`;
}
