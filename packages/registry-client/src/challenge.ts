import { readQuoted, readToken } from "./links.ts";

/**
 * One challenge of a WWW-Authenticate header: `bearer`, and `{ realm, service, scope }`; names in lower case, values as
 * they were.
 */
export interface Challenge {
  scheme: string;
  parameters: ReadonlyMap<string, string>;
}

/**
 * WWW-Authenticate by RFC 9110 section 11.6.1: several challenges in one header or in several, scheme and parameter
 * names in any case, values as tokens or quoted strings, commas inside the quotes. What does not follow the grammar
 * ends the list: the challenges read before it stand.
 */
export function parseChallenges(header: string | readonly string[]): Challenge[] {
  return (typeof header === "string" ? [header] : header).flatMap(parseOneHeader);
}

function parseOneHeader(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const skip = (characters: string): void => {
    while (at < header.length && characters.includes(header.charAt(at))) at++;
  };
  for (;;) {
    skip(" \t,");
    const scheme = readToken(header, at);
    if (scheme === "") return challenges;
    at += scheme.length;
    // After the scheme comes a blank, a comma or the end; `name=` here would be a parameter without a challenge to
    // belong to.
    if (at < header.length && !" \t,".includes(header.charAt(at))) return challenges;
    const parameters = new Map<string, string>();
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
    skip(" \t");
    // `Negotiate abc/def==`: a token68 in the place of parameters. Only skipped, since no scheme used here has one.
    at += /^[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/.exec(header.slice(at))?.[0].length ?? 0;
    for (;;) {
      skip(" \t,");
      const before = at;
      const name = readToken(header, at);
      at += name.length;
      skip(" \t");
      if (name === "" || header.charAt(at) !== "=") {
        at = before;
        break;
      }
      at++;
      skip(" \t");
      let value: string;
      if (header.charAt(at) === '"') {
        const quoted = readQuoted(header, at);
        if (quoted === undefined) return challenges;
        value = quoted.value;
        at = quoted.end;
      } else {
        value = readToken(header, at);
        at += value.length;
      }
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
    }
  }
}
