import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushImage,
  readImage,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "./build-run.ts";
import { type BuilderParts, makeShellRoot, pushBuilder, renderBuilder } from "./builder-fixtures.ts";

// Builder images made by hand, and the real lifecycle in them, without a daemon.
const isRoot = process.getuid?.() === 0;
const ordinary = { uid: 54_323, gid: 54_323 };
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
beforeEach(() => {
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), { "app.txt": "hello\n" });
});
afterEach(() => removePlayground(playground));

interface More {
  user?: BuildRunRequest["user"];
  env?: Record<string, string>;
  inputs?: Record<string, string>;
  environments?: string;
  /** Lines of the builder in the policy. */
  line?: string;
}

async function build(parts: BuilderParts, more: More = {}): Promise<BuildRunAnswer> {
  const builder = await pushBuilder(client, `${registry.host}/builders/shell`, { root, ...parts });
  const policy = renderPolicy({
    host: registry.host,
    runImage,
    buildpacks: [],
    builder: renderBuilder("shell", builder, more.line),
    environments: more.environments ?? "container",
  });
  writeFileSync(join(playground, "policy.yaml"), policy);
  const inputs = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one`, ...more.inputs };
  const user = more.user === undefined ? {} : { user: more.user };
  return runBuild(playground, { inputs, ...user }, more.env);
}

describe.each(users)("a builder image, $name", ({ user }) => {
  const as = user === undefined ? {} : { user };

  it("is the root of the build", async () => {
    const answer = await build({ buildpacks: [shellBuildpack] }, as);
    expect(answer, answer.log.join("\n")).toMatchObject({ verdict: "pass" });
    const files = await readImage(client, answer.outputs["image"] ?? "");
    expect([...files.keys()]).toContain("layers/test_shell/stuff/copied.txt");
  });
});
