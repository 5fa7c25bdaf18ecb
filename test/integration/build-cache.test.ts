import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunFacts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cachingBuildpack, installing, reusing } from "../support/caching-buildpack.ts";
import { useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushBuildpack,
  pushImage,
  removePlayground,
  renderPolicy,
  runBuild,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "./build-run.ts";
import { makeShellRoot, pushBuilder, renderBuilder } from "./builder-fixtures.ts";

// What one build leaves for the next, by the real lifecycle; each build has the registry's cache and no other.
const isRoot = process.getuid?.() === 0;
const ordinary = { uid: 54_327, gid: 54_327 };
const users: { name: string; user?: { uid: number; gid: number } }[] = isRoot
  ? [{ name: "as root" }, { name: "as an ordinary user", user: ordinary }]
  : [{ name: "as this user" }];

const tools = useTools("lifecycle", "launcher");
let registry: RegistryServer;
let client: RegistryClient;
let playground: string;
let runImage: string;
let root: Buffer;

beforeAll(async () => {
  registry = await startRegistry();
  client = connect();
  const layer = await makeTar([{ name: "etc", type: "directory" }]);
  runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
  root = await makeShellRoot();
});
afterAll(async () => {
  if (isRoot) rmSync(`/var/tmp/goldenpath-${ordinary.uid}`, { recursive: true, force: true });
  await client?.close();
  await registry?.close();
});
let app = 0;
beforeEach(() => {
  app++;
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), { "app.txt": "hello\n", "package.json": "{}", "package-lock.json": "1\n" });
});
afterEach(() => removePlayground(playground));

const onMain: Partial<RunFacts> = {
  sourceRepository: "https://github.com/acme/shop",
  sourceRef: "refs/heads/main",
  sourceCommit: "c".repeat(40),
  defaultBranch: "main",
  event: "push",
};

interface More {
  run?: Partial<RunFacts>;
  user?: BuildRunRequest["user"];
  inputs?: Record<string, string>;
  cache?: string;
  /** By a builder image. */
  isContained?: boolean;
  version?: string;
  env?: Record<string, string>;
}

async function build(more: More = {}): Promise<BuildRunAnswer> {
  const { run = onMain, user, inputs, cache = "unverified", isContained = false, version = "1.0.0", env } = more;
  const buildpack = { ...cachingBuildpack, version };
  const policy = renderPolicy({
    ...{ host: registry.host, runImage, environments: isContained ? "container" : "host" },
    buildpacks: isContained ? [] : [await pushBuildpack(client, `${registry.host}/buildpacks/caching`, buildpack)],
    ...(isContained
      ? {
          builder: renderBuilder(
            "b",
            await pushBuilder(client, `${registry.host}/builders/b`, { root, buildpacks: [buildpack] }),
          ),
        }
      : {}),
  });
  writeFileSync(join(playground, "policy.yaml"), policy.replace("  strategies:", `  cache: ${cache}\n  strategies:`));
  const request = {
    inputs: { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app-${app}:one`, ...inputs },
    run,
    ...(user === undefined ? {} : { user }),
  };
  return runBuild(playground, request, env);
}

const text = ({ log }: BuildRunAnswer): string => log.join("\n");

describe.each(users)("a build $name", ({ user }) => {
  it.each([
    { where: "on the host", isContained: false },
    { where: "in a builder image", isContained: true },
  ])("$where leaves what the next one takes, and makes the same image with it as without", async ({ isContained }) => {
    const more = { isContained, ...(user === undefined ? {} : { user }) };
    const first = await build(more);
    expect(first.verdict, text(first)).toBe("pass");
    expect(text(first)).toContain(installing);
    expect(first.outputs["cache"]).toMatch(/@sha256:/);
    const second = await build(more);
    expect(text(second)).toContain(reusing);
    expect(second.outputs["digest"]).toBe(first.outputs["digest"]);
    expect(second.outputs["cache"]).toBe(first.outputs["cache"]);
    const notes = second.result.notes.filter((note) => note.startsWith("cache:"));
    expect(notes).toEqual([
      expect.stringMatching(/is used \(written by protected, the same lock files, not attested\)$/),
      expect.stringMatching(/^cache: \d+\.\d MB of it were read; .*saved\)$/),
      expect.stringMatching(/of which 0\.0 MB are new$/),
    ]);
    const without = await build({ ...more, cache: "none" });
    expect(text(without)).toContain(installing);
    expect(without.outputs).toMatchObject({ digest: first.outputs["digest"], cache: "" });
  });
});
