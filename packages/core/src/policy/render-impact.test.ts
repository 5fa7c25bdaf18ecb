import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fakeDigest } from "@goldenpath/testing/policy";
import { expect, test } from "vitest";
import { parse } from "yaml";
import type { ImpactImage } from "./gather-impact.ts";
import { impactMarker, renderImpact, renderImpactMarkdown } from "./render-impact.ts";

const side = { name: "acme", serial: 7, digest: fakeDigest("a") };
const because = Array.from({ length: 5 }, (_, at) => ({
  ...{ rule: "scan.severity" as const, thing: `CVE-2026-${at} in <b>pkg</b> 1` },
  problem: `*It is* ${"ä|".repeat(400)}`,
}));
const many = (outcome: ImpactImage["outcome"], count: number): ImpactImage[] =>
  Array.from({ length: count }, (_, at) => ({
    image: `registry.test/vetted/shop@${fakeDigest(String(at % 10))}`,
    tags: ["1", "2", "3", "4", "5", "6"],
    ...{ outcome, because },
    ...(outcome === undefined ? { unreadable: "x".repeat(500) } : {}),
  }));
const report = (images: ImpactImage[], notes: string[] = []) => ({
  ...{ environment: "production", before: side, after: { ...side, serial: 8 }, images, notes },
});

test("a comment holds within its limit, however many images there are, and counts what does not fit", () => {
  const images = [undefined, "falls" as const, "again" as const, "let-in" as const].flatMap((each) => many(each, 60));
  const text = renderImpactMarkdown(report(images));
  expect(Buffer.byteLength(text)).toBeLessThan(62_000);
  expect(text.startsWith(impactMarker)).toBe(true);
  for (const count of ["| 60 | would be refused |", "60 would have to be judged again</summary>"])
    expect(text).toContain(count);
  expect(text).toMatch(/^- and \d+ more/m);
  expect(text).not.toContain("<b>");
  // Its twin: a few are all there.
  const few = renderImpactMarkdown(report(many("falls", 3)));
  expect(few.match(/registry\.test/g)).toHaveLength(3);
  expect(few).not.toMatch(/^- and \d+ more/m);
});

test("what is unknown is listed with its reasons, before what only has to be judged again", () => {
  const notes = ["nothing of one repository's exceptions can be read"];
  const [unknown, again] = [many("unknown", 2), many("again", 1)];
  const text = renderImpact(report([...again, ...unknown], notes));
  expect(text).toContain(": unknown\n    scan.severity: CVE-2026-0");
  expect(text.indexOf(": unknown")).toBeLessThan(text.indexOf(": would have to be judged again"));
  expect(text).toContain("  2 are unknown: nothing that is signed about them says");
  expect(text).toContain(notes[0]);
  const comment = renderImpactMarkdown(report(unknown, notes));
  expect(comment).toContain("<details open><summary>2 unknown</summary>");
  expect(comment).toContain("nothing of one repository");
});

test("the example workflow finds its own comment by the marker", () => {
  const file = join(import.meta.dirname, "../../../../examples/organisation/.github/workflows/policy.yml");
  const { jobs } = parse(readFileSync(file, "utf8")) as { jobs: { comment: { steps: { run: string }[] } } };
  expect(jobs.comment.steps[0]?.run).toContain(`startswith("${impactMarker}")`);
});
