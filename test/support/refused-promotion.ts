import type { Execution } from "@goldenpath/core/verbs/execute";
import { isKnownError } from "@goldenpath/foundation/errors";
import type { Falsehoods, TestImage } from "@goldenpath/testing/chain";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";

export const day = 86_400_000;
export let stand: Stand;
export let counter = 0;
/** The images of what follows are others. */
export const nextImages = (): number => ++counter;

/** An image that no other test has. */
export const fresh = (falsehoods?: Falsehoods): Promise<TestImage> => stand.stageImage(falsehoods, `image ${counter}`);

/** Promotes, and holds it to having changed nothing in vetted, nor having tried to. */
export async function promoteInVain(
  image: TestImage | string,
  inputs?: Readonly<Record<string, string>>,
): Promise<Execution> {
  const before = await stand.vettedState();
  expect(before["vetted/shop"]?.tags).toHaveProperty("0.9.0");
  stand.vetted.requests.length = 0;
  const execution = await stand.promote(image, inputs);
  expect(await stand.vettedState()).toEqual(before);
  expect(stand.vettedWrites()).toEqual([]);
  expect(execution.outcome.outputs["image"] ?? "").toBe("");
  return execution;
}

export function expectRefusal({ outcome, error }: Execution, rules: string[], thing: string | RegExp = /./): void {
  expect(error).toBeUndefined();
  expect(outcome.verdict).toBe("fail");
  expect([...new Set(outcome.result.violations.map(({ rule }) => rule))]).toEqual(rules);
  for (const violation of outcome.result.violations) {
    expect(violation.exception).toBeUndefined();
    expect(violation.wayOut).not.toBe("");
    expect(violation.thing).toMatch(thing);
  }
  expect(outcome.result.subject?.children.every((child) => child.verdict === "fail")).toBe(true);
  expect(outcome.summary).toContain("Nothing was written");
}

export function expectError(
  { outcome, error }: Execution,
  code: string,
  type: "UserError" | "InfrastructureError" = "UserError",
): void {
  expect(isKnownError(error) && error.code).toBe(code);
  expect(isKnownError(error) && error.name).toBe(type);
  expect(outcome.verdict).toBe("error");
  expect(outcome.result.error?.code).toBe(code);
}

/** Registers the hooks that open and close what the tests share. */
export function useRefusals(): void {
  beforeAll(async () => {
    stand = await openStand();
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    counter++;
  });
}
