import { expect, test } from "vitest";
import { oncePer } from "./once-per.ts";

test("each object is read for itself, whatever another of the same content has given", () => {
  const read = oncePer(({ name }: { name: string }) => ({ said: name }));
  expect([read({ name: "a" }).said, read({ name: "b" }).said, read({ name: "a" }).said]).toEqual(["a", "b", "a"]);
});

test("one object is read once, and what came of that is all who ask again are given, undefined too", () => {
  const asked: string[] = [];
  const read = oncePer(({ name }: { name: string }) => {
    asked.push(name);
    return name === "none" ? undefined : { name };
  });
  const [some, none] = [{ name: "some" }, { name: "none" }];
  expect(read(some)).toBe(read(some));
  expect([read(none), read(none)]).toEqual([undefined, undefined]);
  expect(asked).toEqual(["some", "none"]);
});

test("what can't be read fails each time", () => {
  const read = oncePer((_key: object): never => {
    throw new Error("no");
  });
  const key = {};
  expect(() => read(key)).toThrow("no");
  expect(() => read(key)).toThrow("no");
});
