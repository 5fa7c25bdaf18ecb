import { InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Access } from "../access.ts";
import { parseProblems, printable } from "../answers.ts";
import { createAuthorizedTransport } from "../auth.ts";
import type { RegistryClientOptions } from "../client.ts";
import { type CredentialStore, createCredentialStore } from "../credentials.ts";
import { registryEndpoint, resolveOwnUrl } from "../endpoint.ts";
import type { Method } from "../exchange.ts";
import { plainHttpRules } from "../host-settings.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import type { Repository } from "../oci/reference.ts";
import { createTransport, type Transport, type TransportRequest, type TransportResponse } from "../transport.ts";
import type { Seen } from "./facts.ts";

/**
 * One request, sent once: what a registry answers is what the probe wants to know, so nothing is tried again and no
 * status is an error.
 */
export interface Ask {
  method: Method;
  /** Under `/v2/`, without a slash in front; or a URL that the registry gave. */
  path: string | URL;
  /** For people; method and path unless given. */
  as?: string;
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array;
  access: Access;
  /** As much of the body as is read. Bytes. */
  readUpTo?: number;
}

export interface Answer extends Seen {
  bytes: Uint8Array;
  /** Where it came from, after redirects. */
  url?: URL;
  /** The `Location`, where it leads to where a registry may lead. */
  location?: URL;
  /** `www-authenticate`, as it is, to be parsed. */
  challenges: readonly string[];
  /** `link`, likewise. */
  links: readonly string[];
}

export interface Wire {
  /**
   * @throws InfrastructureError `aborted`; UserError `docker-config-invalid`, `credential-helper-failed`,
   * `proxy-invalid`
   */
  ask(ask: Ask): Promise<Answer>;
  readonly traffic: Transport["traffic"];
  close(): Promise<void>;
}

export interface WireOptions extends RegistryClientOptions {
  /** In the place of Docker's and podman's files. */
  credentials?: CredentialStore;
  /** Called before each request, token requests among them; what it throws is what became of the request. */
  beforeSend?: () => void;
}

/** Nobody's. */
export const noCredentials: CredentialStore = { find: async () => undefined };

const toldHeaders = [
  "accept-ranges",
  "content-range",
  "content-type",
  "docker-content-digest",
  "docker-distribution-api-version",
  "etag",
  "link",
  "oci-chunk-min-length",
  "oci-filters-applied",
  "oci-subject",
  "oci-tag",
  "range",
  "retry-after",
] as const;

export function createWire(options: WireOptions): Wire {
  const secrets = new Set<string>();
  const ports = {
    ...options.ports,
    mask(secret: string) {
      if (secret.length > 3) secrets.add(secret);
      options.ports.mask(secret);
    },
  };
  // A server may say back what it was told, a login among it.
  const clean = (text: string): string => {
    let masked = text;
    for (const secret of secrets) masked = masked.replaceAll(secret, "***");
    return printable(masked);
  };
  const plainHttp = plainHttpRules(options);
  const inner = createTransport({ ...options, ports, attempts: 1 });
  const transport: Transport = {
    ...inner,
    send(request) {
      options.beforeSend?.();
      return inner.send(request);
    },
  };
  const authorized = createAuthorizedTransport(
    transport,
    options.credentials ?? createCredentialStore({ ...options, ports }),
    {
      ports,
      plainHttp,
    },
  );
  return {
    async ask(wanted) {
      const { method, access, path } = wanted;
      const asked =
        wanted.as ?? `${method} ${typeof path === "string" ? shorten(path, access.repository) : "the upload"}`;
      try {
        return toAnswer(asked, await authorized.send(toRequest(wanted, plainHttp), access), plainHttp, clean);
      } catch (error) {
        return {
          asked,
          headers: {},
          bytes: new Uint8Array(),
          challenges: [],
          links: [],
          ...describeFailure(error, clean),
        };
      }
    },
    traffic: inner.traffic,
    close: () => inner.close(),
  };
}

function toRequest(
  { method, path, access, headers = {}, body, readUpTo = 256 * 1024 }: Ask,
  plainHttp: readonly string[],
): TransportRequest {
  return {
    method,
    url: path instanceof URL ? path : new URL(path, registryEndpoint(access.repository.registry, plainHttp)),
    attempts: 1,
    anyStatus: true,
    headers,
    ...(body === undefined ? {} : { body }),
    // A HEAD has the length of a body that does not come.
    ...(method === "HEAD" ? {} : { readUpTo }),
  };
}

function toAnswer(
  asked: string,
  response: TransportResponse,
  plainHttp: readonly string[],
  clean: (text: string) => string,
): Answer {
  const headers = Object.fromEntries(
    toldHeaders.flatMap((name) => {
      const value = response.header(name);
      return value === undefined ? [] : [[name, clean(value)]];
    }),
  );
  const [problem] = response.status >= 400 ? parseProblems(response.bytes) : [];
  const location = findLocation(response, plainHttp);
  return {
    asked,
    status: response.status,
    headers,
    ...(problem === undefined ? {} : { problem: clean(`${problem.code} ${problem.message}`) }),
    bytes: response.bytes,
    url: response.url,
    ...(location === undefined ? {} : { location }),
    challenges: response.headers("www-authenticate"),
    links: response.headers("link"),
  };
}

function findLocation(response: TransportResponse, plainHttp: readonly string[]): URL | undefined {
  const location = response.header("location");
  if (location === undefined) return undefined;
  try {
    return resolveOwnUrl(location, response.url, plainHttp, "a location");
  } catch {
    return undefined;
  }
}

function describeFailure(error: unknown, clean: (text: string) => string): Pick<Seen, "failure" | "problem"> {
  // A token service that says no is an answer about the registry; logins that cannot be read are the caller's to mend.
  if (error instanceof UserError && error.code === "registry-unauthorized")
    return { failure: error.code, problem: clean(error.message) };
  if (!(error instanceof InfrastructureError) || error.code === "aborted" || !isKnownError(error)) throw error;
  return { failure: error.code, problem: clean(error.message) };
}

/** `probe/blobs/uploads/?digest=sha256:…` → `blobs/uploads/?digest=…`: short enough for a line. */
function shorten(path: string, repository: Repository): string {
  const own = path.startsWith(`${repository.name}/`) ? path.slice(repository.name.length + 1) : path;
  return (own === "" ? "/v2/" : own).replaceAll(/(sha256|sha512)(?::|%3A)[0-9a-f]{64,}/gi, "$1:…");
}

/** Without what only the probe itself needs. */
export function seenOf(answer: Answer): Seen {
  const { asked, status, failure, headers, problem } = answer;
  return {
    asked,
    ...(status === undefined ? {} : { status }),
    ...(failure === undefined ? {} : { failure }),
    headers,
    ...(problem === undefined ? {} : { problem }),
  };
}

export function isSuccess(seen: Pick<Seen, "status">): boolean {
  return seen.status !== undefined && seen.status >= 200 && seen.status < 300;
}

/**
 * The manifest in an answer, if there is one: a 200 may also be the page of a login form that the registry leads to.
 */
export function openManifest(answer: Answer): Manifest | undefined {
  if (answer.status !== 200) return undefined;
  try {
    return parseManifest(answer.bytes, answer.headers["content-type"], "that the probe reads");
  } catch {
    return undefined;
  }
}
