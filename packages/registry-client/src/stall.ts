/**
 * Ends a request on which nothing moves, or next to nothing, which no timer of undici's does while telling a slow
 * reader from a silent server.
 */
export interface StallWatch {
  /**
   * From now on it is the other side that is waited for: something has to happen within the limit. Arming again starts
   * anew.
   */
  arm(): void;
  disarm(): void;
  /** So many bytes went one way or the other. */
  moved(bytes: number): void;
  /** From now on no more than so many milliseconds of waiting, whatever moves. */
  bound(milliseconds: number): void;
  end(): void;
}

/**
 * The least that has to move while it is the other side that is waited for, in bytes a second: a tenth of what the
 * slowest line does that anybody builds on. Without it, a byte now and then would keep a request for as long as a job
 * may run.
 */
export const leastRate = 4 * 1024;

/**
 * `limit` in milliseconds: so long may nothing move; and in twice that time of waiting, as much has to as {@link
 * leastRate} asks for. One timer for the whole of a request: it looks at the time when it rings, so that arming for
 * each chunk costs next to nothing.
 */
export function watchForStall(limit: number, onStall: (error: Error) => void): StallWatch {
  const span = 2 * limit;
  const least = (leastRate * span) / 1000;
  let timer: NodeJS.Timeout | undefined;
  let deadline: number | undefined;
  let armedAt = 0;
  /** Waited, and moved, since enough had moved the last time. */
  let waited = 0;
  let bytes = 0;
  /** Milliseconds of waiting that are left in all. */
  let left = Number.POSITIVE_INFINITY;
  let hasEnded = false;
  const ring = (): void => {
    timer = undefined;
    if (deadline === undefined) return;
    const rest = deadline - performance.now();
    if (rest > 0) timer = setTimeout(ring, Math.ceil(rest));
    else onStall(Object.assign(new Error(describe()), { code: "ETIMEDOUT" }));
  };
  function describe(): string {
    if (left < Math.min(limit, span - waited)) return "it did not end in the time that it has";
    return span - waited < limit ? `only ${bytes} bytes moved in ${span} ms` : `nothing moved for ${limit} ms`;
  }
  function count(): void {
    if (deadline === undefined) return;
    const passed = performance.now() - armedAt;
    waited += passed;
    left -= passed;
  }
  return {
    arm() {
      if (hasEnded) return;
      count();
      armedAt = performance.now();
      deadline = armedAt + Math.max(0, Math.min(limit, span - waited, left));
      timer ??= setTimeout(ring, Math.ceil(deadline - armedAt));
    },
    disarm() {
      count();
      deadline = undefined;
    },
    moved(more) {
      bytes += more;
      if (bytes < least) return;
      bytes = 0;
      waited = 0;
    },
    bound(milliseconds) {
      left = milliseconds;
    },
    end() {
      hasEnded = true;
      deadline = undefined;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
