import { expect, test } from "vitest";
import { createActive } from "./active.ts";

/** Whoever is ended, by name. */
function collect() {
  const active = createActive();
  const ended: string[] = [];
  const enter = (name: string) => active.add(({ message }) => ended.push(`${name}: ${message}`));
  return { active, ended, enter };
}

test("an end reaches whoever is under way, wherever those stood who have left", () => {
  for (const leaving of [[0], [1], [2], [0, 2], [2, 0], [1, 0, 2]]) {
    const { active, ended, enter } = collect();
    const names = ["a", "b", "c", "d"];
    const leave = names.map(enter);
    for (const at of leaving) leave[at]?.();
    active.failAll(new Error("closed"));
    const left = names.filter((_, at) => !leaving.includes(at));
    expect(ended.toSorted()).toEqual(left.map((name) => `${name}: closed`));
  }
});

test("who leaves twice takes nobody else along", () => {
  const { active, ended, enter } = collect();
  const leave = enter("a");
  enter("b");
  leave();
  leave();
  enter("c");
  leave();
  active.failAll(new Error("closed"));
  expect(ended).toEqual(["b: closed", "c: closed"]);
});

test("who leaves because of the end, or comes during it, disturbs nobody", () => {
  const { active, ended, enter } = collect();
  const leave = active.add(() => {
    leave();
    enter("late");
  });
  enter("b");
  active.failAll(new Error("closed"));
  expect(ended).toEqual(["b: closed"]);
});
