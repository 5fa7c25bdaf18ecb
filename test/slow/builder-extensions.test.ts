import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readLifecycleLabel } from "@goldenpath/core/base/label";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  connect,
  makePlayground,
  makeTar,
  pushImage,
  readImage,
  removePlayground,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "../integration/build-fixtures.ts";
import type { BuildRunAnswer } from "../integration/build-run.ts";
import { type PackStand, preparePack } from "../support/pack-stand.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// A builder that pack makes with an extension of images: pack runs it where the policy says so, over a Docker daemon.
const tools = useTools("lifecycle", "launcher", "pack");
let registry: RegistryServer;
let client: RegistryClient;
let stand: PackStand;
let playground: string;

/** By what the application has: adds a file to what it is built in, to what it runs on, or chooses another run image. */
const extension = {
  detect: "exit 0",
  generate: `
if [ -f build.txt ]; then
  printf 'ARG base_image\\nFROM \${base_image}\\nUSER root\\nRUN echo extended > /etc/extended\\nUSER 1000:1000\\n' > "$CNB_OUTPUT_DIR/build.Dockerfile"
fi
if [ -f run.txt ]; then
  printf 'ARG base_image\\nFROM \${base_image}\\nUSER root\\nCOPY run.txt /srv/run.txt\\nUSER 1000:1000\\n' > "$CNB_OUTPUT_DIR/run.Dockerfile"
fi
if [ -f switch.txt ]; then
  read -r image < switch.txt
  printf 'FROM %s\\n' "$image" > "$CNB_OUTPUT_DIR/run.Dockerfile"
fi`,
};
const buildpack = {
  ...shellBuildpack,
  build: `${shellBuildpack.build}\nif [ -f /etc/extended ]; then cp /etc/extended "$CNB_LAYERS_DIR/stuff/extended.txt"; fi`,
};

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  registry = await startRegistry();
  client = connect();
  playground = makePlayground(tools);
  stand = await preparePack(registry.host, playground, { ...programs, ...tools }, buildpack, { extension });
});
afterAll(async () => {
  await stand?.close();
  await client?.close();
  await registry?.close();
  if (playground !== undefined) removePlayground(playground);
});

const allowed = (list = "[test/extension]") => `\n      allowExtensions: ${list}`;

function build(
  name: string,
  more: string,
  { files = {}, ...inputs }: { files?: Record<string, string>; engine?: string; push?: string } = {},
): Promise<BuildRunAnswer> {
  writeFiles(join(playground, name), { "app.txt": "hello\n", ...files });
  const policy = stand.renderPolicy(`\n      lifecycleImage: ${stand.lifecycleImage}${more}`);
  writeFileSync(join(playground, "policy.yaml"), policy);
  const given = { policy: "policy.yaml", context: name, tags: tagOf(name), ...inputs };
  return runBuild(playground, { inputs: given }, { ...stand.docker.env });
}

const tagOf = (name: string): string => `${registry.host}/quarantine/${name}:one`;
const textOf = async ({ outputs }: BuildRunAnswer, path: string) =>
  (await readImage(client, outputs["image"] ?? "")).get(path)?.content.toString();

async function childOf(reference: string) {
  const { children } = await fetchImageFacts(client, parseReference(reference));
  const [child] = children;
  if (child === undefined) throw new Error(`${reference} has nothing that runs`);
  return child.config;
}

/** Nothing of it stays with the daemon but the images that it was given. */
async function expectNothingLeft(): Promise<void> {
  expect(await stand.docker.docker("volume", "ls", "--quiet")).toBe("");
  expect(await stand.docker.docker("ps", "--all", "--quiet")).toBe("");
  expect(await stand.docker.docker("images", "--quiet", "goldenpath.invalid/*")).toBe("");
}

describe("a builder with extensions", () => {
  it.each([
    ["the policy allows none", "", "Allowed now: none."],
    ["the policy allows another", allowed("[test/other]"), "Allowed now: test/other."],
    ["the policy allows another version", allowed('["test/extension@2.0.0"]'), "test/extension@2.0.0."],
  ])("builds nothing by pack where %s", async (_what, more, says) => {
    const answer = await build("refused", more, { engine: "pack", files: { "run.txt": "hello\n" } });
    expect(answer).toMatchObject({ verdict: "fail", code: "extensions-not-allowed", rule: "build.buildpacks" });
    expect(answer.result.violations[0]?.problem).toContain("test/extension@1.0.0");
    expect(answer.result.violations[0]?.wayOut).toContain(says);
    expect(await client.resolve(parseReference(tagOf("refused")))).toBeUndefined();
  });

  it("builds nothing by the lifecycle where the policy allows them, and leaves them out where it allows none", async () => {
    const answer = await build("lifecycle", allowed(), { engine: "lifecycle" });
    expect(answer).toMatchObject({ verdict: "error", code: "engine-unavailable" });
    expect(answer.result.error?.message).toContain("steps are root's over whole images");
    const without = await build("lifecycle", "", { engine: "lifecycle", files: { "run.txt": "hello\n" } });
    expect(without.result.error, without.log.join("\n")).toBeUndefined();
    expect(without.result.notes.join("\n")).toContain("were left out");
    expect(await textOf(without, "srv/run.txt")).toBeUndefined();
  });

  it("is run by pack, which auto takes, over what is built in and what it runs on, above the approved base", async () => {
    const files = { "build.txt": "", "run.txt": "of the extension\n" };
    const answer = await build("extended", allowed(), { files });
    expect(answer.result.error, answer.log.join("\n")).toBeUndefined();
    expect(answer.verdict).toBe("pass");
    expect(answer.result.notes.join("\n")).toMatch(/extensions, which the policy allows.*test\/extension@1\.0\.0/);
    expect(await textOf(answer, "srv/run.txt")).toBe("of the extension\n");
    expect(await textOf(answer, "layers/test_shell/stuff/extended.txt")).toBe("extended\n");
    const base = (await childOf(stand.runImage)).rootfs.diff_ids;
    const { rootfs, config } = await childOf(answer.outputs["image"] ?? "");
    expect(rootfs.diff_ids.slice(0, base.length)).toEqual(base);
    // What the base stage holds the label to: the run image ends where the approved base does, whatever is above it.
    expect(readLifecycleLabel(config?.Labels ?? {})).toMatchObject({ kind: "read", topLayer: base.at(-1) });
    expect((await client.resolve(parseReference(tagOf("extended"))))?.toString()).toBe(answer.outputs["digest"]);
    await expectNothingLeft();
  });

  it("leaves a layout with the extension's layer where nothing is to be pushed", async () => {
    const answer = await build("kept", allowed('["test/extension@1.0.0"]'), {
      push: "false",
      files: { "run.txt": "hello\n" },
    });
    expect(answer.result.error, answer.log.join("\n")).toBeUndefined();
    expect(answer.outputs["layout"]).toMatch(/image-[0-9a-f]{12}$/);
    expect(await client.resolve(parseReference(tagOf("kept")))).toBeUndefined();
    await expectNothingLeft();
  });

  it("is refused, and pushes nothing, where an extension takes another run image", async () => {
    const env = ["CNB_USER_ID=1000", "CNB_GROUP_ID=1000"];
    const layers = [await makeTar([{ name: "etc/foreign", content: "foreign\n" }])];
    const foreign = `${registry.host}/foreign/run@${await pushImage(client, `${registry.host}/foreign/run`, { layers, env })}`;
    const answer = await build("switched", allowed(), { files: { "switch.txt": `${foreign}\n` } });
    expect(answer, answer.log.join("\n")).toMatchObject({
      ...{ verdict: "fail", code: "base-not-used", rule: "base.approved" },
    });
    expect(answer.result.violations[0]?.problem).toContain("does not stand on");
    expect(await client.resolve(parseReference(tagOf("switched")))).toBeUndefined();
    await expectNothingLeft();
  });
});
