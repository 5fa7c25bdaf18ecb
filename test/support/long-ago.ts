import { vi } from "vitest";

/** Milliseconds. */
export const threeYears = 3 * 365 * 24 * 3_600_000;

/** Work done when it was three years earlier, by the clock of this process. */
export async function longAgo<T>(work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - threeYears });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}
