import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { ReporterRule } from "../../policy/scan-section.ts";
import { judgeReports, type ReportCandidate, type ReportedImage } from "./judge.ts";
import type { ImportedReport } from "./report.ts";

const of = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
const [own, config, root, sibling, stranger] = [of("a"), of("c"), of("1"), of("b"), of("f")];
const now = new Date("2026-11-26T12:00:00Z");
const ago = (hours: number): Date => new Date(now.getTime() - hours * 3_600_000);
const rule = (more: Partial<ReporterRule> = {}): ReporterRule => ({
  ...{ name: "snyk", tools: ["Snyk Container"], signers: ["security"], given: "any", maxAge: 24 * 3_600_000 },
  ...{ undated: "refuse", required: true },
  ...more,
});
const image: ReportedImage = { thing: `host/shop@${own}`, digest: own, config, root: own, others: [] };
const inIndex: ReportedImage = { ...image, root, others: [sibling, of("d")], platform: "linux/amd64" };
const report = (more: Partial<ImportedReport> = {}): ImportedReport => ({
  ...{ format: "SARIF", tool: "Snyk Container 1", time: ago(1), digests: [own], findings: [] },
  ...more,
});
const signed = (read: ReportCandidate["read"] = report(), more: Partial<ReportCandidate> = {}): ReportCandidate => ({
  ...{ read, signer: "security", digest: of("e"), about: own },
  ...more,
});
const given = (read: ReportCandidate["read"] = report()): ReportCandidate => ({ read, digest: of("e") });
const undated = ({ time: _time, ...rest }: ImportedReport): ImportedReport => rest;
const judge = (candidates: readonly ReportCandidate[], of = rule(), about = image) => {
  const { used, violations } = judgeReports(of, about, candidates, now);
  return {
    used: used.map(({ report: each }) => each.time?.toISOString()),
    problems: violations.map(({ problem }) => problem),
  };
};

describe("what can't be taken is a violation, and nothing of it counts", () => {
  test.each<[string, readonly ReportCandidate[], RegExp, Partial<ReporterRule>?, ReportedImage?]>([
    ["none", [], /there is none/i],
    ["one that can't be read", [signed({ problem: "it is empty" })], /security signed can't be taken: it is empty/],
    ["of another image", [signed(report({ digests: [stranger] }))], new RegExp(`it says that it is of ${stranger}`)],
    ["a file of another image", [given(report({ digests: [stranger] }))], /it says that it is of/],
    [
      "a file of no image, where it has to name one",
      [given(report({ digests: [] }))],
      /does not name the image/,
      { given: "by-digest" },
    ],
    ["too old by a minute", [signed(report({ time: ago(24 + 1 / 60) }))], /the policy accepts 1 d/],
    ["of the future", [signed(report({ time: ago(-2) }))], /in the future/],
    ["without a time", [signed(undated(report()))], /does not say when/],
    ["of the whole index", [signed(report({ digests: [root] }), { about: root })], /of the whole index/, {}, inIndex],
    [
      "of no image, signed about the index",
      [signed(report({ digests: [] }), { about: root })],
      /of the whole index/,
      {},
      inIndex,
    ],
    ["a file that names no platform's image", [given(report({ digests: [] }))], /of the whole index/, {}, inIndex],
    [
      "of another platform alone",
      [signed(report({ digests: [sibling] }), { about: root })],
      /there is none/i,
      {},
      inIndex,
    ],
    ["by a signer whose time is over", [signed(report(), { isLapsed: true })], /there is none/i],
  ])("%s", (_name, candidates, problem, more = {}, about = image) => {
    const { used, problems } = judge(candidates, rule(more), about);
    expect(used).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(problem)]);
  });

  test("says the rule, the reporter, the image and the ways out", () => {
    const { violations } = judgeReports(rule({ given: "by-digest" }), inIndex, [], now);
    expect(violations).toEqual([
      {
        rule: "scan.report",
        thing: `the report of snyk about host/shop@${own}`,
        problem: "There is none.",
        wayOut: `Let Snyk Container scan this digest, and have security sign it about ${own}, or give its file in the input 'reports' (snyk=FILE).`,
        platform: "linux/amd64",
      },
    ]);
  });
});

describe("a later word is not overtaken by an older one", () => {
  test("one that failed after one that did not", () => {
    const failed = signed({ problem: "its tool says that it failed", time: ago(1) });
    expect(judge([signed(report({ time: ago(2) })), failed]).problems).toEqual([expect.stringMatching(/failed/)]);
    expect(judge([signed(report({ time: ago(0.5) })), failed]).problems).toEqual([]);
  });

  test("one that can't be read and has no time may be the newest", () => {
    expect(judge([signed(), signed({ problem: "it ends in the middle" })]).problems).toHaveLength(1);
    // Somebody else dates it.
    const before = signed({ problem: "it ends in the middle" }, { signedAt: ago(3) });
    expect(judge([signed(), before]).problems).toEqual([]);
  });

  test("a later one by a signer whose time is over", () => {
    const later = signed(report({ time: ago(1) }), { isLapsed: true });
    expect(judge([signed(report({ time: ago(2) })), later]).problems).toEqual([expect.stringMatching(/has ended/)]);
    expect(judge([signed(report({ time: ago(0.5) })), later]).problems).toEqual([]);
  });

  test("those of before may grow old", () => {
    expect(judge([signed(), signed(report({ time: ago(1000) }))])).toEqual({
      used: [ago(1).toISOString()],
      problems: [],
    });
  });

  test("a file that is given does not take the place of what is signed", () => {
    const { used } = judge([signed(report({ time: ago(5) })), given(report({ time: ago(0.1) }))]);
    expect(used).toEqual([ago(5).toISOString(), ago(0.1).toISOString()]);
  });
});

describe("what counts", () => {
  test.each<[string, readonly ReportCandidate[], Partial<ReporterRule>?, ReportedImage?]>([
    ["signed, by the digest", [signed()]],
    ["signed, by the config's digest", [signed(report({ digests: [config] }))]],
    ["signed about it, and naming none", [signed(report({ digests: [] }))]],
    ["as old as may be", [signed(report({ time: ago(24) }))]],
    ["a clock that is a little ahead", [signed(report({ time: ago(-0.5) }))]],
    ["a file that names it", [given()], { given: "by-digest" }],
    ["a file that names none, where that is enough", [given(report({ digests: [] }))]],
    ["with its base named beside", [signed(report({ digests: [stranger, own] }))]],
    ["of an index, by the platform's digest", [signed(report(), { about: root })], {}, inIndex],
    ["of an index, signed about the platform's image", [signed(report({ digests: [] }))], {}, inIndex],
  ])("%s", (_name, candidates, more = {}, about = image) => {
    expect(judge(candidates, rule(more), about)).toMatchObject({ used: [expect.anything()], problems: [] });
  });

  test("without a time, where the policy accepts that: all of them", () => {
    const accept = rule({ undated: "accept" });
    expect(judge([signed(undated(report())), signed(undated(report()))], accept)).toMatchObject({
      ...{ used: [undefined, undefined], problems: [] },
    });
  });

  test("none, where the policy does not demand it", () => {
    expect(judge([], rule({ required: false }))).toEqual({ used: [], problems: [] });
    expect(judge([signed({ problem: "it is empty" })], rule({ required: false })).problems).toHaveLength(1);
  });
});
