import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createHostGate, type HostGate, type Place, runAsSource } from "./host-gate.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Asks for a place, and tells when it is there. */
function ask(gate: HostGate): { place?: Place; error?: unknown } {
  const asked: { place?: Place; error?: unknown } = {};
  // Where it is closed already, it throws at once.
  (async () => gate.enter())().then(
    (place) => Object.assign(asked, { place }),
    (error: unknown) => Object.assign(asked, { error }),
  );
  return asked;
}
const settle = () => vi.advanceTimersByTimeAsync(0);
const count = (asked: readonly { place?: Place }[]) =>
  asked.map(({ place }) => (place === undefined ? "waits" : "has")).join(" ");

test("no more than the limit have a place; who came first is next", async () => {
  const gate = createHostGate("a", 2);
  const asked = [1, 2, 3, 4].map(() => ask(gate));
  await settle();
  expect(count(asked)).toBe("has has waits waits");
  asked[1]?.place?.leave();
  asked[1]?.place?.leave();
  await settle();
  expect(count(asked)).toBe("has has has waits");
  const late = ask(gate);
  asked[0]?.place?.leave();
  await settle();
  expect(count([...asked, late])).toBe("has has has has waits");
});

test("who waits when it is closed, and who comes later, gets its reason", async () => {
  const gate = createHostGate("a", 1);
  const asked = [ask(gate), ask(gate)];
  await settle();
  const reason = new Error("given up");
  gate.close(reason);
  const later = ask(gate);
  await settle();
  expect([asked[1]?.error, later.error]).toEqual([reason, reason]);
});

test("a source needs no place at the host that its content goes to, and one at any other", async () => {
  const here = createHostGate("a", 1);
  const there = createHostGate("b", 1);
  const held = [ask(here), ask(there)];
  await settle();
  const nested = await runAsSource("a", async () => {
    await Promise.resolve();
    return [ask(here), ask(there), runAsSource("b", () => ask(there))];
  });
  const outside = ask(here);
  await settle();
  expect(count([...held, ...nested, outside])).toBe("has has has waits has waits");
});

test("one more is let in when all places stand idle, and none while one waits for the server, however long", async () => {
  const gate = createHostGate("a", 2, 100);
  const asked = [1, 2, 3, 4].map(() => ask(gate));
  await settle();
  asked[0]?.place?.setIdle(true);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(count(asked)).toBe("has has waits waits");
  asked[1]?.place?.setIdle(true);
  await vi.advanceTimersByTimeAsync(200);
  expect(count(asked)).toBe("has has has waits");
  // The new one is at work: the fourth waits for it.
  await vi.advanceTimersByTimeAsync(10_000);
  expect(count(asked)).toBe("has has has waits");
  asked[2]?.place?.leave();
  await vi.advanceTimersByTimeAsync(200);
  expect(count(asked)).toBe("has has has has");
});

test("a reader that only pauses between two pieces lets nobody in", async () => {
  const gate = createHostGate("a", 1, 100);
  const asked = [ask(gate), ask(gate)];
  await settle();
  for (let time = 0; time < 1000; time += 50) {
    asked[0]?.place?.setIdle(time % 100 === 0);
    await vi.advanceTimersByTimeAsync(50);
  }
  expect(count(asked)).toBe("has waits");
});

test("half as many after a 429, and one more again after twenty good answers, up to the limit", async () => {
  const gate = createHostGate("a", 4);
  const atOnce = async (): Promise<number> => {
    const asked = Array.from({ length: 8 }, () => ask(gate));
    await settle();
    const having = asked.filter(({ place }) => place !== undefined).length;
    for (const each of asked) {
      await settle();
      each.place?.leave();
    }
    return having;
  };
  expect(await atOnce()).toBe(4);
  gate.slowDown();
  expect(await atOnce()).toBe(2);
  for (let time = 0; time < 5; time++) gate.slowDown();
  expect(await atOnce()).toBe(1);
  for (let time = 0; time < 19; time++) gate.speedUp();
  expect(await atOnce()).toBe(1);
  gate.speedUp();
  expect(await atOnce()).toBe(2);
  for (let time = 0; time < 200; time++) gate.speedUp();
  expect(await atOnce()).toBe(4);
});

test("who has left is none of those who wait for their readers", async () => {
  const gate = createHostGate("a", 2);
  const asked = [ask(gate), ask(gate), ask(gate), ask(gate)];
  await settle();
  asked[0]?.place?.setIdle(true);
  asked[0]?.place?.leave();
  await settle();
  asked[1]?.place?.setIdle(true);
  asked[2]?.place?.setIdle(true);
  await vi.advanceTimersByTimeAsync(1000);
  expect(count(asked)).toBe("has has has has");
});
