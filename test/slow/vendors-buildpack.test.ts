import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pushBuildpack } from "../integration/build-fixtures.ts";
import { examples } from "../support/golden-platform.ts";
import { expectRest } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// Paketo's own buildpack that compiles Go, in the example platform's builder image, along the whole path. Its Go is the
// platform's, by a small buildpack of the test's: Paketo's would fetch one from where none can be had here.
const tools = useTools("lifecycle", "launcher", "syft", "grype", "paketo-go-build");
const version = "1.1.4";
let world: LanguageWorld;
let folder: string;
let named: readonly string[];

const provider = {
  id: "test/go",
  detect: `printf '[[provides]]\\nname = "go"\\n' > "$CNB_BUILD_PLAN_PATH"`,
  build: `layer="$CNB_LAYERS_DIR/go"
mkdir -p "$layer/bin" "$layer/env.build"
ln -s /cnb/buildpacks/goldenpath_example-go/*/runtime/go/bin/go "$layer/bin/go"
printf local > "$layer/env.build/GOTOOLCHAIN.override"
printf '[types]\\nbuild = true\\n' > "$CNB_LAYERS_DIR/go.toml"`,
};

/** As its publisher packages it: one program, by the name that it is called by. */
async function listFiles() {
  const module = await runChecked(
    "go",
    ["mod", "download", "-json", `github.com/paketo-buildpacks/go-build@v${version}`],
    {
      env: process.env,
      timeoutMs: 120_000,
    },
  );
  const { Dir } = JSON.parse(module.stdout) as { Dir: string };
  const toml = await readFile(join(Dir, "buildpack.toml"), "utf8");
  const program = (await readFile(tools["paketo-go-build"] ?? "")) as never;
  return [
    { name: "buildpack.toml", content: toml.replace("[buildpack]\n", `[buildpack]\n  version = "${version}"\n`) },
    { name: "bin/run", mode: 0o755, content: program },
    ...["detect", "build"].map((name) => ({ name: `bin/${name}`, type: "symlink" as const, linkname: "run" })),
  ];
}

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb", "go"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  folder = await mkdtemp(join(tmpdir(), "goldenpath-vendor-"));
  const files = await listFiles();
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) }, async (client, host) => {
    named = [
      await pushBuildpack(client, `${host}/buildpacks/go`, provider),
      await pushBuildpack(client, `${host}/buildpacks/go-build`, { id: "paketo-buildpacks/go-build", version, files }),
    ];
    return named;
  });
});
afterAll(async () => {
  await world?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test("a vendor's buildpack that the policy has builds an application, which answers and goes along the path", async () => {
  const app = join(folder, "vendor-go");
  await cp(join(examples, "apps/go"), app, { recursive: true });
  const group = named.map((each) => `[[io.buildpacks.group]]\nuri = "docker://${each}"\n`);
  await writeFile(join(app, "project.toml"), `[_]\nschema-version = "0.2"\n${group.join("")}`);
  const built = await world.build(app, undefined);
  expect(built.verdict, built.log.join("\n")).toBe("pass");
  expect(built.log.join("\n")).toContain("Paketo Go Build Buildpack");
  await expectRest(world, built.outputs["image"] ?? "", "from Go", "vendor-go");
});
