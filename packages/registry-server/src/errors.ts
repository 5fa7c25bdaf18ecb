import { jsonReply, type Reply } from "./reply.ts";

/**
 * The distribution specification's error codes, and after them those of registries that are imitated; `UNKNOWN` is only
 * sent with a 5xx.
 */
export type ErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "UNAUTHORIZED"
  | "DENIED"
  | "UNSUPPORTED"
  | "TOOMANYREQUESTS"
  | "UNKNOWN"
  | "PRECONDITION"
  | "REGISTRY_DISALLOWED_OPERATION"
  | "TAG_ALREADY_EXISTS"
  | "TAG_INVALID";

export interface ErrorEntry {
  code: ErrorCode;
  message: string;
  detail?: unknown;
}

/** A refusal on its way to the client. */
export class RegistryError extends Error {
  readonly status: number;
  readonly entries: readonly ErrorEntry[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, entries: ErrorEntry | readonly ErrorEntry[], headers: Record<string, string> = {}) {
    const list = Array.isArray(entries) ? (entries as readonly ErrorEntry[]) : [entries as ErrorEntry];
    super(list.map((entry) => `${entry.code}: ${entry.message}`).join("; "));
    this.name = "RegistryError";
    this.status = status;
    this.entries = list;
    this.headers = headers;
  }
}

export function refuse(
  status: number,
  code: ErrorCode,
  message: string,
  more: { detail?: unknown; headers?: Record<string, string> } = {},
): never {
  throw new RegistryError(
    status,
    { code, message, ...(more.detail === undefined ? {} : { detail: more.detail }) },
    more.headers,
  );
}

export function renderError(error: RegistryError): Reply {
  return jsonReply(error.status, { errors: error.entries }, error.headers);
}
