import { describe, expect, test } from "vitest";
import { faults } from "../support/fault-kinds.ts";
import { listCells } from "../support/fault-matrix.ts";
import { scenarios } from "../support/fault-operations.ts";
import { operations, type RequestKind, requestKinds } from "../support/fault-scenario.ts";

const kindsOf = (operation: string): RequestKind[] => [
  ...new Set(
    scenarios
      .filter((scenario) => scenario.operation === operation)
      .flatMap(({ points }) => points.map(({ kind }) => kind)),
  ),
];

describe("the matrix", () => {
  test("has every fault that registries are known for", () => {
    expect(Object.keys(faults)).toEqual(
      [
        "429, Retry-After in seconds",
        "429, Retry-After as a date",
        "429 alone",
        "500",
        "502",
        "503",
        "503, Retry-After in seconds",
        "504",
        "reset before the headers",
        "reset after the work is done",
        "reset in the headers",
        "reset in the body",
        "reset in what is sent",
        "cut off in order",
        "stalled before the headers",
        "stalled in the body",
        "wrong bytes of the right length",
        "wrong digest header",
        "Content-Length too large",
        "Content-Length too small",
        "more than 4 MiB",
        "malformed JSON",
        "JSON of something else",
        "a list that leads back into itself",
        "a list without an end",
        "expired token",
        "redirect to another host that has the same",
        "redirect to another host that asks for a login",
        "redirect to plain http",
        "redirect into the private network",
        "redirect in a circle",
        "404 for referrers",
        "subject header without referrers",
      ].toSorted(byIntegersFirst),
    );
  });

  test("has every kind of request in it", () => {
    expect([...new Set(scenarios.flatMap(({ points }) => points.map(({ kind }) => kind)))].sort()).toEqual(
      [...requestKinds].sort(),
    );
  });

  test.each(operations)("%s meets each fault, once and for good, or it is said why it cannot", (operation) => {
    const cells = listCells(operation);
    for (const [fault, { at }] of Object.entries(faults)) {
      const run = cells.filter((cell) => cell.fault === fault);
      const reasons = kindsOf(operation).flatMap((kind) => (typeof at[kind] === "string" ? [at[kind]] : []));
      expect(reasons.every((reason) => reason.length > 10)).toBe(true);
      if (run.length === 0) expect(reasons, `${operation} × ${fault}`).toHaveLength(kindsOf(operation).length);
      else
        expect(new Set(run.map(({ forGood }) => forGood)), `${operation} × ${fault}`).toEqual(new Set([true, false]));
    }
  });

  // Pinned, so that a cell that goes missing is seen: pairs of operation and fault that are run, those that are not,
  // and cells.
  test("has the size that it had", () => {
    const pairs = operations.flatMap((operation) => Object.keys(faults).map((fault) => ({ operation, fault })));
    const cells = operations.flatMap(listCells);
    const isRun = (pair: { operation: string; fault: string }): boolean =>
      cells.some((cell) => cell.scenario.operation === pair.operation && cell.fault === pair.fault);
    const impossible = pairs.filter((pair) => !isRun(pair)).map(({ operation, fault }) => `${operation} × ${fault}`);
    expect(impossible).toMatchInlineSnapshot(`
      [
        "pull × reset in what is sent",
        "pull × a list that leads back into itself",
        "pull × a list without an end",
        "pull × 404 for referrers",
        "pull × subject header without referrers",
        "push × a list that leads back into itself",
        "push × a list without an end",
        "push × 404 for referrers",
        "mount × a list that leads back into itself",
        "mount × a list without an end",
        "mount × 404 for referrers",
        "mount × subject header without referrers",
        "referrers-read × reset in what is sent",
        "tag × 404 for referrers",
        "tag × subject header without referrers",
        "login × reset in what is sent",
        "login × a list that leads back into itself",
        "login × a list without an end",
        "login × expired token",
        "login × 404 for referrers",
        "login × subject header without referrers",
      ]
    `);
    expect([pairs.length, impossible.length, cells.length]).toMatchInlineSnapshot(`
      [
        231,
        21,
        3548,
      ]
    `);
  });

  test("is run against both kinds of login wherever it can be", () => {
    for (const operation of operations.filter((each) => each !== "login")) {
      expect(new Set(listCells(operation).map(({ auth }) => auth))).toEqual(new Set(["basic", "bearer"]));
    }
  });
});

/** An object's keys that look like integers come first, whatever the order in which they were written. */
function byIntegersFirst(a: string, b: string): number {
  return Number(/^\d+$/.test(b)) - Number(/^\d+$/.test(a));
}
