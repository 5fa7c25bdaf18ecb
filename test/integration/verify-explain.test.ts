import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { type Built, execute, newImage, resultOf, root, useSigningPath, writeResult } from "../support/signing-path.ts";

// What an image would still need, in sentences, and the commands that get it: followed to the letter, they do.

useSigningPath();

const explain = (image: Built, environment = "production", ...more: string[]) =>
  runMain(
    "verify",
    image.reference,
    "--policy",
    join(root, "policy.yaml"),
    "--environment",
    environment,
    "--explain",
    ...more,
  );

const sign = async (stage: "base" | "scan", image: Built, change = {}) =>
  execute(signVerb, {
    image: image.reference,
    results: await writeResult(resultOf(stage, image, "pass", change)),
    key: join(root, `${stage}.pem`),
  });

describe("goldenpath verify --explain", () => {
  test("of an image with nothing names each stage, why, and what to run", async () => {
    const image = await newImage();
    const { code, out } = await explain(image);
    expect(code).toBe(0);
    expect(out).toContain("does not have all that environment 'production' requires");
    expect(out).toMatch(/✗ base\n.*the verdict of base is not there\.\n/);
    expect(out).toContain(`goldenpath enforce --image ${image.reference} --policy `);
    expect(out).toContain(`--results ./goldenpath-results/base-${image.digest.slice(7, 19)}.json --key KEY`);
    expect(out).toContain(`goldenpath scan --image ${image.reference} --policy `);
  });

  test("of an image with one stage tells that one's signer and time, and the other's lack", async () => {
    const image = await newImage();
    await sign("scan", image);
    const { out } = await explain(image);
    expect(out).toMatch(/✓ scan\n.*there, by 'scan' of 20\d\d-.*, counts until 20\d\d-/);
    expect(out).toMatch(/✗ base\n/);
  });

  test("of an image with all of it says so, and what is old says since when", async () => {
    const image = await newImage();
    await sign("base", image);
    const old = new Date(Date.now() - 3.5 * 86_400_000).toISOString();
    await sign("scan", image, { startedAt: old, finishedAt: old });
    expect((await explain(image)).out).toMatch(/✗ scan\n.*4 days ago; environment 'production' accepts 24 h/);
    await sign("scan", image);
    const { code, out } = await explain(image);
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringContaining("has all that environment 'production' requires"),
    });
    expect(out).not.toContain("✗");
    expect(out).not.toContain("goldenpath scan");
  });

  test("gives for each piece the command that checks it without us: those of the export's own script", async () => {
    const image = await newImage();
    expect((await explain(image)).out).not.toContain("cosign ");
    await sign("base", image);
    await sign("scan", image);
    const { out } = await explain(image, "production", "--json");
    const { checks } = JSON.parse(out) as { checks: { folder: string; signers: string[]; commands: string[] }[] };
    // What each stage found, and its verdict.
    expect(checks.map(({ signers }) => signers.join()).sort()).toEqual(["base", "base", "scan", "scan"]);
    const directory = join(root, `explained-${image.digest.slice(7, 19)}`);
    const policy = ["--policy", join(root, "policy.yaml")];
    const told = await explain(image);
    expect(told.out).toContain(`goldenpath evidence export ${image.reference} --policy ${join(root, "policy.yaml")}`);
    const exported = await runMain("evidence", "export", image.reference, ...policy, "--out", directory);
    expect(exported.code).toBe(0);
    for (const { folder, commands } of checks) {
      const script = (await readFile(join(directory, folder, "check.sh"), "utf8")).split("\n");
      expect(commands).toHaveLength(1);
      for (const command of commands) {
        expect(script).toContain(command);
        expect(told.out).toContain(`      ${command}\n`);
      }
    }
  });

  test("for a program it is JSON", async () => {
    const image = await newImage();
    const { out } = await explain(image, "built", "--json");
    expect(JSON.parse(out)).toMatchObject({
      isMet: false,
      stages: [{ stage: "build", isMet: false, commands: [expect.stringContaining("goldenpath attest")] }],
    });
  });

  test("of an environment that the policy does not have is an error", async () => {
    const { code, err } = await explain(await newImage(), "nowhere");
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("policy 'acme' has built, production") });
  });
});
