/** Ends a request on which nothing moves, which no timer of undici's does while telling a slow reader from a silent server. */
export interface StallWatch {
  /** From now on, something has to happen within the limit. Arming again starts anew. */
  arm(): void;
  disarm(): void;
  end(): void;
}

/** `limit` in milliseconds. One timer for the whole of a request: it looks at the time when it rings, so that arming for each chunk costs next to nothing. */
export function watchForStall(limit: number, onStall: (error: Error) => void): StallWatch {
  let timer: NodeJS.Timeout | undefined;
  let deadline: number | undefined;
  let hasEnded = false;
  const ring = (): void => {
    timer = undefined;
    if (deadline === undefined) return;
    const rest = deadline - performance.now();
    if (rest > 0) timer = setTimeout(ring, Math.ceil(rest));
    else onStall(Object.assign(new Error(`nothing moved for ${limit} ms`), { code: "ETIMEDOUT" }));
  };
  return {
    arm() {
      if (hasEnded) return;
      deadline = performance.now() + limit;
      timer ??= setTimeout(ring, limit);
    },
    disarm() {
      deadline = undefined;
    },
    end() {
      hasEnded = true;
      deadline = undefined;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
