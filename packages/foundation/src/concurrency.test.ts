import { expect, test } from "vitest";
import { createTurns, mapConcurrently, settleAll } from "./concurrency.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("an error stops what has not begun, and is thrown when nothing is under way any more", async () => {
  const ended: number[] = [];
  const begun: number[] = [];
  const run = mapConcurrently(2, [0, 1, 2, 3, 4], async (item) => {
    begun.push(item);
    await turn();
    if (item === 0) throw new Error("first");
    await turn();
    ended.push(item);
  });
  await expect(run).rejects.toThrow("first");
  expect(begun).toEqual([0, 1]);
  expect(ended).toEqual([1]);
});

test("an error that is undefined is one", async () => {
  await expect(mapConcurrently(1, [0], () => Promise.reject(undefined))).rejects.toBeUndefined();
});

test("results are in the items' order, and never more than the limit are under way", async () => {
  let most = 0;
  let now = 0;
  const results = await mapConcurrently(3, [5, 4, 3, 2, 1, 0], async (turns, index) => {
    most = Math.max(most, ++now);
    for (let each = 0; each < turns; each++) await turn();
    now--;
    return `${index}:${turns}`;
  });
  expect(results).toEqual(["0:5", "1:4", "2:3", "3:2", "4:1", "5:0"]);
  expect(most).toBe(3);
});

test("nothing is over nothing", async () => {
  expect(await mapConcurrently(4, [], () => Promise.reject(new Error("called")))).toEqual([]);
});

test("of several that are waited for, the first's error is told, and only when the last has ended", async () => {
  const ended: string[] = [];
  const slow = turn()
    .then(turn)
    .then(() => {
      ended.push("slow");
      throw new Error("slow");
    });
  const quick = Promise.reject(new Error("quick"));
  await expect(settleAll(slow, quick)).rejects.toThrow("slow");
  expect(ended).toEqual(["slow"]);
  expect(await settleAll(Promise.resolve(1), undefined, "two")).toEqual([1, undefined, "two"]);
});

test("turns: so many at a time, in the order in which they were asked for, after a failure as well", async () => {
  const inTurn = createTurns(2);
  const begun: number[] = [];
  let atOnce = 0;
  let most = 0;
  const work = (number: number) =>
    inTurn(async () => {
      begun.push(number);
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setTimeout(resolve, 2));
      atOnce -= 1;
      if (number % 3 === 0) throw new Error(`${number}`);
      return number;
    });
  const answers = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(work));
  expect(answers.map(({ status }) => status)).toEqual([
    ...["rejected", "fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"],
  ]);
  expect({ begun, most }).toEqual({ begun: [0, 1, 2, 3, 4, 5], most: 2 });
  expect(await work(7)).toBe(7);
});
