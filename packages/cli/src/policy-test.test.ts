import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain as run } from "../../../test/support/cli.ts";

let directory: string;
let policy: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-policy-test-"));
  policy = await write("policy.yaml", "version: 1\nname: acme\nserial: 3\nscan: { failOn: high }\n");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function write(name: string, content: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, content);
  return file;
}

const caseOf = (severity: string, rules: string): string => `  - name: of severity ${severity}
    findings: [{ id: CVE-2026-1, severity: ${severity}, package: { name: lodash, version: 4.17.20 } }]
    expect: { scan: ${rules} }
`;
const good = `cases:\n${caseOf("high", "[scan.severity]")}${caseOf("medium", "[]")}`;

test("cases that do not hold exit 1, each with what it is and why", async () => {
  const file = await write(
    "policy.cases.yaml",
    `${good}${caseOf("critical", "[]")}${caseOf("low", "[scan.severity]")}`,
  );
  const { code, out, err } = await run("policy", "test", policy);
  expect({ code, err }).toEqual({ code: 1, err: "" });
  expect(out.split("\n")).toEqual([
    `${file}:8: of severity critical: scan: expected a pass, and it is refused by scan.severity`,
    "    scan.severity: It is a vulnerability of severity critical; the policy refuses high and above.",
    `${file}:11: of severity low: scan: expected refused by scan.severity, and it is a pass`,
    "",
    "2 of 4 expectations of 4 cases hold.",
    "",
  ]);
});

test("cases that hold exit 0, of each file beside the policy", async () => {
  await write("policy.cases.yaml", good);
  await write("more.cases.yaml", good);
  await write("notes.yaml", "cases: none\n");
  expect(await run("policy", "test", policy)).toEqual({
    code: 0,
    out: "4 of 4 expectations of 4 cases hold.\n",
    err: "",
  });
});

test("of files that are named, those alone", async () => {
  await write("policy.cases.yaml", `cases:\n${caseOf("critical", "[]")}`);
  const file = await write("other.yaml", good);
  expect((await run("policy", "test", policy, file)).code).toBe(0);
});

test("--json has every answer", async () => {
  const file = await write("policy.cases.yaml", good);
  const { code, out } = await run("policy", "test", policy, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    policy: { name: "acme", serial: 3 },
    answers: [
      { place: `${file}:2`, of: "scan", expected: ["scan.severity"], found: ["scan.severity"], holds: true },
      { place: `${file}:5`, of: "scan", expected: [], found: [], problems: [], holds: true },
    ],
  });
});

describe("what is wrong exits 2", () => {
  test("no policy, and a policy without cases: nothing to test is no pass", async () => {
    expect(await run("policy", "test")).toMatchObject({ code: 2, err: expect.stringContaining("expected POLICY") });
    const { code, err } = await run("policy", "test", policy);
    expect(code).toBe(2);
    expect(err).toContain("is no file that ends in .cases.yaml");
  });

  test.each<[string, string, string]>([
    ["no cases", "cases: []\n", "must have at least one entry"],
    ["an unknown rule", `cases:\n${caseOf("high", "[scan.severitty]")}`, "did you mean `scan.severity`?"],
    ["an unknown key", good.replace("findings", "findigs"), "findigs"],
    [
      "an environment that is not there",
      "cases: [{ name: x, expect: { environments: { prod: [] } } }]\n",
      "section `environments`",
    ],
  ])("%s", async (_name, content, message) => {
    await write("policy.cases.yaml", content);
    const { code, out, err } = await run("policy", "test", policy);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });

  test("a file that is not there, and a policy that is not", async () => {
    expect(await run("policy", "test", policy, "/nowhere/x.yaml")).toMatchObject({ code: 2 });
    expect(await run("policy", "test", "/nowhere/policy.yaml")).toMatchObject({ code: 2 });
  });
});
