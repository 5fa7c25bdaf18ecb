import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { FaultAction, RegistryServer } from "@goldenpath/registry-server/server";
import type { RequestKind } from "./fault-scenario.ts";
import type { AuthKind, Expectation, FaultStand } from "./fault-stand.ts";

/** Why a fault cannot hit a kind of request. */
export type Reason = string;

export interface FaultRow {
  /** What the registry does instead; made for each cell. */
  action(stand: FaultStand, kind: RequestKind, asked: RegistryServer): FaultAction;
  at: Record<RequestKind, Expectation | Reason>;
  /** How often it hits before it goes away; 2 unless told, and the client tries three times. */
  times?: number;
  /** For the client, where the fault is a standstill. Milliseconds. */
  stallTimeout?: number;
  /** Only with this kind of login. */
  auth?: AuthKind;
  /** It is of no matter what is answered: so it may hit the answer that asks for a login as well. */
  hitsAnything?: boolean;
  /** The most requests that one cell may need, where it is not a multiple of the usual ones. */
  mostRequests?: number;
  /** What else has to be true, once the fault has hit. */
  check?(stand: FaultStand): string | undefined;
}

type Row = Record<RequestKind, Expectation | Reason>;
type Part<Kind extends RequestKind> = Record<Kind, Expectation | Reason>;

const listKinds = ["tags-get", "tags-page", "referrers-get", "referrers-page"] as const;
/** Answered with 404, whose body is for people. */
const absentKinds = ["referrers-absent", "tag-absent"] as const;
const bodyKinds = [
  ...listKinds,
  ...absentKinds,
  "manifest-get",
  "tag-get",
  "fallback-get",
  "blob-get",
  "token",
] as const;
const headKinds = ["manifest-head", "blob-head"] as const;
const startKinds = ["upload-start", "mount"] as const;
const sentKinds = ["upload-content", "manifest-put", "tag-put", "fallback-put"] as const;
const writeKinds = [...startKinds, ...sentKinds] as const;

function all<Kind extends RequestKind>(kinds: readonly Kind[], value: Expectation | Reason): Part<Kind> {
  return Object.fromEntries(kinds.map((kind) => [kind, value])) as Part<Kind>;
}

function everywhere(value: Expectation | Reason, more: Partial<Row> = {}): Row {
  return { ...all([...bodyKinds, ...headKinds, ...writeKinds], value), ...more };
}

/** Fine, once it goes away. */
const passes = (...codes: string[]): Expectation => ({ once: "well", forGood: codes });
/** Of no matter. */
const harmless: Expectation = { once: "well", forGood: "well" };
/** Not tried again: what came is wrong, or leads where it may not. */
const refused = (...codes: string[]): Expectation => ({ once: codes, forGood: codes });

const noBody = "the answer has no body that anybody reads";
const nothingSent = "the request has no body";
const noPages = "the answer is no list, so that it has no pages";
const onlyReferrers = "it has nothing to do with referrers";

const status = (code: number, headers: Record<string, string> = {}): FaultRow => ({
  action: () => ({ kind: "status", status: code, headers }),
  at: everywhere(passes("registry-error")),
  hitsAnything: true,
});

const throttled = (header: () => Record<string, string>, atLeast: number): FaultRow => ({
  action: () => ({ kind: "status", status: 429, headers: header() }),
  at: everywhere(passes("registry-error")),
  hitsAnything: true,
  // Asked to wait for so long, and at most a minute and a tenth: that it waits, and not when.
  check: ({ heard }) =>
    heard.waits.some((wait) => wait >= atLeast && wait <= 66_000)
      ? undefined
      : `it waited ${heard.waits.join(", ")} ms, and not ${atLeast}`,
});

const severed = (action: FaultAction, at: Partial<Row> = {}): FaultRow => ({
  action: () => action,
  at: everywhere(passes("registry-unreachable"), at),
  hitsAnything: true,
});

const brokenBody = (action: FaultAction): FaultRow =>
  severed(action, { ...all(headKinds, noBody), ...all(writeKinds, noBody) });

const invalidDigest = JSON.stringify({ errors: [{ code: "DIGEST_INVALID", message: "the digest is another one" }] });
const noReferrers: Row = {
  ...everywhere(onlyReferrers),
  ...all(["referrers-get", "referrers-page", "referrers-absent", "manifest-put"], harmless),
};

/** The registry's own headers around something else, its digest told as what it is. */
function instead(body: string, at: Omit<Row, (typeof absentKinds)[number]>): FaultRow {
  const repeat = body === " " ? 4 * 1024 * 1024 + 1 : 1;
  const headers = { "Docker-Content-Digest": digestOf(body.repeat(repeat)) };
  return { action: () => ({ kind: "replace", body, repeat, headers }), at: { ...at, ...all(absentKinds, harmless) } };
}

function redirected(location: (stand: FaultStand) => string, at: Row): FaultRow {
  return { action: (stand) => ({ kind: "redirect", location: `${location(stand)}{path}` }), at, times: 1 };
}

/** Each time another one. */
function createEndlessLinks(): FaultAction {
  let page = 0;
  return {
    kind: "headers",
    get set() {
      page++;
      return { Link: `<?last=${digestOf(String(page)).replace(/:./, ":0")}>; rel="next"` };
    },
  };
}

export const faults: Readonly<Record<string, FaultRow>> = {
  "429, Retry-After in seconds": throttled(() => ({ "Retry-After": "7" }), 6_500),
  "429, Retry-After as a date": throttled(
    () => ({ "Retry-After": new Date(Date.now() + 40_000).toUTCString() }),
    20_000,
  ),
  "429 alone": throttled(() => ({}), 200),
  "500": status(500),
  "502": status(502),
  "503": status(503),
  "503, Retry-After in seconds": throttled(() => ({ "Retry-After": "7" }), 6_500),
  "504": status(504),

  "reset before the headers": severed({ kind: "reset" }),
  "reset after the work is done": severed({ kind: "reset", processed: true }, { "upload-content": harmless }),
  // The work is done there as well: who looks before trying again finds the blob.
  "reset in the headers": severed({ kind: "reset-headers" }, { "upload-content": harmless }),
  "reset in the body": brokenBody({ kind: "reset-body", afterBytes: 1 }),
  "reset in what is sent": severed(
    { kind: "reset-request", afterBytes: 3 },
    { ...all(bodyKinds, nothingSent), ...all(headKinds, nothingSent), ...all(startKinds, nothingSent) },
  ),
  "cut off in order": brokenBody({ kind: "truncate", afterBytes: 1 }),
  "stalled before the headers": { ...severed({ kind: "delay", milliseconds: 3_600_000 }), stallTimeout: 300 },
  "stalled in the body": { ...brokenBody({ kind: "stall", afterBytes: 1 }), stallTimeout: 300 },

  "wrong bytes of the right length": {
    // On the way there as well: the registry finds that what came is something else.
    action: (_stand, kind) =>
      kind.endsWith("-put") || kind === "upload-content"
        ? { kind: "status", status: 400, body: invalidDigest }
        : { kind: "corrupt" },
    at: {
      ...all(["manifest-get", "tag-get", "fallback-get", "blob-get", "upload-content"], refused("digest-mismatch")),
      ...all(["manifest-put", "tag-put", "fallback-put"], refused("registry-error")),
      ...all(["referrers-get", "referrers-page"], refused("manifest-invalid")),
      ...all(["tags-get", "tags-page"], refused("registry-error")),
      token: refused("token-invalid"),
      ...all(absentKinds, harmless),
      ...all([...headKinds, ...startKinds], noBody),
    },
  },
  "wrong digest header": {
    action: () => ({ kind: "wrong-digest" }),
    at: {
      // Where the digest is known, the bytes are held to it, and the header is not looked at.
      ...everywhere(harmless),
      ...all(["tag-get", "fallback-get", "manifest-put", "tag-put", "fallback-put"], refused("digest-mismatch")),
    },
  },
  "Content-Length too large": {
    action: () => ({ kind: "content-length", by: 5 }),
    at: {
      ...all(bodyKinds, passes("registry-unreachable")),
      // Its size is known before.
      "blob-get": refused("digest-mismatch"),
      ...all(headKinds, harmless),
      ...all(writeKinds, noBody),
    },
  },
  "Content-Length too small": {
    action: () => ({ kind: "content-length", by: -5 }),
    at: {
      ...all(absentKinds, harmless),
      ...all(["manifest-get", "tag-get", "fallback-get", "blob-get"], refused("digest-mismatch")),
      ...all(["referrers-get", "referrers-page"], refused("manifest-invalid")),
      ...all(["tags-get", "tags-page"], refused("registry-error")),
      token: refused("token-invalid"),
      ...all(headKinds, harmless),
      ...all(writeKinds, noBody),
    },
  },
  "more than 4 MiB": instead(" ", {
    ...all([...listKinds, "manifest-get", "tag-get", "fallback-get", "token"], refused("too-large")),
    "blob-get": refused("digest-mismatch"),
    ...all([...headKinds, ...writeKinds], noBody),
  }),
  "malformed JSON": instead('{"schemaVersion":2,"manifests":[', {
    ...all(["manifest-get", "blob-get"], refused("digest-mismatch")),
    ...all(["tag-get", "fallback-get", "referrers-get", "referrers-page"], refused("manifest-invalid")),
    ...all(["tags-get", "tags-page"], refused("registry-error")),
    token: refused("token-invalid"),
    ...all([...headKinds, ...writeKinds], noBody),
  }),
  "JSON of something else": instead('{"hello":"world"}', {
    ...all(["manifest-get", "blob-get"], refused("digest-mismatch")),
    ...all(["tag-get", "fallback-get", "referrers-get", "referrers-page"], refused("manifest-invalid")),
    ...all(["tags-get", "tags-page"], refused("registry-error")),
    token: refused("token-invalid"),
    ...all([...headKinds, ...writeKinds], noBody),
  }),
  "a list that leads back into itself": {
    action: () => ({ kind: "headers", set: { Link: '<?n=1>; rel="next"' } }),
    at: { ...everywhere(noPages), ...all(listKinds, passes("registry-error")) },
    times: 1,
  },
  "a list without an end": {
    action: createEndlessLinks,
    at: {
      ...everywhere(noPages),
      ...all(listKinds, passes("registry-error")),
      // Once is enough to lead back.
      "referrers-page": refused("registry-error"),
    },
    times: 1,
    mostRequests: 520,
  },

  "expired token": {
    action: (_stand, _kind, asked) => ({
      kind: "status",
      status: 401,
      headers: {
        "WWW-Authenticate": `Bearer realm="http://${asked.host}/token",service="goldenpath-registry",error="invalid_token"`,
      },
    }),
    at: {
      ...everywhere(passes("registry-unauthorized")),
      // Who may not mount may still be let upload.
      mount: harmless,
      token: "a token is no use where tokens come from",
    },
    times: 1,
    auth: "bearer",
  },
  "redirect to another host that has the same": redirected(({ other }) => other?.server.url ?? "", {
    ...all([...bodyKinds, ...headKinds], harmless),
    token: refused("registry-error", "redirect-refused"),
    ...all(writeKinds, refused("redirect-refused")),
    // Content may have its place at another host; this one knows nothing of the upload.
    "upload-content": passes("registry-error"),
  }),
  "redirect to another host that asks for a login": redirected(({ otherWithLogin }) => otherWithLogin?.url ?? "", {
    ...all([...bodyKinds, ...headKinds], refused("registry-unauthorized")),
    token: refused("registry-unauthorized", "redirect-refused"),
    ...all(writeKinds, refused("redirect-refused")),
    "upload-content": refused("registry-unauthorized"),
  }),
  "redirect to plain http": redirected(() => "http://registry.example", everywhere(refused("redirect-refused"))),
  "redirect into the private network": redirected(
    () => "http://169.254.169.254",
    everywhere(refused("redirect-refused")),
  ),
  "redirect in a circle": { ...redirected(() => "", everywhere(passes("redirect-refused"))), mostRequests: 80 },

  "404 for referrers": {
    action: () => ({ kind: "status", status: 404 }),
    at: {
      ...noReferrers,
      // The API was there a moment ago.
      "referrers-page": refused("registry-error"),
      "manifest-put": "it is answered with 404 only where the repository is not there",
    },
  },
  "subject header without referrers": {
    action: () => ({ kind: "subject-without-referrers" }),
    at: { ...noReferrers, "referrers-page": "a list that ends before its end looks like any other" },
  },
};
