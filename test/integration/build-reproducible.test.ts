import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer } from "./build-run.ts";

describe("a build that is to be the same twice", () => {
  const tools = useTools("lifecycle", "launcher");
  let registry: RegistryServer;
  let client: RegistryClient;
  let playground: string;
  let runImage: string;

  beforeAll(async () => {
    registry = await startRegistry();
    client = connect();
    playground = makePlayground(tools);
    const layer = await makeTar([{ name: "etc/os-release", content: "ID=tiny\n" }]);
    runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
    writeFiles(playground, { "app/app.txt": "hello\n" });
  });
  afterAll(async () => {
    if (playground !== undefined) removePlayground(playground);
    await client?.close();
    await registry?.close();
  });

  async function build(name: string, script: string): Promise<BuildRunAnswer> {
    const buildpack = { ...shellBuildpack, build: `${shellBuildpack.build}\n${script}` };
    const buildpacks = [await pushBuildpack(client, `${registry.host}/buildpacks/${name}`, buildpack)];
    writeFiles(playground, { "policy.yaml": renderPolicy({ host: registry.host, runImage, buildpacks }) });
    const inputs = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/${name}:1` };
    return runBuild(playground, { inputs: { ...inputs, "verify-reproducible": "true" } });
  }
  const tagsOf = async (name: string) =>
    Object.keys((await registry.snapshot())[`quarantine/${name}`]?.tags ?? {}).sort();

  it("is refused where it writes the time, by the file and how that differs; nothing has the tag", async () => {
    const answer = await build("changing", 'date +%s%N > "$CNB_LAYERS_DIR/stuff/built-at.txt"');
    expect(answer).toMatchObject({ verdict: "fail", code: "" });
    expect(answer.result.violations[0]).toMatchObject({
      rule: "build.reproducible",
      thing: expect.stringMatching(/^layer \d+: \/var\/tmp\/.*\/stuff\/built-at\.txt$/),
      problem: expect.stringMatching(/content: 20 bytes, sha256:[0-9a-f]{12} and 20 bytes, sha256:[0-9a-f]{12}\.$/),
    });
    expect(answer.result.notes.join("\n")).toContain("neither has the tags");
    expect(await tagsOf("changing")).toEqual(["1-first-build", "1-second-build"]);
  });

  it("has its tag where it is", async () => {
    const answer = await build("steady", "");
    expect(answer).toMatchObject({ verdict: "pass", code: "" });
    expect(answer.result.notes).toContain("built twice, in two places: the same digest");
    const tags = (await registry.snapshot())["quarantine/steady"]?.tags ?? {};
    expect(Object.keys(tags).sort()).toEqual(["1", "1-first-build", "1-second-build"]);
    expect(new Set(Object.values(tags))).toEqual(new Set([answer.outputs["digest"]]));
  });
});
