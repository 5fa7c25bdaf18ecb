const queues = new Map<string, Promise<unknown>>();

/**
 * Runs `body` when everything begun before under the same key in this process has ended, well or not, whichever client
 * it belongs to. Not to be nested under one key.
 */
export async function serialise<T>(key: string, body: () => Promise<T>): Promise<T> {
  const before = queues.get(key) ?? Promise.resolve();
  const mine = before.then(body, body);
  queues.set(key, mine);
  try {
    return await mine;
  } finally {
    if (queues.get(key) === mine) queues.delete(key);
  }
}
