import { BlockList, isIP } from "node:net";

/**
 * NO_PROXY as Go's tools read it (https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config): entries between commas or
 * blanks; `*` for everything; an address, or a range of them such as `10.0.0.0/8`; a name, which stands for what is
 * below it as well, and with a dot or `*.` in front for that alone; each but a range with a port, if it is for that
 * alone. Names are not resolved.
 */
export function parseNoProxy(text: string): (url: URL) => boolean {
  const rules = text
    .toLowerCase()
    .split(/[,\s]/)
    .filter((entry) => entry !== "")
    .map(parseEntry);
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
    const name = host.endsWith(".") ? host.slice(0, -1) : host;
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
    return rules.some((matches) => matches(name, port));
  };
}

type Rule = (host: string, port: string) => boolean;

function parseEntry(entry: string): Rule {
  const range = parseRange(entry);
  if (range !== undefined) return range;
  const { host, port } = splitPort(entry);
  const isPort: (of: string) => boolean = port === undefined ? () => true : (of) => of === port;
  if (host === "*") return (_name, of) => isPort(of);
  const kind = isIP(host);
  if (kind !== 0) {
    const address = new BlockList();
    address.addAddress(host, kind === 4 ? "ipv4" : "ipv6");
    return (name, of) => isPort(of) && isIP(name) !== 0 && address.check(name, isIP(name) === 4 ? "ipv4" : "ipv6");
  }
  const suffix = host.startsWith("*.") ? host.slice(1) : host.startsWith(".") ? host : `.${host}`;
  return (name, of) =>
    isPort(of) && (name.endsWith(suffix) || (suffix !== host && !host.startsWith("*.") && name === host));
}

function parseRange(entry: string): Rule | undefined {
  const [address = "", bits = "", more] = entry.split("/");
  const kind = isIP(address);
  if (kind === 0 || more !== undefined || !/^\d{1,3}$/.test(bits) || Number(bits) > (kind === 4 ? 32 : 128))
    return undefined;
  const range = new BlockList();
  range.addSubnet(address, Number(bits), kind === 4 ? "ipv4" : "ipv6");
  return (name) => isIP(name) !== 0 && range.check(name, isIP(name) === 4 ? "ipv4" : "ipv6");
}

/** `[::1]:443`, `[::1]`, `::1`, `host:443`, `host` */
function splitPort(entry: string): { host: string; port?: string } {
  const bracketed = /^\[([0-9a-f:.]+)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null)
    return { host: bracketed[1] ?? "", ...(bracketed[2] === undefined ? {} : { port: bracketed[2] }) };
  const colon = entry.indexOf(":");
  if (colon === -1 || colon !== entry.lastIndexOf(":")) return { host: entry };
  return { host: entry.slice(0, colon), port: entry.slice(colon + 1) };
}
