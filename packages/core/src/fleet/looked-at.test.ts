import { expect, test } from "vitest";
import { isAllLookedAt, isLookedAt, planScope } from "./looked-at.ts";

const environments = {
  production: { to: ["host.example/vetted"] },
  staging: { to: ["host.example/staging"] },
} as unknown as Parameters<typeof planScope>[0]["environments"];
const shop = "host.example/vetted/shop";

test.each<[what: string, named: string[], environment: string | undefined, failures: string[]]>([
  ["another one was named", ["host.example/vetted/api"], undefined, []],
  ["another environment was", [], "staging", []],
  ["it could not be listed", [], undefined, [shop]],
  ["a tag of it could not be read", [], undefined, [`${shop}:1`]],
  ["an image of it could not be had", [shop], undefined, [`${shop}@sha256:x`]],
])("a repository is not looked at where %s", (_what, named, environment, failures) => {
  const scope = planScope({ environments }, named, environment);
  const told = failures.map((what) => ({ what, problem: "p" }));
  expect(isLookedAt(shop, scope, told)).toBe(false);
  expect(isAllLookedAt(scope, told)).toBe(false);
});

test.each<[what: string, named: string[], environment: string | undefined, failures: string[]]>([
  ["all was", [], undefined, []],
  ["its environment was", [], "production", []],
  ["it was named", [shop], undefined, []],
  ["one of a longer name failed", [], undefined, ["host.example/vetted/shopping:1"]],
])("it is where %s, though no image of it is left", (_what, named, environment, failures) => {
  const scope = planScope({ environments }, named, environment);
  const told = failures.map((what) => ({ what, problem: "p" }));
  expect(isLookedAt(shop, scope, told)).toBe(true);
  expect(isLookedAt("host.example/vetted2/shop", scope, told)).toBe(false);
  expect(isAllLookedAt(scope, told)).toBe(named.length + failures.length === 0 && environment === undefined);
});
