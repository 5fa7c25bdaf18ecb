import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { runMain as run } from "../../../test/support/cli.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-open-"));
  const digest = digestOf("image");
  const result = {
    ...{ schemaVersion: "1.0", stage: "scan", verdict: "pass", violations: [], tools: [], run: { builderId: "local" } },
    subject: {
      ...{ repository: "registry.example/shop", digest, mediaType: "m" },
      children: [{ digest, mediaType: "m", verdict: "pass" }],
    },
    ...{ startedAt: "2026-11-23T10:00:00Z", finishedAt: "2026-11-23T10:00:01Z" },
  };
  await writeFile(join(directory, "scan.json"), JSON.stringify(result));
  await writeFile(join(directory, "policy.yaml"), "version: 1\nname: acme\nserial: 3\nscan: { failOn: high }\n");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

const report = (...more: string[]) =>
  run(
    ...["report", "--results", join(directory, "scan.json"), "--policy", join(directory, "policy.yaml")],
    ...["--result-dir", directory, ...more],
  );

/** What a desktop has: it writes down what it was asked to show. */
async function install(exitCode: number): Promise<void> {
  const file = join(directory, "xdg-open");
  await writeFile(file, `#!/bin/sh\nprintf %s "$1" > '${join(directory, "opened")}'\nexit ${exitCode}\n`);
  await chmod(file, 0o755);
  vi.stubEnv("PATH", `${directory}${delimiter}${process.env["PATH"]}`);
}

test.runIf(process.platform === "linux")("--open shows the page by what the desktop has", async () => {
  await install(0);
  const { code, err } = await report("--open");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const opened = await readFile(join(directory, "opened"), "utf8");
  expect(opened).toBe(join(directory, "report.html"));
  expect(await readFile(opened, "utf8")).toContain("registry.example/shop");
});

test.runIf(process.platform === "linux")("without it nothing is opened", async () => {
  await install(0);
  expect((await report()).code).toBe(0);
  await expect(readFile(join(directory, "opened"))).rejects.toThrow("ENOENT");
});

test.runIf(process.platform === "linux")("what can't be opened is said, with the file, and fails nothing", async () => {
  await install(3);
  const failed = await report("--open");
  expect(failed.code).toBe(0);
  expect(failed.err).toContain(
    `the page could not be opened (xdg-open ended with 3): ${join(directory, "report.html")}`,
  );
  await rm(join(directory, "xdg-open"));
  vi.stubEnv("PATH", directory);
  const missing = await report("--open");
  expect(missing.code).toBe(0);
  expect(missing.err).toContain("the page could not be opened");
});

test("a verb that leaves no page has no such option, and report's help has it", async () => {
  const { code, err } = await run("scan", "--open");
  expect(code).toBe(2);
  expect(err).toContain("Unknown option '--open'");
  expect((await run("report", "--help")).out).toContain("--open\n");
  expect((await run("scan", "--help")).out).not.toContain("--open");
});
