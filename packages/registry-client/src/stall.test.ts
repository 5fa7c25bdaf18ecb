import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { leastRate, watchForStall } from "./stall.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What the watch said, and after how many milliseconds, at most `most`. */
function watchWhile(
  limit: number,
  most: number,
  step: (watch: ReturnType<typeof watchForStall>) => number,
): { after?: number; message?: string } {
  let told: { after: number; message: string } | undefined;
  const begun = performance.now();
  const watch = watchForStall(limit, (error) => {
    told ??= { after: Math.round(performance.now() - begun), message: error.message };
  });
  while (told === undefined && performance.now() - begun < most) vi.advanceTimersByTime(step(watch));
  watch.end();
  return told ?? {};
}

/** Each chunk is waited for so long. */
const drip = (bytes: number, every: number) => (watch: ReturnType<typeof watchForStall>) => {
  watch.disarm();
  watch.moved(bytes);
  watch.arm();
  return every;
};

describe("given up is", () => {
  test("what stands still", () => {
    expect(
      watchWhile(60_000, 1e9, (watch) => {
        watch.arm();
        return 60_000;
      }),
    ).toEqual({ after: 60_000, message: "nothing moved for 60000 ms" });
  });

  test.each([
    [1, 50],
    [1, 10_000],
    [1, 59_000],
    [leastRate / 2, 1_000],
  ])("what sends %i bytes each %i ms, without an end", (bytes, every) => {
    const { after, message } = watchWhile(60_000, 1e9, drip(bytes, every));
    expect(message).toMatch(/^only \d+ bytes moved in 120000 ms$/);
    expect(after).toBeLessThan(240_000);
  });

  test("what is to be read whole, and takes longer than it may, however much comes", () => {
    let isBound = false;
    const { after, message } = watchWhile(60_000, 1e9, (watch) => {
      if (!isBound) watch.bound(300_000);
      isBound = true;
      return drip(1_000_000, 1_000)(watch);
    });
    expect(message).toBe("it did not end in the time that it has");
    expect(after).toBeLessThan(420_000);
  });
});

describe("left alone is", () => {
  test.each([
    [2 * leastRate, 1_000],
    [128 * 1024, 15_000],
    [1_000_000, 59_000],
  ])("what sends %i bytes each %i ms", (bytes, every) => {
    expect(watchWhile(60_000, 3_600_000, drip(bytes, every))).toEqual({});
  });

  test("a reader that takes its time", () => {
    const slow = (watch: ReturnType<typeof watchForStall>): number => {
      watch.arm();
      vi.advanceTimersByTime(1);
      watch.moved(1);
      watch.disarm();
      return 600_000;
    };
    expect(watchWhile(60_000, 36_000_000, slow)).toEqual({});
  });
});
