import { describe, expect, test } from "vitest";
import { judgeData, judgeRollback } from "./judge-data.ts";

const now = new Date("2026-11-10T12:00:00Z");
const hour = 3_600_000;
const ago = (milliseconds: number): Date => new Date(now.getTime() - milliseconds);

function judge(change: Partial<Parameters<typeof judgeData>[0]["data"]>, scanner = "grype"): string | undefined {
  const data = {
    ...{ scanner: "grype", file: "db.tar.zst", built: ago(30 * hour), schema: "v6.1.0" },
    ...{ source: "https://publisher.example/db.tar.zst", mirroredAt: ago(24 * hour), ...change },
  };
  return judgeData({ data, scanner, maxAge: 48 * hour, now })?.code;
}

describe("mirrored data", () => {
  test.each([
    ["of another scanner", { scanner: "osv-scanner" }, "data-untrusted"],
    [
      "last seen as the newest a millisecond too long ago",
      { mirroredAt: ago(48 * hour + 1), built: ago(60 * hour) },
      "data-outdated",
    ],
    ["mirrored in the future", { mirroredAt: ago(-5 * 60_000 - 1) }, "data-outdated"],
    ["made after it was mirrored", { built: ago(24 * hour - 5 * 60_000 - 1) }, "data-untrusted"],
  ])("%s is refused", (_name, change, code) => {
    expect(judge(change)).toBe(code);
  });

  test.each([
    ["seen just so long ago", { mirroredAt: ago(48 * hour), built: ago(60 * hour) }],
    ["mirrored by a clock that is five minutes ahead", { mirroredAt: ago(-5 * 60_000) }],
    ["made five minutes after it was mirrored, by another clock", { built: ago(24 * hour - 5 * 60_000) }],
  ])("%s is taken", (_name, change) => {
    expect(judge(change)).toBeUndefined();
  });

  test("says for how long nobody has looked", () => {
    const data = {
      scanner: "grype",
      file: "a",
      built: ago(90 * hour),
      schema: "",
      source: "",
      mirroredAt: ago(80 * hour),
    };
    expect(judgeData({ data, scanner: "grype", maxAge: 48 * hour, now })?.problem).toBe(
      "that it is the newest was last seen on 2026-11-07T04:00:00.000Z, 80 hours ago; the policy accepts 48",
    );
  });
});

describe("data that an earlier scan of the image was by", () => {
  const earlier = new Map([["grype", ago(10 * hour)]]);

  test("is not followed by older", () => {
    expect(judgeRollback({ scanner: "grype", built: ago(10 * hour + 1) }, earlier)?.code).toBe("data-rolled-back");
  });

  test("may be used again, and is another scanner's affair", () => {
    expect(judgeRollback({ scanner: "grype", built: ago(10 * hour) }, earlier)).toBeUndefined();
    expect(judgeRollback({ scanner: "osv-scanner", built: ago(99 * hour) }, earlier)).toBeUndefined();
  });
});
