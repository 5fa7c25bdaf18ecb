import { describe, expect, test } from "vitest";
import { gatherRunFacts, parseRemote } from "./facts.ts";

describe("parseRemote", () => {
  test.each([["/srv/git/shop.git"], ["../shop"], [""], ["file:///srv/shop.git"], ["https://"]])(
    "%s has no public name",
    (remote) => {
      expect(parseRemote(remote)).toBeUndefined();
    },
  );

  test.each([
    ["git@github.com:acme/shop.git", "https://github.com/acme/shop"],
    ["ssh://git@github.com/acme/shop.git", "https://github.com/acme/shop"],
    ["https://github.com/acme/shop", "https://github.com/acme/shop"],
    ["https://token:secret@ghe.acme.example/acme/shop.git", "https://ghe.acme.example/acme/shop"],
  ])("%s is %s", (remote, expected) => expect(parseRemote(remote)).toBe(expected));
});

test("without a checkout there is no source, and the builder is local", async () => {
  const facts = await gatherRunFacts("/", { PATH: process.env["PATH"] });
  expect(facts).toEqual({ builderId: "local" });
});
