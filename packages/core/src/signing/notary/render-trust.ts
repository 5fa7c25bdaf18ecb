import { stringifyJson } from "@goldenpath/foundation/text/json";
import { formatPem, readPemCertificates } from "./certificates.ts";
import { formatIdentity } from "./names.ts";
import type { TrustStore } from "./trust-store.ts";

/** A trust policy of one statement, strict, and the trust store that it names: path → content. */
export function renderTrust(given: {
  /** Of the statement. */
  name: string;
  scopes: readonly string[];
  /** The trust store's name. */
  store: string;
  trusted: TrustStore;
  /** Subjects. */
  identities: readonly string[];
}): ReadonlyMap<string, string> {
  const { name, scopes, store, trusted, identities } = given;
  const statement = {
    name,
    registryScopes: [...scopes],
    signatureVerification: { level: "strict" },
    trustStores: [`ca:${store}`, ...(trusted.timestamp === undefined ? [] : [`tsa:${store}`])],
    trustedIdentities: identities.map(formatIdentity),
  };
  const policy = `${stringifyJson({ version: "1.0", trustPolicies: [statement] }, 2)}\n`;
  return new Map([["trustpolicy.json", policy], ...renderStore(store, trusted)]);
}

/** A file a certificate, as notation wants them. */
function renderStore(name: string, { certificates, timestamp }: TrustStore): [string, string][] {
  const files = (type: string, pem: string): [string, string][] =>
    readPemCertificates(pem).map((certificate, index) => [
      `truststore/x509/${type}/${name}/${index + 1}.pem`,
      formatPem(certificate),
    ]);
  return [...files("ca", certificates), ...(timestamp === undefined ? [] : files("tsa", timestamp.certificates))];
}
