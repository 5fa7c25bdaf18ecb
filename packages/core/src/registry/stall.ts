/** Ends a request on which nothing moves, which no timer of undici's does while telling a slow reader from a silent server. */
export interface StallWatch {
  signal: AbortSignal;
  /** From now on, something has to happen within the limit. Arming again starts anew. */
  arm(): void;
  disarm(): void;
  end(): void;
  /** The error to report, where it was the watch that ended the request. */
  reason(): Error | undefined;
}

/** `limit` in milliseconds; `outer` ends the request as well. */
export function watchForStall(limit: number, outer: AbortSignal | undefined): StallWatch {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let stalled: Error | undefined;
  const onAbort = () => controller.abort(outer?.reason);
  outer?.addEventListener("abort", onAbort, { once: true });
  if (outer?.aborted === true) onAbort();
  const disarm = () => clearTimeout(timer);
  return {
    signal: controller.signal,
    arm() {
      clearTimeout(timer);
      timer = setTimeout(() => {
        stalled = Object.assign(new Error(`nothing moved for ${limit} ms`), { code: "ETIMEDOUT" });
        controller.abort(stalled);
      }, limit);
    },
    disarm,
    end() {
      disarm();
      outer?.removeEventListener("abort", onAbort);
    },
    reason: () => stalled,
  };
}
