import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { registry, useCleanups } from "@goldenpath/testing/servers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { runMain } from "../support/cli.ts";
import { constructSigstore } from "../support/constructed-sigstore.ts";
import { renderWorkflowPolicy } from "../support/published-bundle.ts";
import { useTools } from "../support/tools.ts";
import { openTufRepository } from "../support/tuf-repository.ts";

// The TUF repositories of our tests are ones that the field's tools take and refuse as we do, and what we read of them
// is what those read.

const run = promisify(execFile);
const tools = useTools("cosign");
useCleanups();

const { trustedRoot } = await constructSigstore();
// cosign takes nothing without the services to sign with.
const targets = {
  "trusted_root.json": trustedRoot,
  "signing_config.v0.2.json": JSON.stringify({ mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json" }),
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuf-repositories-"));
  await mkdir(join(folder, "home"));
  vi.stubEnv("GOLDENPATH_TOOL_CACHE", join(folder, "cache"));
  return async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  };
});

const policyOf = (sigstore: string): string =>
  renderWorkflowPolicy(sigstore, {
    workflow: "https://github.com/acme/platform/.github/workflows/stage-base.yml",
    at: "c".repeat(40),
    ownerId: "4321",
    repositories: "https://github.com/acme/*",
  });

describe("cosign's client of The Update Framework", () => {
  const initialize = (url: string, rootFile: string) =>
    run(tools.cosign, ["initialize", "--mirror", url, "--root", rootFile], {
      env: { HOME: join(folder, "home"), TUF_ROOT: join(folder, "tuf") },
    });

  test("refuses what we refuse, and reads what we read", async () => {
    const repository = await openTufRepository();
    repository.publish(targets, { byStranger: ["targets"] });
    await writeFile(join(folder, "root.json"), repository.root);
    const policy = join(folder, "policy.yaml");
    const root = `{ digest: "${repository.rootDigest}", path: root.json }`;
    await writeFile(policy, policyOf(`tuf: { mirror: "${repository.url}", root: ${root} }`));
    const ours = () => runMain("policy", "trust", "sigstore", policy, "own");
    await expect(initialize(repository.url, join(folder, "root.json"))).rejects.toThrow(/targets/);
    await expect(ours()).resolves.toMatchObject({
      code: 2,
      out: "",
      err: expect.stringContaining("does not say whom"),
    });

    repository.rotateRoot();
    repository.publish(targets);
    await initialize(repository.url, join(folder, "root.json"));
    const host = new URL(repository.url).host.replace(":", "-");
    const read = await readFile(join(folder, "tuf", host, "targets", "trusted_root.json"), "utf8");
    expect(read).toBe(trustedRoot);
    await expect(ours()).resolves.toMatchObject({ code: 0, out: trustedRoot });
  });
});

test("a file that lies with the policy goes into its artifact, and is read there", async () => {
  const { host } = await registry();
  const policy = join(folder, "policy.yaml");
  await writeFile(policy, policyOf(`file: { path: own.json, digest: "${digestOf(trustedRoot)}" }`));
  const publish = () => runMain("policy", "publish", policy, `${host}/platform/policy`);
  await expect(publish()).resolves.toMatchObject({
    code: 2,
    err: expect.stringContaining("own.json does not lie with"),
  });
  await writeFile(join(folder, "own.json"), `${trustedRoot} `);
  await expect(publish()).resolves.toMatchObject({ code: 2, err: expect.stringContaining("and the policy names") });
  await writeFile(policy, policyOf(`file: { path: own.json, digest: "${digestOf("[]")}" }`));
  await writeFile(join(folder, "own.json"), "[]");
  for (const args of [
    ["publish", policy, `${host}/platform/policy`],
    ["check", policy],
  ])
    await expect(runMain("policy", ...args)).resolves.toMatchObject({
      code: 2,
      err: expect.stringContaining("what sigstore.own of the policy trusts is no trusted root"),
    });
  await writeFile(policy, policyOf(`file: { path: own.json, digest: "${digestOf(trustedRoot)}" }`));
  await expect(runMain("policy", "check", policy)).resolves.toMatchObject({
    code: 2,
    err: expect.stringContaining("own.json, beside the policy, is sha256:"),
  });
  await writeFile(join(folder, "own.json"), trustedRoot);
  await expect(runMain("policy", "check", policy)).resolves.toMatchObject({ code: 0 });
  const { code, out } = await publish();
  expect(code).toBe(0);
  await rm(join(folder, "own.json"));
  await expect(runMain("policy", "trust", "sigstore", out.trim(), "own")).resolves.toMatchObject({
    code: 0,
    out: trustedRoot,
  });
  await expect(runMain("policy", "trust", "sigstore", out.trim())).resolves.toMatchObject({
    code: 0,
    out: `own: ${digestOf(trustedRoot)}, from own.json\n`,
  });
});
