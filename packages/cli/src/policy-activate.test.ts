import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { stages } from "@goldenpath/core/stages";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { runMain as run } from "../../../test/support/cli.ts";

let directory: string;
let server: RegistryServer;
let to: string;
let key: string;
const template = join(import.meta.dirname, "../../../examples/golden-platform/policy.yaml");

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-activate-"));
  server = await startRegistry();
  to = `${server.host}/vetted/goldenpath-policy`;
  await run("keys", "new", directory, "policy", "other", ...stages);
  key = join(directory, "policy.key");
});
afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function policyOf(serial: number, remark = ""): Promise<string> {
  const file = join(directory, `policy-${serial}${remark}.yaml`);
  const document = parseDocument(await readFile(template, "utf8"));
  document.set("serial", serial);
  for (const stage of stages)
    document.setIn(["signers", stage, "publicKey"], await readFile(join(directory, `${stage}.pub`), "utf8"));
  await writeFile(file, `# ${remark}\n${document.toString({ lineWidth: 0 })}`);
  return file;
}

const activate = (file: string, ...more: string[]) =>
  run("policy", "activate", file, "--to", to, "--key", key, ...more);

test("a dry run writes nothing; then the policy is in force, and once more it is no change", async () => {
  const file = await policyOf(2);
  const unasked = await activate(file);
  expect({ code: unasked.code, said: unasked.err }).toEqual({
    code: 2,
    said: expect.stringContaining("Say --first where none ever was"),
  });
  const dry = await activate(file, "--first", "--dry-run");
  expect(dry).toMatchObject({ code: 0, err: "" });
  expect(dry.out).toContain("serial 2, would be in force (dry run: nothing was written); the first");
  expect(await server.snapshot()).toEqual({});
  expect((await activate(file, "--first")).out).toContain("serial 2, is in force; the first");
  const before = await server.snapshot();
  expect(Object.keys(before["vetted/goldenpath-policy"]?.tags ?? {})).toEqual(["in-force"]);
  expect((await activate(file)).out).toContain("was in force before");
  expect(await server.snapshot()).toEqual(before);
  expect((await activate(await policyOf(3))).out).toContain("serial 3, is in force; after serial 2");
});

test("a team's policy comes into force as what it and the organisation's come to, where it widens nothing", async () => {
  const organisation = await policyOf(3, "organisation");
  const bytes = await readFile(organisation);
  const extended = `extends:\n  policy: ${basename(organisation)}\n  digest: ${digestOf(bytes)}\n`;
  const team = async (failOn: string): Promise<string> => {
    const file = join(directory, `team-${failOn}.yaml`);
    await writeFile(file, `version: 1\nname: shop\nserial: 1\n${extended}scan:\n  failOn: ${failOn}\n`);
    return file;
  };
  const place = ["--to", `${server.host}/shop/goldenpath-policy`, "--first"];
  const wider = await activate(await team("critical"), ...place);
  expect([wider.code, wider.err]).toEqual([2, expect.stringMatching(/team-critical\.yaml:\d+:\d+: scan\.failOn/)]);
  expect(Object.keys(await server.snapshot())).not.toContain("shop/goldenpath-policy");
  const narrower = await activate(await team("low"), ...place);
  expect(narrower).toMatchObject({ code: 0, out: expect.stringContaining("policy shop, serial 4, is in force") });
});

describe("refused, and what is in force stays", () => {
  test.each<[string, () => Promise<string>, string[], string]>([
    ["a serial that goes back", () => policyOf(2), [], "Set serial to 4 or more"],
    ["a first one where there is one", () => policyOf(4), ["--first"], "Leave --first out"],
    ["another content under the same serial", () => policyOf(3, "other"), [], "another content under the same serial"],
    [
      "a stage's key, who could choose what it is judged by",
      () => policyOf(4),
      ["--key", "scan.key"],
      "speaks for a stage",
    ],
    [
      "a serial to revoke that was never in force",
      () => policyOf(4),
      ["--revoke", "9"],
      "it is no predecessor (there is: 2, 3)",
    ],
    ["a serial that is none", () => policyOf(4), ["--revoke", "new"], "expected a serial"],
    [
      "a pointer that this key has not signed",
      () => policyOf(4),
      ["--key", "other.key"],
      "not signed by the platform's signer",
    ],
    [
      "a repository where promote does not look",
      () => policyOf(4),
      ["--to", "policies"],
      "promote looks for the policy in force",
    ],
    ["the policy in force itself", async () => `oci://${to}:in-force`, [], "is whichever policy is in force"],
    ["a policy that is none", async () => join(directory, "policy.key"), [], "is not valid"],
    ["a file that is not there", async () => "nowhere.yaml", [], "there is no such file"],
  ])("%s", async (_what, file, more, message) => {
    const before = await server.snapshot();
    const options = more.map((option) =>
      option.endsWith(".key")
        ? join(directory, option)
        : option === "policies"
          ? `${server.host}/vetted/policies`
          : option,
    );
    const { code, err } = await activate(await file(), ...options);
    // Who signed the pointer that is there is the policy's question; the others are the caller's to mend.
    const wanted = message.startsWith("not signed") ? 1 : 2;
    expect({ code, said: err.includes(message) ? message : err }).toEqual({ code: wanted, said: message });
    expect(await server.snapshot()).toEqual(before);
  });

  test("without a place or a key", async () => {
    const { code, err } = await run("policy", "activate", await policyOf(4), "--to", to);
    expect(code).toBe(2);
    expect(err).toContain("expected POLICY --to HOST/NAME --key KEY");
  });
});
