import { expect, test } from "vitest";
import { readSource } from "./source-name.ts";

test.each([
  "https://github.com/acme",
  "https://github.com/acme/shop/x",
  "https://github.com/acme/..",
  "https://github.com/../shop",
  "https://github.com@evil.example/acme/shop",
  "https://github.com/acme/shop?x",
  "git@github.com:acme/shop",
  "http://github.com/acme/shop",
])("%s is no source", (address) => {
  expect(readSource(address)).toBeUndefined();
});

test("equal names on two servers are two sources", () => {
  expect(readSource("https://gitlab.example/acme/shop")).toEqual({
    ...{ server: "https://gitlab.example", owner: "acme", repo: "shop" },
  });
  expect(readSource("https://GitHub.com/acme/shop")?.server).toBe("https://github.com");
});
