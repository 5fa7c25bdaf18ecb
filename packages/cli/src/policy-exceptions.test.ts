import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain as run } from "../../../test/support/cli.ts";

let directory: string;
let policy: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-exceptions-"));
  policy = join(directory, "policy.yaml");
  await writeFile(
    policy,
    `version: 1
name: acme
serial: 3
scan: { failOn: high }
exceptions:
  - { rule: scan.severity, vulnerability: CVE-2020-0001, reason: old, owner: team-shop, expires: 2020-01-31 }
  - { rule: scan.severity, vulnerability: CVE-2020-0002, reason: unneeded, owner: team-shop, expires: 2099-01-31 }
  - { rule: scan.severity, vulnerability: CVE-2020-0003, reason: needed, owner: team-till, expires: 2099-01-31 }
`,
  );
  await mkdir(join(directory, "results/run-1"), { recursive: true });
  await writeFile(join(directory, "results/run-1/scan-0123456789ab.json"), JSON.stringify(scanResult()));
  await writeFile(join(directory, "results/run-1/notes.json"), "{}");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function scanResult() {
  const digest = `sha256:${"0".repeat(64)}`;
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const exception = { thing: "CVE-2020-0003", reason: "needed", owner: "team-till", expires: "2099-01-31" };
  return {
    ...{ schemaVersion: "1.0", stage: "scan", verdict: "pass", tools: [], run: { builderId: "b" } },
    ...{ startedAt: "2026-05-10T12:00:00Z", finishedAt: "2026-05-10T12:00:00Z" },
    subject: { repository: "r.example/till", digest, mediaType, children: [{ digest, mediaType, verdict: "pass" }] },
    violations: [{ rule: "scan.severity", thing: "CVE-2020-0003 in x 1", problem: "p", wayOut: "w", exception }],
  };
}

test("each exception in the order of its end, at its line, and which do nothing", async () => {
  const { code, out } = await run("policy", "exceptions", policy, "--results", join(directory, "results"));
  expect(code).toBe(0);
  const at = (line: number) => `${policy}:${line}`;
  expect(out.split("\n").map((line) => line.replace(/, \d+ days:/, ", N days:"))).toEqual([
    `${at(6)}: over since 2020-01-31: scan.severity for CVE-2020-0001, by team-shop: old`,
    "    matches nothing of the results",
    `${at(7)}: until 2099-01-31, N days: scan.severity for CVE-2020-0002, by team-shop: unneeded`,
    "    matches nothing of the results",
    `${at(8)}: until 2099-01-31, N days: scan.severity for CVE-2020-0003, by team-till: needed`,
    "    sets aside 1 violation of 1 image",
    "",
    "2 exceptions end on 2099-01-31, all at once.",
    "1 over, 0 within 14 days, 2 later; 2 that do nothing, by 1 results.",
    "",
  ]);
});

test("without results only what the policy itself tells", async () => {
  const { out } = await run("policy", "exceptions", policy, "--json");
  expect(JSON.parse(out)).toMatchObject({
    policy: { name: "acme", serial: 3 },
    results: 0,
    exceptions: [
      { vulnerability: "CVE-2020-0001", state: "lapsed", dead: true, place: `${policy}:6` },
      { vulnerability: "CVE-2020-0002", state: "holds", dead: false },
      { vulnerability: "CVE-2020-0003", state: "holds", dead: false },
    ],
    days: [{ day: "2099-01-31", count: 2 }],
  });
});

test("the change is written, and checks as the policy that follows", async () => {
  const proposed = join(directory, "next.yaml");
  const results = join(directory, "results");
  expect((await run("policy", "exceptions", policy, "--results", results, "--propose", proposed)).code).toBe(0);
  const next = await readFile(proposed, "utf8");
  expect(next).toContain("serial: 4");
  expect(next.match(/CVE-\S+/g)).toEqual(["CVE-2020-0003,"]);
  expect((await run("policy", "check", proposed, "--previous", policy)).code).toBe(0);
});

describe("what is wrong exits 2", () => {
  test.each([
    [[], "expected FILE"],
    [["--within", "soon"], "expected days, such as 14d"],
    [["--results", "/nowhere"], "cannot be read as a folder"],
    [["--results", import.meta.dirname], "which has no result files"],
  ])("%j", async (more, message) => {
    const { code, err } = await run("policy", "exceptions", ...(more.length === 0 ? [] : [policy]), ...more);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test("a result that was cut off", async () => {
    await writeFile(join(directory, "results/scan-0123456789ab.json"), '{"schemaVersion":');
    const { code, err } = await run("policy", "exceptions", policy, "--results", join(directory, "results"));
    expect(code).toBe(2);
    expect(err).toContain("ends in the middle");
  });
});
