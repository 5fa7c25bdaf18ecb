/** Lets at most `places` bodies run at once; the others wait, first come first served. */
export function createTurns(places: number): <T>(body: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = places;
  return async (body) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await body();
    } finally {
      const next = waiting.shift();
      // A place is handed on rather than freed, so that nobody slips in between.
      if (next === undefined) free++;
      else next();
    }
  };
}

/** One body at a time per key. */
export function createKeyedTurns(): <T>(key: string, body: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, body) => {
    const before = last.get(key);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return body();
    })();
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
