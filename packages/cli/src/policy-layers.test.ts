import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runMain as run } from "../../../test/support/cli.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-policy-layers-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const organisation = "version: 1\nname: acme\nserial: 40\nscan:\n  failOn: high\n  databaseMaxAge: 5d\n";
const team = (failOn: string, digest: string = digestOf(new TextEncoder().encode(organisation))): string =>
  `version: 1\nname: shop\nserial: 2\nextends:\n  policy: acme.yaml\n  digest: ${digest}\nscan:\n  failOn: ${failOn}\n`;

async function write(name: string, content: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, content);
  return file;
}

test("`policy check` refuses a team's policy that widens, at its place, and takes its twin", async () => {
  await write("acme.yaml", organisation);
  const wide = await write("wide.yaml", team("critical"));
  const refused = await run("policy", "check", wide);
  expect(refused.code).toBe(2);
  expect(refused.err).toContain(
    `${wide}:8:11: scan.failOn: findings are refused from this severity: critical (before: high); a team's policy may only narrow the organisation's, which has high`,
  );
  const other = await run("policy", "check", await write("other.yaml", team("low", `sha256:${"0".repeat(64)}`)));
  expect([other.code, other.err]).toEqual([2, expect.stringContaining("extends.digest: is sha256:0000")]);
  const narrow = await run("policy", "check", await write("narrow.yaml", team("low")));
  expect(narrow.code).toBe(0);
  expect(narrow.out).toContain("policy shop, serial 42, is good (sha256:");
});

test("`policy diff` and `policy test` work on what the two make together", async () => {
  const own = await write("acme.yaml", organisation);
  const narrow = await write("narrow.yaml", team("low"));
  const told = await run("policy", "diff", own, narrow);
  expect(told.out).toContain("narrowing: scan.failOn: findings are refused from this severity: low (before: high)");
  const cases = await write(
    "shop.cases.yaml",
    "cases:\n  - name: a low one\n    findings: [{ id: CVE-1, severity: low, package: { name: a } }]\n    expect: { scan: [scan.severity] }\n",
  );
  expect(await run("policy", "test", narrow, cases)).toMatchObject({ code: 0 });
  expect(await run("policy", "test", own, cases)).toMatchObject({ code: 1 });
});
