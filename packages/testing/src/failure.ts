import { InfrastructureError } from "@goldenpath/foundation/errors";
import { expect } from "vitest";

/** How something failed that has to: by an error of the surroundings. */
export async function failureOf(running: Promise<unknown>): Promise<InfrastructureError> {
  const error = await running.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InfrastructureError);
  return error as InfrastructureError;
}
