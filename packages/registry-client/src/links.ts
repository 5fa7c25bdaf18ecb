/** One member of a Link header (RFC 8288): the target as written, and its parameters with lower-case names. */
export interface Link {
  target: string;
  parameters: ReadonlyMap<string, string>;
}

/**
 * `<a>; rel="next", <b>; rel=prev` → the links. A member that does not follow the grammar ends the list: what was read
 * before it stands. A parameter given twice counts with its first value, as RFC 8288 section 3.3 has it for `rel`.
 */
export function parseLinkHeader(header: string): Link[] {
  const links: Link[] = [];
  let at = 0;
  const skip = (characters: string): void => {
    while (at < header.length && characters.includes(header.charAt(at))) at++;
  };
  for (;;) {
    skip(" \t,");
    if (header.charAt(at) !== "<") return links;
    const end = header.indexOf(">", at);
    if (end === -1) return links;
    const target = header.slice(at + 1, end).trim();
    at = end + 1;
    const parameters = new Map<string, string>();
    for (;;) {
      skip(" \t");
      if (header.charAt(at) !== ";") break;
      at++;
      skip(" \t");
      const name = readToken(header, at);
      at += name.length;
      skip(" \t");
      let value = "";
      if (header.charAt(at) === "=") {
        at++;
        skip(" \t");
        if (header.charAt(at) === '"') {
          const quoted = readQuoted(header, at);
          if (quoted === undefined) return links;
          value = quoted.value;
          at = quoted.end;
        } else {
          value = readToken(header, at);
          at += value.length;
        }
      }
      const key = name.toLowerCase();
      if (key !== "" && !parameters.has(key)) parameters.set(key, value);
    }
    links.push({ target, parameters });
    skip(" \t");
    if (at < header.length && header.charAt(at) !== ",") return links;
  }
}

/** The target of the first link whose relation types include `next`, which is how the distribution API pages. */
export function findNextLink(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === "string" ? header : header.join(", ");
  const next = parseLinkHeader(text).find((link) =>
    (link.parameters.get("rel") ?? "")
      .toLowerCase()
      .split(/[ \t]+/)
      .includes("next"),
  );
  return next?.target === "" ? undefined : next?.target;
}

/** The longest run of token characters (RFC 9110 section 5.6.2) from `start` on; possibly empty. */
export function readToken(text: string, start: number): string {
  let end = start;
  while (end < text.length && /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(text.charAt(end))) end++;
  return text.slice(start, end);
}

/** A quoted string that starts with the quote at `start`, its escapes resolved; undefined when it has no end. */
export function readQuoted(text: string, start: number): { value: string; end: number } | undefined {
  let value = "";
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') return { value, end: at + 1 };
    if (character === "\\") at++;
    value += text.charAt(at);
  }
  return undefined;
}
