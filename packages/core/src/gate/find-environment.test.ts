import { environment, policy } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import { findEnvironment, findOnlyEnvironment } from "./find-environment.ts";

const withEnvironments = (...names: string[]) => ({
  ...policy,
  policy: { ...policy.policy, environments: Object.fromEntries(names.map((name) => [name, environment])) },
});

test("an environment is one of the policy's, by its own name", () => {
  expect(findEnvironment(withEnvironments("staging", "production"), "production")).toBe(environment);
  const wayOut = "Name an environment of the policy, or have its owners add this one.";
  const named = (name: string, others: string) =>
    expect.objectContaining({
      ...{ name: "UserError", code: "environment-unknown", wayOut },
      message: `input 'environment' is '${name}'; policy '${policy.policy.name}' has ${others}`,
    });
  for (const name of ["prod", "toString", "__proto__"])
    expect(() => findEnvironment(withEnvironments("staging", "production"), name)).toThrow(
      named(name, "staging, production"),
    );
  expect(() => findEnvironment(withEnvironments(), "production")).toThrow(named("production", "none"));
});

test("the only one needs no name, and of several one does", () => {
  expect(findOnlyEnvironment(withEnvironments("production"))).toBe("production");
  const unnamed = (others: string) =>
    expect.objectContaining({
      ...{ name: "UserError", code: "environment-unknown", wayOut: "Name the one that is meant." },
      message: `no environment is named, and policy '${policy.policy.name}' has ${others}`,
    });
  expect(() => findOnlyEnvironment(withEnvironments("staging", "production"))).toThrow(unnamed("staging, production"));
  expect(() => findOnlyEnvironment(withEnvironments())).toThrow(unnamed("none"));
});
