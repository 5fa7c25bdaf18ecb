/** A repository on the GitHub server that is spoken to. */
export interface SourceName {
  owner: string;
  repo: string;
}

/** A source repository by its address. Equal names on two servers are two repositories, which may be two strangers'. */
export interface NamedSource extends SourceName {
  /** https://github.com */
  server: string;
}

/** https://github.com/acme/shop → https://github.com, acme, shop; undefined for what can be no folder's name. */
export function readSource(repository: string): NamedSource | undefined {
  const [, host, owner, repo] = /^https:\/\/([^/?#@\s]+)\/([\w.-]+)\/([\w.-]+)$/.exec(repository) ?? [];
  const isName = (text: string | undefined): text is string => text !== undefined && !/^\.+$/.test(text);
  if (host === undefined || !isName(owner) || !isName(repo)) return undefined;
  const server = URL.parse(`https://${host}`)?.origin;
  return server === undefined ? undefined : { server, owner, repo };
}
