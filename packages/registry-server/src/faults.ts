/**
 * Scripted faults: plain data that a test sets in `RegistryOptions.faults` or, while the server runs, in
 * `server.faults`. For each request the first fault that matches and is in force acts.
 */
export interface Fault {
  /** One method or several, in upper case; absent: any. */
  method?: string | readonly string[];
  /**
   * A regular expression (its source, or the object), found anywhere in the decoded path, followed by `?` and the raw
   * query where there is one: `"/manifests/v1$"`, `"/blobs/uploads/.*mount="`. Absent: any.
   */
  path?: string | RegExp;
  /** How many requests it hits; absent: every one. */
  times?: number;
  /** How many matching requests it lets pass first (those that another fault took count as well); absent: 0. */
  after?: number;
  action: FaultAction;
}

/**
 * What goes wrong. Unless it says `processed`, a fault that replaces the whole answer comes before the registry does
 * anything; with it, the registry has done what was asked and only the answer is lost. Actions on a body count its
 * bytes; those that a body is too short for hit at its end.
 */
export type FaultAction =
  /**
   * Another answer: 429 with `Retry-After`, 503, 401, 404… The body is an error of the specification's form unless
   * given.
   */
  | { kind: "status"; status: number; headers?: Readonly<Record<string, string>>; body?: string; processed?: boolean }
  /** The connection is reset before any of the answer. */
  | { kind: "reset"; processed?: boolean }
  /**
   * The connection is reset once so many bytes of the request's body came in; the registry keeps those of an upload.
   */
  | { kind: "reset-request"; afterBytes: number }
  /** The connection is reset inside the status line and headers. */
  | { kind: "reset-headers" }
  /** The connection is reset after so many bytes of the body. */
  | { kind: "reset-body"; afterBytes: number }
  /** The right Content-Length, so many bytes, and then an orderly end of the connection. */
  | { kind: "truncate"; afterBytes: number }
  /** The right length, and one byte of the body (`at`; default 0) turned over. */
  | { kind: "corrupt"; at?: number }
  /**
   * So many bytes of the body, and then nothing: for good, or for some milliseconds. `afterBytes` absent: 0, only the
   * headers come.
   */
  | { kind: "stall"; afterBytes?: number; milliseconds?: number }
  /** The answer begins late. */
  | { kind: "delay"; milliseconds: number }
  /**
   * Headers set, or taken away with null: a wrong `Docker-Content-Digest`, another `Content-Type`, a `Link`, … For
   * Content-Length see `content-length`.
   */
  | { kind: "headers"; set: Readonly<Record<string, string | null>> }
  /** A wrong `Docker-Content-Digest`: the one given, or one that nothing has. */
  | { kind: "wrong-digest"; digest?: string }
  /** A Content-Length that is off by so many bytes; the body comes as it is, and then the connection ends. */
  | { kind: "content-length"; by: number }
  /**
   * Sent elsewhere; status 307 unless given. `location` may hold `{path}`, which stands for the request's path and
   * query.
   */
  | { kind: "redirect"; location: string; status?: number; headers?: Readonly<Record<string, string>> }
  /**
   * The registry's own headers around another body: `body` as often as `repeat` says (default 1), its length told
   * rightly.
   */
  | { kind: "replace"; body: string; repeat?: number; status?: number; headers?: Readonly<Record<string, string>> }
  /**
   * On the PUT of a manifest with a subject: `OCI-Subject`, as if the registry kept referrers. On the referrers API: an
   * empty list. Some registries do both; with `referrers: false` and this on PUTs alone, the API answers 404.
   */
  | { kind: "subject-without-referrers" };

export interface FaultSelector {
  faults: Fault[];
  /** The fault that this request meets, if any; counts it. */
  select(request: { method: string; path: string; query: string }): Fault | undefined;
}

/** Counts live beside the faults, which stay plain data; a new object starts again from 0. */
export function createFaultSelector(faults: readonly Fault[] = []): FaultSelector {
  const counts = new WeakMap<Fault, { seen: number; hits: number }>();
  return {
    faults: [...faults],
    select(request) {
      let selected: Fault | undefined;
      for (const fault of this.faults) {
        if (!matchesFault(fault, request)) continue;
        const count = counts.get(fault) ?? { seen: 0, hits: 0 };
        counts.set(fault, count);
        count.seen += 1;
        if (
          selected !== undefined ||
          count.seen <= (fault.after ?? 0) ||
          count.hits >= (fault.times ?? Number.POSITIVE_INFINITY)
        )
          continue;
        count.hits += 1;
        selected = fault;
      }
      return selected;
    },
  };
}

export function matchesFault(fault: Fault, request: { method: string; path: string; query: string }): boolean {
  if (
    fault.method !== undefined &&
    !(typeof fault.method === "string" ? [fault.method] : fault.method).includes(request.method)
  )
    return false;
  if (fault.path === undefined) return true;
  const target = request.query === "" ? request.path : `${request.path}?${request.query}`;
  return new RegExp(fault.path).test(target);
}
