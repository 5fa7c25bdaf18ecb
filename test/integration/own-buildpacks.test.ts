import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushBuildpack,
  pushImage,
  readImage,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";
import { makeShellRoot, pushBuilder, renderBuilder } from "./builder-fixtures.ts";

// Buildpacks that an application's project.toml brings, in the real lifecycle.
const tools = useTools("lifecycle", "launcher");
let registry: RegistryServer;
let client: RegistryClient;
let playground: string;
let runImage: string;
let builder: string;
let extra: string;

const leave = (name: string, text: string): string =>
  `mkdir -p "$CNB_LAYERS_DIR/${name}"\nprintf '[types]\\nlaunch = true\\n' > "$CNB_LAYERS_DIR/${name}.toml"\n${text} > "$CNB_LAYERS_DIR/${name}/out.txt"`;

beforeAll(async () => {
  registry = await startRegistry();
  client = connect();
  const { host } = registry;
  const layer = await makeTar([{ name: "etc", type: "directory" }]);
  runImage = `${host}/bases/run@${await pushImage(client, `${host}/bases/run`, { layers: [layer] })}`;
  const root = await makeShellRoot();
  builder = await pushBuilder(client, `${host}/builders/shell`, { root, buildpacks: [shellBuildpack] });
  const parts = { id: "acme/extra", detect: "exit 0", build: leave("extra", "echo extra") };
  extra = await pushBuildpack(client, `${host}/buildpacks/extra`, parts);
});
afterAll(async () => {
  await client?.close();
  await registry?.close();
});
beforeEach(() => {
  playground = makePlayground(tools);
});
afterEach(() => removePlayground(playground));

const script = (list: string, body: string): string =>
  `[[io.buildpacks.${list}]]\nid = "acme/seed"\n[io.buildpacks.${list}.script]\napi = "0.10"\ninline = '''\nset -eu\n${body}\n'''\n`;

function build(project: string, allowed: string, kind: "image" | "host" = "image") {
  const { host } = registry;
  const own =
    kind === "image"
      ? renderBuilder("shell", builder, allowed)
      : `- name: shell\n      buildpacks: [${extra}]\n      runImage: golden${allowed}`;
  const environments = kind === "image" ? "container" : "host";
  const policy = renderPolicy({ host, runImage, buildpacks: [], builder: own, environments });
  writeFileSync(join(playground, "policy.yaml"), policy);
  writeFiles(join(playground, "app"), {
    "app.txt": "hello\n",
    "project.toml": `[_]\nschema-version = "0.2"\n\n${project}`,
  });
  return runBuild(playground, {
    inputs: { policy: "policy.yaml", context: "app", tags: `${host}/quarantine/app:one` },
  });
}

const inlineAllowed = "\n      allowInline: true";

describe("a buildpack that project.toml brings", () => {
  test.each([
    ["a script, without a word of the policy", () => script("group", "echo ran-inline"), ""],
    ["an image that the policy has not", () => `[[io.buildpacks.group]]\nuri = "docker://${extra}"\n`, inlineAllowed],
  ])("is refused at its line, before anything runs: %s", async (_what, project, allowed) => {
    const answer = await build(project(), allowed);
    expect(answer).toMatchObject({ verdict: "fail", code: "buildpacks-not-allowed", rule: "build.buildpacks" });
    expect(answer.places).toMatchObject([{ file: "app/project.toml", line: 4 }]);
    expect(answer.log.join("\n")).not.toContain("ran-inline");
    expect(registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual(
      registry.requests.filter(
        ({ path, method }) => !path.includes("quarantine") && method !== "GET" && method !== "HEAD",
      ),
    );
  });

  test("runs around the builder's where the policy allows it: apart from the machine, and said", async () => {
    const seen = "{ env | grep -E 'CNB_REGISTRY_AUTH|ACTIONS_' || cat /etc/builder; }";
    const answer = await build(script("pre.group", `echo ran-inline\n${leave("seed", seen)}`), inlineAllowed);
    expect(answer, answer.log.join("\n")).toMatchObject({ verdict: "pass" });
    const files = await readImage(client, answer.outputs["image"] ?? "");
    const { content = "" } = files.get("layers/acme_seed/seed/out.txt") ?? {};
    expect(content).toBe("of the builder image\n");
    // The builder's own ran as well, behind it.
    expect(files.get("layers/test_shell/stuff/copied.txt")).toMatchObject({ content: "hello\n" });
    expect(answer.result.tools).toContainEqual(
      expect.objectContaining({ name: "inline buildpack acme/seed", version: "0.0.0", sha256: expect.any(String) }),
    );
    expect(answer.result.notes).toContain(
      "buildpacks by project.toml, which the policy allows: acme/seed@0.0.0, a script; the builder's own",
    );
    expect(answer.result.notes.join("\n")).not.toContain("passed over");
    const again = await build(script("pre.group", `echo ran-inline\n${leave("seed", seen)}`), inlineAllowed);
    expect(again.outputs["digest"]).toBe(answer.outputs["digest"]);
  });

  test("that is an image of the policy runs in the builder's place", async () => {
    const project = `[[io.buildpacks.group]]\nuri = "docker://${extra}"\n`;
    const answer = await build(project, `\n      allowBuildpacks: ["${extra}"]`);
    expect(answer, answer.log.join("\n")).toMatchObject({ verdict: "pass" });
    const files = await readImage(client, answer.outputs["image"] ?? "");
    expect(files.get("layers/acme_extra/extra/out.txt")).toMatchObject({ content: "extra\n" });
    expect(files.has("layers/test_shell/stuff/copied.txt")).toBe(false);
  });

  test("is run beside buildpacks that the policy has as images, too, and refused under the name of one", async () => {
    const answer = await build(script("post.group", leave("seed", "echo seed")), inlineAllowed, "host");
    expect(answer, answer.log.join("\n")).toMatchObject({ verdict: "pass" });
    const files = await readImage(client, answer.outputs["image"] ?? "");
    const left = [...files].filter(([path]) => path.endsWith("/out.txt")).map(([, { content }]) => content);
    expect(left).toEqual(["extra\n", "seed\n"]);
    const posed = script("post.group", "exit 0").replace("acme/seed", "acme/extra");
    expect(await build(posed, inlineAllowed, "host")).toMatchObject({ verdict: "error", code: "project-invalid" });
  });
});
