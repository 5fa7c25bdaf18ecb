/** What is under way at once, each of which can be ended with an error. */
export interface Active {
  /** @returns what takes it out again; more than once does no harm */
  add(fail: (error: Error) => void): () => void;
  /** Ends all that are in here now. */
  failAll(error: Error): void;
}

interface Entry {
  fail: (error: Error) => void;
  /** Where it stands in the list; less than nothing when it has left. */
  at: number;
}

/**
 * A list whose last takes the place of who leaves. Not a Set: when many come and go, V8 makes its table anew again and
 * again, each old one leads to the next, and the first that is old enough keeps all that ever was in one of them until
 * the whole heap is collected: more than 3 KB for each small request.
 */
export function createActive(): Active {
  const entries: Entry[] = [];
  return {
    add(fail) {
      const entry: Entry = { fail, at: entries.length };
      entries.push(entry);
      return () => {
        if (entry.at < 0) return;
        const last = entries.pop();
        if (last !== undefined && last !== entry) {
          entries[entry.at] = last;
          last.at = entry.at;
        }
        entry.at = -1;
      };
    },
    failAll(error) {
      for (const { fail } of [...entries]) fail(error);
    },
  };
}
