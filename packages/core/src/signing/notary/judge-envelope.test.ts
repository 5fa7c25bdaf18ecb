import { describe, expect, test } from "vitest";
import { CertificateProblem } from "../extensions.ts";
import { exceedsValidity, judgeDated, judgeUndated } from "./judge-envelope.ts";

const at = (milliseconds: number): Date => new Date(Date.UTC(2026, 10, 26) + milliseconds);
const day = 86_400_000;
const validity = { from: at(0), until: at(day) };

describe("a signature that nobody dates", () => {
  test("holds while its certificates do, or until it says itself, whichever is earlier", () => {
    expect(judgeUndated(validity, undefined)).toEqual({ holds: validity });
    expect(judgeUndated(validity, at(day - 1))).toEqual({ holds: { from: at(0), until: at(day - 1) } });
    expect(judgeUndated(validity, at(day + 1))).toEqual({ holds: validity });
  });
});

describe("a signature that somebody dates", () => {
  test.each([
    ["before its certificates held", at(-1), "2026-11-25T23:59:59.999Z"],
    ["after they held", at(day + 1), "2026-11-27T00:00:00.001Z"],
    ["at no time", new Date(Number.NaN), "a time that can't be read"],
  ])("%s counts for nothing", (_when, time, told) => {
    expect(() => judgeDated(validity, undefined, time)).toThrow(
      new CertificateProblem(`its certificates did not hold when it was signed, at ${told}`),
    );
  });

  test.each([0, 1, day])("within their time holds for as long as it says itself (%d ms)", (milliseconds) => {
    const time = at(milliseconds);
    expect(judgeDated(validity, undefined, time)).toStrictEqual({ time, holds: {} });
    expect(judgeDated(validity, at(9 * day), time)).toEqual({ time, holds: { until: at(9 * day) } });
  });
});

describe("how long a signature holds at most", () => {
  const longer = expect.stringMatching(
    /^it holds until 2026-.*Z, longer than the policy has signatures of this signer/,
  );

  test("has an end", () => {
    expect(exceedsValidity({ signedAt: at(0) }, day)).toBe(
      "it does not expire, and the policy has signatures of this signer expire",
    );
  });

  test("is counted from the signer's own time where nobody else says one, to the millisecond", () => {
    expect(exceedsValidity({ signedAt: at(0), expires: at(day) }, day)).toBeUndefined();
    expect(exceedsValidity({ signedAt: at(0), expires: at(day + 1) }, day)).toEqual(longer);
    expect(exceedsValidity({ signedAt: at(1), expires: at(day + 1) }, day)).toBeUndefined();
  });

  test("is counted from the earlier one of both, with what clocks may differ by", () => {
    const slack = 5 * 60_000;
    for (const [signedAt, time] of [
      [at(0), at(day)],
      [at(day), at(0)],
    ] as const) {
      expect(exceedsValidity({ signedAt, expires: at(day + slack) }, day, time)).toBeUndefined();
      expect(exceedsValidity({ signedAt, expires: at(day + slack + 1) }, day, time)).toEqual(longer);
    }
  });
});
