import { makeFinding } from "@goldenpath/testing/findings";
import { describe, expect, test } from "vitest";
import type { Violation } from "../result.ts";
import type { Finding } from "./finding.ts";
import { findSuppressions, type JudgedImage } from "./suppressions.ts";
import type { VexAnswer } from "./vex/match.ts";

const finding = makeFinding();
const granted = { reason: "unused", owner: "team", expires: "2026-05-31" };

function image(exceptions: Violation["exception"][], status?: "not_affected" | "affected"): JudgedImage {
  const refused = exceptions.map((exception) => ({
    finding,
    violation: {
      ...{ rule: "scan.severity" as const, thing: "a", problem: "b", wayOut: "c" },
      ...(exception === undefined ? {} : { exception }),
    },
  }));
  if (status === undefined) return { findings: [finding], refused };
  const answer = {
    ...{ statement: { status, because: "the code is not there" }, signer: "security" },
    isClosed: status === "not_affected",
  } as unknown as VexAnswer;
  return { findings: [finding], refused, vexOf: () => answer };
}
const reason = (...images: JudgedImage[]): string | undefined => findSuppressions(images)(finding);

describe("a finding is open", () => {
  test.each<[string, JudgedImage[]]>([
    ["where nothing sets it aside", [image([])]],
    ["where it is refused", [image([undefined])]],
    ["where an exception is for one of two rules", [image([granted, undefined])]],
    ["where VEX says that it is affected", [image([], "affected")]],
    ["where it is open on another platform", [image([granted]), image([])]],
    ["where it is open on another platform that comes first", [image([undefined]), image([], "not_affected")]],
  ])("%s", (_name, images) => {
    expect(reason(...images)).toBeUndefined();
  });

  test("where it is another one", () => {
    const other: Finding = makeFinding({ id: "CVE-2099-1" });
    expect(findSuppressions([image([granted])])(other)).toBeUndefined();
  });
});

describe("it is not", () => {
  test("by an exception, and by several once each", () => {
    expect(reason(image([granted, granted]))).toBe("unused (team, until 2026-05-31)");
    expect(reason(image([granted, { ...granted, owner: "sec" }]))).toBe(
      "unused (team, until 2026-05-31); unused (sec, until 2026-05-31)",
    );
  });

  test("by VEX", () => {
    expect(reason(image([], "not_affected"), image([granted]))).toBe("unused (team, until 2026-05-31)");
    expect(reason(image([], "not_affected"))).toBe("VEX by security: not_affected, the code is not there");
  });
});
