import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
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

const commit = "860c1904a1ce19322e91ac35af1ab07466440c37";
const source = { sourceRepository: "https://github.com/acme/web", sourceCommit: commit };

describe("a build that is tagged by rules", () => {
  const tools = useTools("lifecycle", "launcher");
  let registry: RegistryServer;
  let client: RegistryClient;
  let playground: string;

  beforeAll(async () => {
    registry = await startRegistry();
    client = connect();
  });
  afterAll(async () => {
    if (playground !== undefined) removePlayground(playground);
    await client?.close();
    await registry?.close();
  });
  beforeEach(async () => {
    playground ??= makePlayground(tools);
    const layer = await makeTar([{ name: "etc/os-release", content: "ID=tiny\n" }]);
    const runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
    const buildpacks = [await pushBuildpack(client, `${registry.host}/buildpacks/shell`, shellBuildpack)];
    writeFiles(playground, {
      "app/app.txt": "hello\n",
      "policy.yaml": renderPolicy({ host: registry.host, runImage, buildpacks }),
    });
  });

  const build = (inputs: Record<string, string>, run: Record<string, string>): Promise<BuildRunAnswer> =>
    runBuild(playground, { inputs: { policy: "policy.yaml", context: "app", ...inputs }, run: { ...source, ...run } });

  it("refuses rules that lead out of quarantine, and those that make no tag of this run", async () => {
    const vetted = { tags: "type=sha", repository: `${registry.host}/vetted/app` };
    expect(await build(vetted, {})).toMatchObject({ code: "build-not-in-quarantine", verdict: "fail" });
    const release = { tags: "type=semver,pattern={{version}}", repository: `${registry.host}/quarantine/app` };
    expect(await build(release, { sourceRef: "refs/heads/main" })).toMatchObject({ code: "tags-missing" });
    // A branch's name is somebody's word: it becomes a tag, and never another repository.
    const branch = { tags: "type=ref,event=branch", repository: `${registry.host}/quarantine/app` };
    expect(await build(branch, { sourceRef: "refs/heads/../../vetted/app:1" })).toMatchObject({
      code: "reference-invalid",
    });
    expect(Object.keys(await registry.snapshot()).filter((name) => /^(?:quarantine|vetted)/.test(name))).toEqual([]);
  });

  it("has every tag of its release, and says which commit it is of", async () => {
    const rules = ["type=semver,pattern={{version}}", "type=semver,pattern={{major}}", "type=sha"];
    const inputs = { tags: rules.join("\n"), repository: `${registry.host}/quarantine/app` };
    const answer = await build(inputs, { sourceRef: "refs/tags/v1.2.3" });
    expect(answer).toMatchObject({ verdict: "pass" });
    const tags = (await registry.snapshot())["quarantine/app"]?.tags ?? {};
    expect(Object.keys(tags).sort()).toEqual(["1", "1.2.3", "latest", "sha-860c190"]);
    expect(new Set(Object.values(tags))).toEqual(new Set([answer.outputs["digest"]]));
    const { children } = await fetchImageFacts(client, parseReference(answer.outputs["image"] ?? ""));
    const label = children[0]?.config.config?.Labels?.["io.buildpacks.project.metadata"] ?? "";
    expect(JSON.parse(label)).toEqual({
      source: { type: "git", version: { commit }, metadata: { url: source.sourceRepository } },
    });
  });
});
