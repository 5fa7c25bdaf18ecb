import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DataPublisher, publishOsvData, startPublisher } from "../support/data-publishers.ts";
import { writeOsvData } from "../support/osv-data.ts";

const root = join(import.meta.dirname, "../..");
let directory = "";
let registry: RegistryServer;
let publisher: DataPublisher;
let data: StageKey;
let stranger: StageKey;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-mirror-"));
  registry = await startRegistry();
  publisher = await startPublisher();
  [data, stranger] = [await makeKey(), await makeKey()];
  await writeOsvData(directory, [{ id: "OSV-1", ecosystem: "npm", package: "lodash" }], new Date("2026-11-01"));
  await publishOsvData(publisher, directory, ["npm"]);
  const source = `data: { repository: "${registry.host}/platform/data", signers: [data] }`;
  await writeFile(
    join(directory, "policy.yaml"),
    `version: 1\nname: acme\nserial: 1\nsigners:\n${renderSigners({ data: data.publicKeyPem })}scan: { failOn: high, scanners: [osv-scanner], ${source} }\n`,
  );
});
afterAll(async () => {
  publisher?.close();
  await registry?.close();
  await rm(directory, { recursive: true, force: true });
});

/** As the runner starts it: a process, its environment, its files. */
async function runAction(key: string): Promise<{ exitCode: number; log: string; output: string; summary: string }> {
  const [output, summary] = [join(directory, "output"), join(directory, "summary")];
  for (const file of [output, summary]) await writeFile(file, "");
  const env = {
    ...{ PATH: process.env["PATH"], HOME: directory, RUNNER_TEMP: directory, GITHUB_WORKSPACE: directory },
    ...{ GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary, INPUT_POLICY: "policy.yaml", INPUT_KEY: key },
    ...{ INPUT_ECOSYSTEMS: "npm", INPUT_SOURCES: `osv-scanner=${publisher.url}/osv` },
  };
  const args = ["--conditions=goldenpath-source", join(root, "actions/mirror-data/src/index.ts")];
  const { exitCode, stdout, stderr } = await runProcess(process.execPath, args, { env, cwd: directory });
  const [told, shown] = await Promise.all([output, summary].map((file) => readFile(file, "utf8")));
  return { exitCode: exitCode ?? -1, log: stdout + stderr, output: told ?? "", summary: shown ?? "" };
}

const listTags = (): Promise<string[]> =>
  withRegistryClient({ ports: silentPorts(), env: {} }, (client) =>
    client.listTags({ registry: registry.host, name: "platform/data" }),
  );

test("the action fails where its key is nobody's of the policy, and leaves nothing", async () => {
  const { exitCode, log, summary } = await runAction(stranger.privateKeyPem);
  expect(exitCode).toBe(1);
  expect(log).toMatch(/^::error::mirror-data: what this signs does not count by the policy's scan\.data/m);
  expect(summary).toBe("");
  expect(await listTags()).toEqual([]);
});

test("the action mirrors what the policy asks for, and says so", async () => {
  const { exitCode, log, output, summary } = await runAction(data.privateKeyPem);
  expect({ exitCode, log }).toEqual({ exitCode: 0, log: expect.stringContaining("osv-scanner: data of 2026-11-01T") });
  expect(output).toMatch(/\[\{"scanner":"osv-scanner","reference":"localhost:\d+\/platform\/data@sha256:/);
  expect(summary).toContain("| osv-scanner | 2026-11-01T00:00:00.000Z |");
  expect((await listTags()).toSorted()).toEqual(["osv-scanner", expect.stringMatching(/^osv-scanner-\d{8}T\d{6}Z$/)]);
});
