/** Runs `body` over `items`, at most `limit` of them at a time; stops starting at the first error, and throws it once nothing is under way any more. */
export async function forEachConcurrently<T>(limit: number, items: readonly T[], body: (item: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  const rest = [...items];
  const work = async (): Promise<void> => {
    while (rest.length > 0 && errors.length === 0) {
      // Not empty: nothing ran between the two lines.
      await body(rest.shift() as T).catch((error: unknown) => errors.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  if (errors.length > 0) throw errors[0];
}
