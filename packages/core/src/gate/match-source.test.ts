import { describe, expect, test } from "vitest";
import { matchesSource, matchesWorkflow } from "./match-source.ts";

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
    ["https://github.com/acme/.github", "https://github.com/acme/*"],
    ["https://github.com/acme/shop.", "https://github.com/acme/*"],
  ])("%s matches %s", (repository, pattern) => expect(matchesSource(repository, pattern)).toBe(true));
});

describe("matchesWorkflow", () => {
  const file = "https://github.com/acme/platform/.github/workflows/build.yml";
  test.each([
    [`${file}@refs/heads/main`, `${file}@refs/heads/release`],
    [`${file}@refs/heads/main`, `${file}@*`],
    [`${file}2@abc`, `${file}@*`],
    [`${file}@abc`, `${file}2@*`],
    [`${file}@abc`, `${file}@bc`],
    [`${file}@abc@x`, `${file}@*`],
    [`${file}@abc`, file],
    [file, `${file}@abc`],
    [file, `${file}@*`],
    ["https://github.com/acme/a", "https://github.com/acme/b"],
  ])("%s does not match %s", (workflow, pattern) => expect(matchesWorkflow(workflow, pattern)).toBe(false));

  test.each([
    [`${file}@refs/heads/main`, `${file}@refs/heads/main`],
    [`${file}@refs/heads/main`, `${file}@refs/heads/*`],
    [`${file}@abc`, `${file}@*`],
    [`${file}@abc`, "https://github.com/acme/*/.github/workflows/*@abc"],
    [file, file],
    // A part that neither has matches, and nothing stands for it.
    [file, `${file}@`],
  ])("%s matches %s", (workflow, pattern) => expect(matchesWorkflow(workflow, pattern)).toBe(true));
});
