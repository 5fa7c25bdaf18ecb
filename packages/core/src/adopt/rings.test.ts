import { describe, expect, test } from "vitest";
import { findRing, readRings } from "./rings.ts";

const ringOf = (repository: string, ...names: string[]) => findRing({ repository }, [names]);

describe("a ring has no repository that it does not name", () => {
  test.each([
    ["acme/shop", "acme/shopping"],
    ["acme/shopping", "acme/shop"],
    ["acme/my-shop", "acme/shop"],
    ["acme/shop", "acme/sh.p"],
    ["acme-2/shop", "acme/*"],
    ["other/acme", "acme/*"],
    ["acme/shop-web", "acme/*-api"],
    ["acme/web-shop", "acme/shop-*"],
    // One letter can't be in two parts.
    ["acme/aba", "acme/ab*ba"],
    ["acme/shop", "acme/*p*p"],
    ["acme/b-a", "acme/*a*b"],
  ])("%s by %s", (repository, name) => expect(ringOf(repository, name)).toBeUndefined());

  // Whoever tried each way would take years, and the test its time limit.
  test("however many `*` are in a name, it is read in no time", () => {
    expect(ringOf(`acme/${"a".repeat(100)}`, `acme/${"*a".repeat(50)}*b`)).toBeUndefined();
  });
});

test.each([
  ["acme/shop", "acme/shop"],
  ["Acme/Shop", "acme/shop"],
  ["acme/shop", "ACME/*"],
  ["acme/shop", "acme/*shop"],
  ["acme/shop", "acme/shop*"],
  ["acme/shop", "acme/s**p"],
  ["acme/abba", "acme/ab*ba"],
  ["acme/shop-web-api", "acme/*-web-*"],
  ["acme/a.b", "acme/a.*"],
])("%s is named by %s", (repository, name) => expect(ringOf(repository, name)).toBe(1));

test("the first ring that names it counts, and without rings all are in the first", () => {
  const rings = readRings("- [acme/try]\n- [acme/*, other/try]\n", "rings.yaml");
  const at = (repository: string) => findRing({ repository }, rings);
  expect(["acme/try", "acme/shop", "other/try", "other/shop"].map(at)).toEqual([1, 2, 2, undefined]);
  expect(findRing({ repository: "other/shop" }, undefined)).toBe(1);
});

test.each(["", "[]", "[[]]", "[acme/shop]", "[[acme]]", "[['*/shop']]", "[[acme/a/b]]", "[[acme/sho?]]", "- ["])(
  "no rings: %s",
  (text) => expect(() => readRings(text, "rings.yaml")).toThrow("rings.yaml is no list of rings"),
);
