/**
 * Runs `body` over the items, so many at a time, and returns what it gave in the items' order. After the first error
 * nothing more is begun, and it is thrown once nothing is under way any more.
 */
export async function mapConcurrently<T, R>(
  limit: number,
  items: readonly T[],
  body: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const errors: unknown[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length && errors.length === 0) {
      const index = next++;
      try {
        results[index] = await body(items[index] as T, index);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  if (errors.length > 0) throw errors[0];
  return results;
}

/** As `Promise.all`, but whoever is told of an error is told once nothing is under way any more, and of the first in order. */
export async function settleAll<T extends readonly unknown[]>(
  ...work: { [K in keyof T]: Promise<T[K]> | T[K] }
): Promise<T> {
  const settled = await Promise.allSettled(work);
  const values = settled.map((each) => {
    if (each.status === "rejected") throw each.reason;
    return each.value as unknown;
  });
  return values as unknown as T;
}

/** Work that is asked for here and there, so many at a time, in the order in which it was asked for. */
export function createTurns(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // The place is handed on: nobody who comes now can take it.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
