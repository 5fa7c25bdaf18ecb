import { describe, expect, test } from "vitest";
import { matchesSource } from "./match-source.ts";

describe("matchesSource", () => {
  test.each([
    ["https://github.com/acme", "https://github.com/acme/*"],
    ["https://github.com/acme/", "https://github.com/acme/*"],
    ["https://github.com/acme/shop/more", "https://github.com/acme/*"],
    ["https://github.com/acme2/shop", "https://github.com/acme/*"],
    ["https://github.com/acme/..", "https://github.com/acme/*"],
    ["https://github.com/acme/shop?x", "https://github.com/acme/*"],
    ["https://github.com/acme/shop#x", "https://github.com/acme/*"],
    ["https://github.com/acme/%2e%2e", "https://github.com/acme/*"],
    ["https://github.com/acme/a shop", "https://github.com/acme/*"],
    ["http://github.com/acme/shop", "https://github.com/acme/*"],
    ["https://github.com.evil.example/acme/shop", "https://github.com/acme/*"],
    ["https://evil.example/https://github.com/acme/shop", "https://github.com/acme/*"],
    ["https://github.com/acme/shop-two", "https://github.com/acme/shop-*"],
    ["https://github.com/acme/shop2", "https://github.com/acme/shop"],
    ["https://githubXcom/acme/shop", "https://github.com/acme/shop"],
    ["", "*"],
  ])("%s does not match %s", (repository, pattern) => expect(matchesSource(repository, pattern)).toBe(false));

  test.each([
    ["https://github.com/acme/shop", "https://github.com/acme/shop"],
    ["https://github.com/acme/shop", "https://github.com/acme/*"],
    ["https://github.com/acme/shop.js_2-x", "https://github.com/acme/*"],
    ["https://github.com/acme/shop", "https://github.com/*/*"],
  ])("%s matches %s", (repository, pattern) => expect(matchesSource(repository, pattern)).toBe(true));
});
