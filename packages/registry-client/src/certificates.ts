import { X509Certificate } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import type { HostSettings, RegistryClientOptions } from "./client.ts";

/** What of a TLS connection to one host is not as for all others. */
export interface HostTls {
  /** Trusted besides Node's. PEM. */
  ca: string[];
  /** What this machine shows of itself. PEM. */
  client: { cert: string; key: string }[];
  skipVerify: boolean;
}

type Surroundings = Pick<RegistryClientOptions, "env" | "ports">;

const certificatePattern = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Where Docker and podman keep the certificates of one host (`host[:port]` as a URL has it), the system's before the
 * user's: dockerd's documents and containers-certs.d(5). For https' own port the folder may or may not name it.
 */
export function certificateDirectories(host: string, env: Readonly<Record<string, string | undefined>>): string[] {
  // A host is a name in the path; one that begins with a dot would be a way out of the folder.
  if (!/^[a-z0-9[][a-z0-9.:[\]-]*$/i.test(host)) return [];
  const home = env["HOME"] || env["USERPROFILE"];
  const own = home === undefined || home === "" ? [] : [join(home, ".docker"), join(home, ".config/containers")];
  const names = /:\d+$/.test(host) ? [host] : [host, `${host}:443`];
  if (host === "registry-1.docker.io") names.push("docker.io");
  return ["/etc/docker", "/etc/containers", ...own].flatMap((root) => names.map((name) => join(root, "certs.d", name)));
}

/**
 * What the policy and certs.d say about the TLS of a host; undefined where nobody says anything.
 * @throws UserError `certificates-invalid`
 */
export async function readHostTls(
  host: string,
  settings: HostSettings | undefined,
  surroundings: Surroundings,
): Promise<HostTls | undefined> {
  const tls: HostTls = { ca: [], client: [], skipVerify: settings?.skipVerify === true };
  if (settings?.ca !== undefined) tls.ca.push(...parseCertificates(settings.ca, `registries.hosts.${host}.ca`));
  for (const directory of certificateDirectories(host, surroundings.env))
    await readDirectory(directory, tls, surroundings);
  return tls.ca.length === 0 && tls.client.length === 0 && !tls.skipVerify ? undefined : tls;
}

/** A bundle of every public authority has a quarter of this. Bytes. */
const maxCertificatesBytes = 1024 * 1024;

async function readText(file: string): Promise<string> {
  return new TextDecoder().decode(await readBoundedFile(file, maxCertificatesBytes));
}

/**
 * As Docker reads such a folder: `*.crt` are authorities, `*.cert` with the `*.key` of the same name what the client
 * shows.
 */
async function readDirectory(directory: string, tls: HostTls, { ports }: Surroundings): Promise<void> {
  const names = await orNothing(readdir(directory), directory);
  for (const name of (names ?? []).sort()) {
    const file = join(directory, name);
    if (name.endsWith(".crt")) {
      const text = await orNothing(readText(file), file);
      if (text !== undefined) tls.ca.push(...parseCertificates(text, file));
    } else if (name.endsWith(".cert")) {
      const keyFile = `${file.slice(0, -".cert".length)}.key`;
      const cert = await orNothing(readText(file), file);
      const key = await orNothing(readText(keyFile), keyFile);
      if (cert === undefined || key === undefined) continue;
      ports.mask(key);
      tls.client.push({ cert: parseCertificates(cert, file).join("\n"), key });
    }
  }

  /** Root's folders need not be for whoever runs this: without them there is less trust, never more. */
  async function orNothing<T>(reading: Promise<T>, file: string): Promise<T | undefined> {
    try {
      return await reading;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (["ENOENT", "ENOTDIR"].includes(code) && !file.endsWith(".key")) return undefined;
      if (code !== "EACCES" && code !== "EPERM") throw invalid(file, (error as Error).message, error);
      ports.log.warning(`${file} cannot be read by this user, and is left out of the certificates of its registry`);
      return undefined;
    }
  }
}

function invalid(where: string, why: string, cause?: unknown): UserError {
  return new UserError(`the certificates in ${where} cannot be used: ${why}`, {
    code: "certificates-invalid",
    cause,
    wayOut: "Put certificates in PEM there (-----BEGIN CERTIFICATE-----), and beside each NAME.cert its NAME.key.",
  });
}

/** PEM → its certificates one by one. OpenSSL would take what it understands and leave the rest without a word. */
function parseCertificates(text: string, where: string): string[] {
  const found = text.match(certificatePattern) ?? [];
  if (found.length === 0) throw invalid(where, "there is no certificate in PEM");
  for (const pem of found) {
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw invalid(where, "one is not a certificate", error);
    }
  }
  return [...found];
}

/**
 * Made once for all of a host's connections: reading some 150 certificates again for each would take longer than the
 * handshake.
 */
export function createHostContext(host: string, { ca, client }: HostTls): SecureContext {
  try {
    return createSecureContext({
      ...(ca.length === 0 ? {} : { ca: [...getCACertificates("default"), ...ca] }),
      ...(client.length === 0 ? {} : { cert: client.map(({ cert }) => cert), key: client.map(({ key }) => key) }),
    });
  } catch (error) {
    throw invalid(
      `certs.d for ${host}`,
      "key and certificate do not belong together, or the key has a passphrase",
      error,
    );
  }
}

/** Node's and OpenSSL's codes for a certificate that did not pass. */
const trustCodes: readonly string[] = [
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_UNTRUSTED",
  "CERT_SIGNATURE_FAILURE",
  "INVALID_CA",
];
const brokenCodes: readonly string[] = [
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "CERT_REJECTED",
  "CERT_CHAIN_TOO_LONG",
  "PATH_LENGTH_EXCEEDED",
  "INVALID_PURPOSE",
  "HOSTNAME_MISMATCH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
];

/**
 * An error of a connection to `host` (`host[:port]`) that is about TLS, and that trying again does not change → the
 * error to throw.
 */
export function describeTlsError(host: string, error: unknown): InfrastructureError | undefined {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    const details = { cause: error, safeToRetry: false };
    if (trustCodes.includes(code)) {
      return new InfrastructureError(`the certificate of ${host} is not trusted: ${cause.message} (${code})`, {
        ...details,
        code: "certificate-untrusted",
        wayOut: `Give the certificate of the authority that it is from: in the policy as registries.hosts.${host}.ca, in ~/.docker/certs.d/${host}/ca.crt, or for all hosts by NODE_EXTRA_CA_CERTS.`,
      });
    }
    if (brokenCodes.includes(code)) {
      return new InfrastructureError(`the certificate of ${host} is not valid: ${cause.message} (${code})`, {
        ...details,
        code: "certificate-untrusted",
        wayOut:
          "Give the registry a certificate for this name that is valid today, and see that this machine's clock is right.",
      });
    }
    if (/^ERR_SSL_.*ALERT.*(?:CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED)/.test(code)) {
      return new InfrastructureError(
        `${host} ends the handshake, as registries do that want another certificate of the client (${code})`,
        {
          ...details,
          code: "client-certificate-refused",
          wayOut: `Put the client's certificate and key into ~/.docker/certs.d/${host}/client.cert and client.key.`,
        },
      );
    }
    if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
      return new InfrastructureError(`${host} does not speak TLS (${code})`, {
        ...details,
        code: "registry-unreachable",
        wayOut: `Check the port. If it is meant to be plain http, the policy has to allow that: registries.plainHttp with ${host}.`,
      });
    }
  }
  return undefined;
}
