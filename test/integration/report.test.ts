import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StageResult } from "@goldenpath/core/result";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { reportVerb } from "@goldenpath/core/verbs/report";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { silentPorts } from "@goldenpath/foundation/ports";
import { copyManifest } from "@goldenpath/registry-client/copy";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let stand: Stand;
let directory: string;
beforeAll(async () => {
  stand = await openStand();
  directory = await mkdtemp(join(tmpdir(), "goldenpath-report-"));
});
afterAll(async () => {
  await stand?.close();
  await rm(directory, { recursive: true, force: true });
});

function execute(verb: typeof reportVerb | typeof verifyVerb, inputs: Record<string, string>): Promise<Execution> {
  return executeVerb(
    verb as typeof reportVerb,
    { policy: stand.policy.file, ...inputs },
    {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: directory,
      temporaryRoot: directory,
      defaultResultDirectory: directory,
      env: {},
      signal: new AbortController().signal,
    },
  );
}

const report = (inputs: Record<string, string>): Promise<Execution> => execute(reportVerb, inputs);

describe("the report of an image", () => {
  test("an image without evidence is no pass", async () => {
    const { image } = await stand.stageImage(
      { provenance: false, sbom: false, base: false, baseVerdict: false, scan: false, scanVerdict: false },
      "nothing",
    );
    const { outcome } = await report({ image: `${stand.from}/shop@${image.digest}` });
    expect(outcome).toMatchObject({ verdict: "fail", enforced: false });
    expect(outcome.result.violations.map(({ rule, thing }) => `${rule} ${thing}`)).toEqual([
      "report.missing stage build",
      "report.missing stage base",
      "report.missing stage scan",
    ]);
  });

  test("a stage without a verdict is shown as missing, and what there is as signed", async () => {
    const { image } = await stand.stageImage({ scanVerdict: false }, "unscanned");
    const { outcome } = await report({ image: `${stand.from}/shop@${image.digest}` });
    expect(outcome.verdict).toBe("fail");
    expect(outcome.summary).toContain("| scan | ➖ missing |");
    expect(outcome.summary).toContain("| base | ✅ pass | <code>base</code> |");
  });

  test("a whole chain is a pass, promoted or not, and the Markdown is a file", async () => {
    const staged = await stand.stageImage(undefined, "whole");
    const before = await report({ image: staged.reference });
    expect(before.outcome.verdict).toBe("pass");
    const promoted = (await stand.promote(staged)).outcome.outputs["image"] ?? "";
    const { outcome } = await report({ image: promoted });
    expect(outcome.verdict).toBe("pass");
    expect(outcome.summary).toContain("| promote | ✅ pass | <code>promote</code> |");
    expect(await readFile(outcome.outputs["markdown"] ?? "", "utf8")).toBe(outcome.summary);
    const page = await readFile(outcome.outputs["html"] ?? "", "utf8");
    expect(page).toContain("Vetted: every stage passed");
    expect(page).toContain(`npx goldenpath report ${promoted} --policy `);
    // Each stage with who signed it, and each of its statements with the digest that it is found by.
    for (const stage of ["build", "base", "scan", "promote"]) expect(page).toContain(`signed by <b>${stage}</b>`);
    expect(page.match(/<tr><td>(?:build|base|scan|promote)<\/td>/g)).toHaveLength(7);
  });

  test("verify takes the promoted image where it was promoted to, and refuses it anywhere else", async () => {
    const staged = await stand.stageImage(undefined, "verified");
    const promoted = (await stand.promote(staged)).outcome.outputs["image"] ?? "";
    expect((await execute(verifyVerb, { image: promoted, environment: "production" })).outcome.verdict).toBe("pass");
    const elsewhere = parseRepository(`${stand.vetted.host}/elsewhere/shop`);
    await copyManifest(stand.client, parseRepository(`${stand.from}/shop`), elsewhere, staged.image.digest);
    const refused = await execute(verifyVerb, {
      image: `${formatRepository(elsewhere)}@${staged.image.digest}`,
      environment: "production",
    });
    expect(refused.outcome.verdict).toBe("fail");
    expect(refused.outcome.result.violations.map(({ rule }) => rule)).toContain("gate.origin");
  });
});

describe("the report of result files", () => {
  const digest = `sha256:${"a".repeat(64)}` as const;
  const result = (changes: Partial<StageResult>): StageResult => ({
    schemaVersion: "1.0",
    stage: "scan",
    verdict: "pass",
    subject: {
      repository: "localhost:5000/q/web",
      digest,
      mediaType: "m",
      children: [{ digest, mediaType: "m", verdict: "pass" }],
    },
    violations: [],
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00Z",
    finishedAt: "2026-11-23T10:00:01Z",
    ...changes,
  });
  const write = async (name: string, changes: Partial<StageResult>): Promise<string> => {
    const file = join(directory, name);
    await writeFile(file, JSON.stringify(result(changes)));
    return file;
  };

  test("neither an image nor results, or both, is an error", async () => {
    expect((await report({})).outcome.result.error?.code).toBe("input-invalid");
    const file = await write("both.json", {});
    expect((await report({ image: "localhost:5000/q/web:1", results: file })).outcome.result.error?.code).toBe(
      "input-invalid",
    );
  });

  test("a file that is not there, and one that is cut in half", async () => {
    expect((await report({ results: join(directory, "nowhere.json") })).outcome.result.error?.code).toBe(
      "result-missing",
    );
    const file = join(directory, "cut.json");
    await writeFile(file, JSON.stringify(result({})).slice(0, 80));
    expect((await report({ results: file })).outcome.result.error?.code).toBe("result-invalid");
  });

  test("results of different images are refused", async () => {
    const other = `sha256:${"b".repeat(64)}` as const;
    const subject = {
      repository: "localhost:5000/q/web",
      digest: other,
      mediaType: "m",
      children: [{ digest: other, mediaType: "m", verdict: "pass" as const }],
    };
    const { outcome } = await report({
      results: `${await write("a.json", {})}\n${await write("b.json", { subject })}`,
    });
    expect(outcome.result.error?.message).toContain("results of different images");
  });

  describe("an image that was judged as a layout", () => {
    const layout = (of: `sha256:${string}`) => ({
      subject: {
        ...{ repository: "oci-layout.invalid/shop", digest: of, mediaType: "m" },
        children: [{ digest: of, mediaType: "m", verdict: "pass" as const }],
      },
    });

    test("of another digest than what was built is another image", async () => {
      const built = await write("built.json", { stage: "build" });
      const judged = await write("judged.json", { stage: "base", ...layout(`sha256:${"b".repeat(64)}`) });
      const { outcome } = await report({ results: `${built}\n${judged}` });
      expect(outcome.result.error?.message).toContain("results of different images");
    });

    test("of the same digest is what was built, and has its name", async () => {
      const built = await write("built.json", { stage: "build" });
      const judged = await write("judged.json", { stage: "base", ...layout(digest) });
      const { outcome } = await report({ results: `${built}\n${judged}` });
      expect(outcome.verdict).toBe("pass");
      expect(outcome.result.subject?.repository).toBe("localhost:5000/q/web");
      expect(outcome.summary).not.toContain("oci-layout.invalid");
    });

    test("without a result of another kind it is called as it is", async () => {
      const { outcome } = await report({ results: await write("judged.json", { stage: "base", ...layout(digest) }) });
      expect(outcome.result.subject?.repository).toBe("oci-layout.invalid/shop");
    });
  });

  test("the worst of them is the verdict: an error before a fail before a pass", async () => {
    const pass = await write("pass.json", { stage: "base" });
    const fail = await write("fail.json", {
      verdict: "fail",
      violations: [{ rule: "scan.severity", thing: "lodash", problem: "High.", wayOut: "Update it." }],
    });
    const error = await write("error.json", {
      stage: "sign",
      verdict: "error",
      subject: undefined,
      error: { code: "registry-unreachable", message: "it is down" },
    });
    const failed = await report({ results: `${pass}\n${fail}` });
    expect(failed.outcome).toMatchObject({ verdict: "fail", enforced: false });
    expect(failed.outcome.summary).toContain("Update it.");
    const errored = await report({ results: `${pass}\n${fail}\n${error}` });
    expect(errored.outcome).toMatchObject({
      verdict: "error",
      enforced: false,
      result: { error: { code: "stage-error" } },
    });
    expect(errored.error).toBeUndefined();
    expect((await report({ results: pass })).outcome.verdict).toBe("pass");
  });

  test("of each it says which policy it was made under, and whether that is this report's", async () => {
    const { result: own } = (await report({ results: await write("own.json", {}) })).outcome;
    const given = own.policy ?? { uri: "none", digest, serial: 1 };
    const files = [
      await write("scan.json", { policy: given }),
      await write("base.json", { stage: "base", policy: { uri: "oci://old|er", digest, serial: 3 } }),
      await write("verify.json", { stage: "verify" }),
    ];
    const { outcome } = await report({ results: files.join("\n") });
    expect(outcome.result.notes).toEqual([
      `scan: made under ${given.uri}, serial ${given.serial}, ${given.digest}`,
      `base: made under oci://old|er, serial 3, ${digest}; this report is under another one, serial ${given.serial}`,
      "verify: made without a policy",
    ]);
    expect(outcome.summary).toContain("base: made under oci:<!-- -->//old\\|er, serial 3");
    expect(outcome.summary).toContain("verify: made without a policy");
  });
});
