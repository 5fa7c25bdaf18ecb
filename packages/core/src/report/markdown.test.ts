import { digestOf } from "@goldenpath/registry-client/oci/digest";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StageResult, Violation } from "../result.ts";
import { escapeMarkdown, linkAdvisory, renderChainMarkdown, renderResultMarkdown } from "./markdown.ts";

const violation = (changes: Partial<Violation> = {}): Violation => ({
  rule: "scan.severity",
  thing: "GHSA-1 in lodash 4.17.20",
  problem: "It is High.",
  wayOut: "Update lodash to 4.17.21.",
  ...changes,
});

function resultWith(violations: Violation[]): StageResult {
  const digest = digestOf("image");
  return {
    schemaVersion: "1.0",
    stage: "scan",
    verdict: violations.some((entry) => entry.exception === undefined) ? "fail" : "pass",
    subject: { repository: "localhost:5000/quarantine/web", digest, mediaType: "m", children: [] },
    violations,
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00Z",
    finishedAt: "2026-11-23T10:00:01Z",
  };
}

describe("a stranger's text stays text", () => {
  test.each([
    ["<img src=x onerror=alert(1)>", "<"],
    ["[click](https://evil.example)", "https://"],
    ["see www.evil.example", "www."],
    ["| a | new | cell |", " | "],
    ["line\n## heading", "\n"],
    ["@everyone look", "@everyone"],
    ["![pixel](https://evil.example/p.png)", "![p"],
    ["`code` **bold**", "**b"],
  ])("%s", (hostile, mustNotAppear) => {
    const rendered = renderResultMarkdown(resultWith([violation({ thing: hostile })]));
    const row = rendered.split("\n").find((line) => line.includes("scan.severity")) ?? "";
    expect(row).not.toBe("");
    // Of the row, what is ours: the rule as code and four cell borders. What is theirs has nothing that Markdown or
    // HTML acts on.
    const theirs = row.split(" | ").slice(1, -2).join(" | ");
    expect(theirs).not.toContain(mustNotAppear);
    expect(row.split(/(?<!\\)\|/)).toHaveLength(6);
  });

  test("whatever it is, a row stays one row of four cells without a tag of its own", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (thing, problem) => {
        const rendered = renderResultMarkdown(resultWith([violation({ thing, problem })]));
        const rows = rendered.split("\n").filter((line) => line.includes("<code>scan.severity</code>"));
        expect(rows).toHaveLength(1);
        expect(rows[0]?.split(/(?<!\\)\|/)).toHaveLength(6);
        expect(escapeMarkdown(thing).replaceAll(/<!-- -->|<span>\$<\/span>/g, "")).not.toMatch(/[<>$\n]/);
      }),
    );
  });
});

describe("an advisory's name", () => {
  test.each([
    "CVE-2026-123",
    "CVE-2026-1234](https://evil.example)",
    "cve-2026-1234",
    "GHSA-35jh-r3h4-6jhl",
    "GHSA-35jh-r3h4-6jhm/../..",
    "MAL-2026-1?x",
    "https://evil.example/CVE-2026-1234",
    "CVE-2026-1234\nCVE-2026-1234",
    "ELSA-2026-1234",
  ])("%j is no link", (id) => {
    expect(linkAdvisory(id)).not.toMatch(/(?<!\\)\]\(/);
  });

  test.each([
    ["CVE-2026-1234", "https://www.cve.org/CVERecord?id=CVE-2026-1234"],
    ["GHSA-35jh-r3h4-6jhm", "https://github.com/advisories/GHSA-35jh-r3h4-6jhm"],
    ["RUSTSEC-2026-0001", "https://osv.dev/vulnerability/RUSTSEC-2026-0001"],
    ["MAL-2026-5", "https://osv.dev/vulnerability/MAL-2026-5"],
  ])("%s leads to where it is published", (id, place) => {
    expect(linkAdvisory(id)).toBe(`[<code>${id}</code>](${place})`);
  });
});

test("a long list is cut, and says how much is left", () => {
  const rendered = renderResultMarkdown(
    resultWith(Array.from({ length: 25 }, (_, index) => violation({ thing: `finding ${index}` }))),
  );
  expect(rendered).toContain("finding 19");
  expect(rendered).not.toContain("finding 20");
  expect(rendered).toContain("… and 5 more");
});

test("an excepted violation is shown apart, with who answers for it", () => {
  const rendered = renderResultMarkdown(
    resultWith([violation({ exception: { reason: "not reachable", owner: "shop-team", expires: "2027-01-31" } })]),
  );
  expect(rendered).toContain("✅ pass");
  expect(rendered).toContain("1 with an exception");
  expect(rendered).toContain("shop-team");
  expect(rendered).not.toContain("What to do");
});

test("a chain shows each stage, its signer, and what counts for nothing", () => {
  const digest = digestOf("image");
  const rendered = renderChainMarkdown({
    repository: "localhost:5000/vetted/web",
    digest,
    stages: [
      {
        stage: "build",
        state: "attested",
        signers: ["build"],
        facts: ["source https://github.com/acme/web"],
        time: "2026-11-23T10:00:00Z",
      },
      { stage: "scan", state: "missing", signers: [], facts: [] },
    ],
    rejected: [{ digest: digestOf("forged"), reason: "signed with a key that is not in this policy" }],
  });
  expect(rendered).toContain("| build | ✅ attested | <code>build</code> | 2026-11-23 10:00 UTC |");
  expect(rendered).toContain("| scan | ➖ missing |");
  expect(rendered).toContain("counts for nothing: signed with a key that is not in this policy");
});
