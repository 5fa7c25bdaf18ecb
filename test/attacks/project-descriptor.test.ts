import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
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
} from "../integration/build-fixtures.ts";
import type { BuildRunAnswer } from "../integration/build-run.ts";
import { useTools } from "../support/tools.ts";

/** Fails where the file that project.toml excludes is there, and shows the variable that it sets. */
const witness = {
  id: "test/witness",
  detect: "exit 0",
  build: `
if test -f secret.env; then echo "the secret is here"; exit 1; fi
echo "K is '$K'"
printf '[[processes]]\\ntype = "web"\\ncommand = ["x"]\\n' > "$CNB_LAYERS_DIR/launch.toml"`,
};

const secondSchema = '[_]\nschema-version = "0.2"\n';
const exclude = '[io.buildpacks]\nexclude = ["secret.env"]\n';
const variable = (place: string): string => `[[${place}]]\nname = "K"\nvalue = "V"\n`;

const tools = useTools("lifecycle", "launcher");
let registry: RegistryServer;
let playground: string;

beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry?.close());
beforeEach(() => {
  playground = makePlayground(tools);
});
afterEach(() => removePlayground(playground));

async function build(project: string): Promise<BuildRunAnswer> {
  const client = connect();
  try {
    const layer = await makeTar([{ name: "etc/os-release", content: "ID=tiny\n" }]);
    const runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
    const buildpacks = [await pushBuildpack(client, `${registry.host}/buildpacks/${witness.id}`, witness)];
    writeFileSync(join(playground, "policy.yaml"), renderPolicy({ host: registry.host, runImage, buildpacks }));
  } finally {
    await client.close();
  }
  writeFiles(join(playground, "app"), { "app.txt": "hello\n", "secret.env": "TOKEN=x\n", "project.toml": project });
  return runBuild(playground, {
    inputs: { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one` },
  });
}

describe("what project.toml keeps out or sets in words of another schema", () => {
  it.each([
    [
      "exclude and a variable of 0.2 in a file without a version",
      exclude + variable("io.buildpacks.build.env"),
      "io.buildpacks.exclude",
    ],
    ["exclude of 0.1 in a file of 0.2", `${secondSchema}[build]\nexclude = ["secret.env"]\n`, "build.exclude"],
    ["a misspelt exclude", secondSchema + exclude.replace("exclude", "exculde"), "io.buildpacks.exculde"],
    ["a pattern that matches nothing", secondSchema + exclude.replace("secret", "./secret"), "./secret.env"],
  ])("is refused before anything is built: %s", async (_what, project, says) => {
    const pushed = registry.requests.length;
    const answer = await build(project);
    expect(answer).toMatchObject({ verdict: "error", code: "project-invalid" });
    expect(answer.result.error?.message).toContain(says);
    expect(registry.requests.slice(pushed).filter(({ path }) => path.includes("quarantine"))).toEqual([]);
  });

  it.each([
    ["of 0.2", secondSchema + exclude + variable("io.buildpacks.build.env"), []],
    [
      "of 0.2, with a variable in its older place",
      secondSchema + exclude + variable("io.buildpacks.env.build"),
      ["is deprecated"],
    ],
    ["of no version", `[build]\nexclude = ["secret.env"]\n${variable("build.env")}`, ["has no schema version"]],
    [
      "of 0.2, with a key that nobody knows",
      `${secondSchema + exclude}level = "x"\n${variable("io.buildpacks.build.env")}`,
      ["'io.buildpacks.level'"],
    ],
  ])("is done where the file's words are its schema's: %s", async (_what, project, notes) => {
    const answer = await build(project);
    expect(answer.verdict, answer.log.join("\n")).toBe("pass");
    expect(answer.log.join("\n")).toContain("K is 'V'");
    const said = answer.result.notes.filter((note) => note.startsWith("project.toml"));
    expect(said).toEqual(notes.map((note) => expect.stringContaining(note)));
    for (const note of said) expect(answer.log).toContain(note);
  });
});
