import type { ASN1Obj } from "@sigstore/core";
import { CertificateProblem } from "../extensions.ts";

/** What a subject may be made of, in the order in which it is written. */
const attributes = {
  C: "2.5.4.6",
  ST: "2.5.4.8",
  L: "2.5.4.7",
  STREET: "2.5.4.9",
  POSTALCODE: "2.5.4.17",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  CN: "2.5.4.3",
  SERIALNUMBER: "2.5.4.5",
} as const;
type Attribute = keyof typeof attributes;
const order = Object.keys(attributes) as Attribute[];
/** Without these notation takes no name. */
const mandatory = ["C", "ST", "O"] as const satisfies readonly Attribute[];

const prefix = "x509.subject:";

/**
 * A trusted identity as `trustpolicy.json` has it, `x509.subject: C=DE, ST=Berlin, O=acme, CN=base` → the same name in
 * the one way in which {@link readName} gives it; or why it is none. Each attribute is there once; a value has a
 * backslash before what is special in it (RFC 4514).
 */
export function parseIdentity(text: string): { name: string } | { problem: string } {
  if (!text.startsWith(prefix)) return { problem: `expected '${prefix} C=…, ST=…, O=…, CN=…'` };
  const rest = text.slice(prefix.length);
  const found = new Map<string, string>();
  for (const part of splitParts(rest)) {
    const [, type = "", raw] = /^\s*([A-Za-z]+)\s*=\s*([\s\S]*)$/.exec(part) ?? [];
    if (raw === undefined) return { problem: `'${part.trim()}' is not ATTRIBUTE=VALUE` };
    const attribute = type === "S" ? "ST" : type;
    if (!Object.hasOwn(attributes, attribute))
      return { problem: `'${type}' is no attribute that a subject may have here (${order.join(", ")})` };
    const value = unescapeValue(raw);
    if (value === undefined)
      return { problem: `the value of ${type} is empty, or has something special without a backslash before it` };
    if (found.has(attribute)) return { problem: `${attribute} is there twice` };
    found.set(attribute, value);
  }
  const missing = mandatory.filter((each) => !found.has(each));
  return missing.length > 0 ? { problem: `${missing.join(", ")}: missing` } : { name: formatName(found) };
}

/** As a trust policy names it. */
export function formatIdentity(name: string): string {
  return `${prefix} ${name}`;
}

/**
 * The subject of a certificate, written in one way: `C=DE, ST=Berlin, O=acme, CN=base`.
 * @throws CertificateProblem where it has an attribute twice, several in one place, or one that can't be written so
 */
export function readName(subject: ASN1Obj): string {
  const found = new Map<string, string>();
  for (const { subs } of subject.subs) {
    const [pair, ...more] = subs;
    const [oid, value] = pair?.subs ?? [];
    if (oid === undefined || value === undefined || more.length > 0)
      throw new CertificateProblem("its subject has several attributes in one place");
    const number = oid.toOID();
    const attribute = order.find((each) => attributes[each] === number);
    if (attribute === undefined) throw new CertificateProblem(`its subject has the attribute ${number}`);
    if (found.has(attribute)) throw new CertificateProblem(`its subject has ${attribute} twice`);
    found.set(attribute, readText(value, attribute));
  }
  const missing = mandatory.filter((each) => !found.has(each));
  if (missing.length > 0) throw new CertificateProblem(`its subject has no ${missing.join(" and no ")}`);
  return formatName(found);
}

const utf8String = 0x0c;
const printableString = 0x13;
/** Nothing that people can't see. */
const readable = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

function readText({ tag, value }: ASN1Obj, attribute: string): string {
  const malformed = new CertificateProblem(`the ${attribute} of its subject is not text that people can read`);
  if (!tag.isUniversal() || ![utf8String, printableString].includes(tag.number)) throw malformed;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw malformed;
  }
  if (!readable.test(text)) throw malformed;
  return text;
}

function formatName(found: ReadonlyMap<string, string>): string {
  return order
    .flatMap((attribute) => {
      const value = found.get(attribute);
      return value === undefined ? [] : [`${attribute}=${escapeValue(value)}`];
    })
    .join(", ");
}

const escapeValue = (value: string): string => value.replaceAll(/[,+"\\<>;]|^[# ]| $/g, "\\$&");

/** At commas that have no backslash before them. */
function splitParts(text: string): string[] {
  return text.match(/(?:\\[\s\S]|[^\\,])+|(?<=,)(?=,|$)|^(?=,|$)/g) ?? [];
}

/** undefined where something special stands for itself, or nothing is left. */
function unescapeValue(raw: string): string | undefined {
  // Blanks at the end are none of the value, unless the last one has a backslash before it.
  const text = raw.replace(/(?<!\\)\s+$/, "");
  if (!/^(?:\\[,+"\\<>;# ]|[^,+"\\<>;])+$/.test(text) || text.startsWith("#")) return undefined;
  const value = text.replaceAll(/\\(.)/g, "$1");
  return readable.test(value) ? value : undefined;
}
