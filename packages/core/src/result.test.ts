import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { formatStageResult, parseStageResult, type StageResult, type Violation, verdictOf } from "./result.ts";

const digest = digestOf("image");
const violation: Violation = {
  rule: "scan.severity",
  thing: "GHSA-1 in lodash 4.17.20",
  problem: "High",
  wayOut: "Update lodash to 4.17.21.",
};
const exception = { reason: "not reachable", owner: "shop", expires: "2027-01-01" };

function resultWith(changes: Partial<StageResult> = {}): StageResult {
  return {
    schemaVersion: "1.0",
    stage: "scan",
    verdict: "pass",
    subject: {
      repository: "localhost:5000/quarantine/web",
      digest,
      mediaType: "m",
      children: [{ digest, mediaType: "m", verdict: "pass" }],
    },
    violations: [],
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00.000Z",
    finishedAt: "2026-11-23T10:00:01.000Z",
    ...changes,
  };
}

const child = (verdict: "pass" | "fail") => ({ digest, mediaType: "m", verdict });
const subject = (...children: ReturnType<typeof child>[]) => ({
  repository: "localhost:5000/q/web",
  digest,
  mediaType: "m",
  children,
});

describe("a result that cannot be believed does not parse", () => {
  test.each([
    [
      "a pass with a violation that counts",
      { violations: [violation] },
      "verdict is pass, and there are violations that count",
    ],
    ["a fail without a violation", { verdict: "fail" as const }, "no violation says why"],
    [
      "a fail whose only violation is excepted",
      { verdict: "fail" as const, violations: [{ ...violation, exception }] },
      "no violation says why",
    ],
    ["an error without its cause", { verdict: "error" as const }, "no error says why"],
    ["a pass about nothing", { subject: undefined }, "there is no subject"],
    ["a pass that judged no image", { subject: subject() }, "nothing was judged"],
    ["a pass of which a child failed", { subject: subject(child("pass"), child("fail")) }, "a child has another"],
  ])("%s", (_name, changes, message) => {
    expect(() => parseStageResult(JSON.stringify(resultWith(changes)), "scan.json")).toThrow(message);
  });

  test.each([
    ["empty", "", "it is empty"],
    ["cut in half", formatStageResult(resultWith()).slice(0, 200), "cut off"],
    ["not JSON", "{ nonsense }", "it is not JSON"],
    ["not an object", "[]", "is not a stage result"],
    ["an unknown stage", JSON.stringify({ ...resultWith(), stage: "deploy" }), "is not a stage result"],
    ["an unknown verdict", JSON.stringify({ ...resultWith(), verdict: "ok" }), "is not a stage result"],
    [
      "a bad digest",
      JSON.stringify(resultWith({ subject: { ...subject(child("pass")), digest: "sha256:1" as never } })),
      "is not a stage result",
    ],
  ])("%s", (_name, text, message) => {
    expect(() => parseStageResult(text, "scan.json")).toThrow(message);
    expect(() => parseStageResult(text, "scan.json")).toThrow(
      expect.objectContaining({ name: "UserError", code: "result-invalid" }),
    );
  });

  test("a file cut off anywhere says so, and one with something wrong in the middle does not", () => {
    const text = formatStageResult(resultWith({ violations: [violation], notes: ['a \\ and a "', "é\n"] })).trimEnd();
    for (let length = 1; length < text.length; length++) {
      expect(() => parseStageResult(text.slice(0, length), "scan.json")).toThrow("it ends in the middle");
    }
    expect(() => parseStageResult(text.replace(",", ";"), "scan.json")).toThrow("it is not JSON");
    expect(() => parseStageResult(`${text}}`, "scan.json")).toThrow("it is not JSON");
  });

  test("an unknown major version is its own error", () => {
    const text = JSON.stringify({ ...resultWith(), schemaVersion: "2.0" });
    expect(() => parseStageResult(text, "scan.json")).toThrow(expect.objectContaining({ code: "result-version" }));
  });
});

test("what was written is what is read, and a newer minor version's fields are passed over", () => {
  const result = resultWith({ violations: [{ ...violation, exception }], tools: [{ name: "grype", version: "1" }] });
  expect(parseStageResult(formatStageResult(result), "scan.json")).toEqual(result);
  expect(parseStageResult(JSON.stringify({ ...result, schemaVersion: "1.7", mood: "good" }), "scan.json")).toEqual({
    ...result,
    schemaVersion: "1.7",
  });
});

test("a refusal that came before there was an image has no subject", () => {
  const refused = resultWith({ stage: "build", verdict: "fail", subject: undefined, violations: [violation] });
  expect(parseStageResult(JSON.stringify(refused), "build.json").verdict).toBe("fail");
});

test("only a violation that counts fails", () => {
  expect(verdictOf([violation])).toBe("fail");
  expect(verdictOf([{ ...violation, exception }, violation])).toBe("fail");
  expect(verdictOf([{ ...violation, exception }])).toBe("pass");
  expect(verdictOf([])).toBe("pass");
});
