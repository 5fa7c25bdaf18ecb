import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain as run } from "../../../test/support/cli.ts";

let directory: string;
let older: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-policy-diff-"));
  older = await write("older.yaml", policy);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const policy = `version: 1
name: acme
serial: 3
scan:
  failOn: high
  databaseMaxAge: 5d
exceptions:
  - { rule: scan.severity, vulnerability: CVE-2026-0001, reason: old, owner: team-shop, expires: 2026-12-31 }
`;

async function write(name: string, content: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, content);
  return file;
}

const wider = policy.replace("serial: 3", "serial: 4").replace("failOn: high", "failOn: critical");
const narrower = policy.replace("serial: 3", "serial: 4").replace("5d", "1d");

test("what lets in more comes first, each at its line of the newer file", async () => {
  const newer = await write("newer.yaml", `${wider.split("exceptions:")[0]}  refuse: [{ name: known, kev: true }]\n`);
  const { code, out, err } = await run("policy", "diff", older, newer);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out.split("\n")).toEqual([
    `${newer}:5: widening: scan.failOn: findings are refused from this severity: critical (before: high)`,
    `${newer}:1: narrowing: exceptions[scan.severity CVE-2026-0001]: no more: the exception scan.severity CVE-2026-0001 holds`,
    `${newer}:3: narrowing: serial: evidence made under serial 3 counts no more: \`accepts\` leaves it out`,
    `${newer}:7: narrowing: scan.refuse[known]: new: the gate known refuses findings`,
    `${newer}:3: neither: serial: the serial is 4 (before: 3)`,
    "",
    "1 widening, 3 narrowing, 1 neither.",
    "",
  ]);
});

test("--json has the same", async () => {
  const newer = await write("newer.yaml", wider);
  const { code, out } = await run("policy", "diff", older, newer, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    old: { name: "acme", serial: 3 },
    new: { name: "acme", serial: 4 },
    counts: { widening: 1, narrowing: 1, neither: 1, unknown: 0 },
    changes: [
      { direction: "neither", key: "serial", place: `${newer}:3` },
      { direction: "narrowing", key: "serial", place: `${newer}:3` },
      { direction: "widening", key: "scan.failOn", place: `${newer}:5` },
    ],
  });
});

describe("--refuse-widening", () => {
  test("exits 1 where anything is let in, having said what", async () => {
    const { code, out, err } = await run("policy", "diff", older, await write("n.yaml", wider), "--refuse-widening");
    expect(code).toBe(1);
    expect(out).toContain("widening: scan.failOn");
    expect(err).toContain("refused: --refuse-widening");
  });

  test("exits 0 where the policy is only narrowed, or is the same", async () => {
    const file = await write("n.yaml", narrower);
    expect(await run("policy", "diff", older, file, "--refuse-widening")).toMatchObject({ code: 0, err: "" });
    const { code, out } = await run("policy", "diff", older, older, "--refuse-widening");
    expect({ code, out }).toEqual({ code: 0, out: "Nothing changes in what the policy says.\n" });
  });
});

test("what is written otherwise and says the same changes nothing but the bytes", async () => {
  const reordered = `# a comment\n${policy.replace("  failOn: high\n  databaseMaxAge: 5d", "  databaseMaxAge: 5d\n  failOn: high")}`;
  const { out } = await run("policy", "diff", older, await write("n.yaml", reordered));
  expect(out).toContain("the serial is 3 in both, which no change may keep");
  expect(out).toContain("0 widening, 0 narrowing, 1 neither.");
});

describe("what is wrong exits 2", () => {
  test.each<[string, string[], string]>([
    ["one file", ["OLD"], "expected OLD NEW"],
    ["three", ["OLD", "OLD", "OLD"], "expected OLD NEW"],
    ["a file that is not there", ["OLD", "/nowhere/policy.yaml"], "cannot be read"],
    ["an option that is none", ["OLD", "OLD", "--refuse"], "--refuse"],
  ])("%s", async (_name, args, message) => {
    const { code, err } = await run("policy", "diff", ...args.map((each) => (each === "OLD" ? older : each)));
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test("a policy that is not valid", async () => {
    const bad = await write("bad.yaml", policy.replace("failOn", "failsOn"));
    const { code, err } = await run("policy", "diff", older, bad);
    expect(code).toBe(2);
    expect(err).toContain("did you mean `failOn`?");
  });
});
