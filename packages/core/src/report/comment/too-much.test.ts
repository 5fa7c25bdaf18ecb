import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { StageResult } from "../../result.ts";
import { describeResults, type Part } from "./part.ts";
import { maxCommentLength, renderComment } from "./render.ts";
import { readParts } from "./state.ts";

const source = (key: string) => ({ key, commit: "5".repeat(40), run: { id: "1", attempt: 1 } });
const finding = (thing: string, words: string) => ({ rule: "scan.severity", thing, problem: words, wayOut: words });
const lodash = [finding("CVE-2026-20001 in lodash 4.17.20", "Update lodash to 4.17.21 (npm).")];

function scan(violations: StageResult["violations"], changes: Partial<StageResult> = {}): StageResult {
  const digest = digestOf("image");
  return {
    ...{ schemaVersion: "1.0", stage: "scan", verdict: violations.length === 0 ? "pass" : "fail" },
    subject: { repository: "registry.acme.example/shop", digest, mediaType: "m", children: [] },
    ...{ violations, run: { builderId: "local" }, tools: [], notes: [] },
    ...{ startedAt: "2026-11-23T10:00:00Z", finishedAt: "2026-11-23T10:00:01Z" },
    ...changes,
  };
}

describe("too much for a comment", () => {
  const hostile = "$#@`|<".repeat(200);
  const many = (images: number, each: number): Part[] =>
    Array.from({ length: images }, (_, at) =>
      describeResults(
        [scan(Array.from({ length: each }, (_unused, n) => finding(`CVE-${n} in ${hostile}`, hostile)))],
        source(`image-${at}`),
      ),
    );

  test.each([
    [1, 5_000],
    [5, 300],
    [60, 40],
    [256, 3],
  ])("%i images with %i findings each that are nothing but what is escaped", (images, each) => {
    const body = renderComment(many(images, each));
    expect(body.length).toBeLessThanOrEqual(maxCommentLength);
    expect(body).toContain(images === 1 ? "❌ fail · golden path" : `(${images} of ${images} images)`);
    expect(renderComment(readParts(body)).length).toBeLessThanOrEqual(maxCommentLength);
  });

  test("what is dropped is counted, and the head stays", () => {
    const body = renderComment(many(1, 5_000));
    expect(body).toContain("❌ scan");
    const rows = body.split("\n").filter((each) => each.startsWith("| scan | CVE")).length;
    expect(body).toContain(`… and ${5_000 - rows} more that count`);
  });

  test("of what is new the table gets shorter before images go, and the numbers stay", () => {
    const added = Array.from({ length: 300 }, (_, at) => ({
      ...{ id: `${at} ${hostile}`, package: hostile, version: hostile, severity: "high", change: "new" as const },
      fixedVersions: [hostile],
    }));
    const counts = { new: 300, worse: 0, fixed: 0, unchanged: 0 };
    const comparison = { with: hostile, gates: false, counts, new: added, fixed: [] };
    const compared = (images: number): Part[] =>
      Array.from({ length: images }, (_, at) => describeResults([scan(lodash, { comparison })], source(`image-${at}`)));
    const rows = (body: string): number => body.split("\n").filter((each) => each.startsWith("| high |")).length;
    for (const images of [1, 20, 90]) {
      const body = renderComment(compared(images));
      expect(body.length).toBeLessThanOrEqual(maxCommentLength);
      expect(body).toContain(`**${300 * images} new**`);
      expect(readParts(body)).toHaveLength(images);
    }
    expect(rows(renderComment(compared(1)))).toBe(10);
    expect(rows(renderComment(compared(1), 8_000))).toBeLessThan(10);
  });

  test("images with nothing to do are dropped before one that has", () => {
    const green = Array.from({ length: 200 }, (_, at) => describeResults([scan([])], source(`green-${at}`)));
    const red = describeResults([scan(lodash)], source("zz-red"));
    const body = renderComment([...green, red], 4_000);
    expect(body.length).toBeLessThanOrEqual(4_000);
    expect(readParts(body).map(({ key }) => key)).toContain("zz-red");
    expect(body).toMatch(/1 of 201 images/);
  });
});
