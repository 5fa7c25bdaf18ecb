import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

/** `goldenpath base check`: each way in which a file names an image, the one that is refused beside the one that is not. */

const hex = (digit: string): string => `sha256:${digit.repeat(64)}`;
const [old, newest, tools, builder] = ["1", "2", "3", "4"].map(hex) as [string, string, string, string];
const base = "registry.acme.test/bases/run";
const policy = `version: 1
name: acme
serial: 1
bases:
  - { name: run, image: ${base}, digests: ["${old}", "${newest}"] }
  - { name: over, image: registry.acme.test/bases/over, digests: ["${old}"], until: 2020-01-01 }
build:
  strategies: [dockerfile, spring-boot]
  environments: [container]
  sources: ["https://github.com/acme/*"]
  builders:
    - kind: dockerfile
      name: files
      bases: [run]
      images: [registry.acme.test/tools/go, "docker.io/library/node@${tools}"]
    - kind: spring-boot
      name: spring
      image: registry.acme.test/builders/java
      digests: ["${builder}"]
      runImage: run
`;

let directory: string;
let policyFile: string;
let app: string;
let count = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-check-"));
  policyFile = join(directory, "policy.yaml");
  await writeFile(policyFile, policy);
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(() => {
  app = join(directory, `app-${++count}`);
});

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(app, name)), { recursive: true });
    await writeFile(join(app, name), content);
  }
}

interface Checked {
  files: string[];
  images: { file: string; line: number; name: string; use: string }[];
  problems: { file: string; line: number; level: string; problem: string; wayOut: string }[];
}

async function check(files: Readonly<Record<string, string>>, ...options: string[]) {
  await write(files);
  const { code, out, err } = await runMain("base", "check", app, "--policy", policyFile, "--json", ...options);
  expect(err).toBe("");
  return { code, ...(JSON.parse(out) as Checked) };
}

const pinned = `${base}:1@${newest}`;
const foreign = "docker.io/evil/base:1";

/** [what, file, text with IMAGE, its line] */
const places: [string, string, string, number][] = [
  ["FROM", "Dockerfile", "# syntax is the frontend's own\nFROM IMAGE\n", 2],
  ["FROM in a Containerfile in a folder", "services/a/Containerfile", "FROM IMAGE\n", 1],
  ["FROM of a Dockerfile of another name", "Dockerfile.prod", "FROM IMAGE\n", 1],
  ["FROM in lower case with a tab", "app.dockerfile", "from\tIMAGE as x\n", 1],
  ["FROM over two lines", "Dockerfile", "FROM \\\n  IMAGE\n", 1],
  ["FROM with another sign for it", "Dockerfile", "# escape=`\nFROM `\n  IMAGE\n", 2],
  ["FROM by an argument's default", "Dockerfile", `ARG BASE=IMAGE\nFROM $\{BASE}\n`, 2],
  ["FROM by an argument in an argument", "Dockerfile", `ARG A=IMAGE\nARG B=$A\nFROM $\{B}\n`, 3],
  ["FROM by the second word of a default", "Dockerfile", `FROM $\{X:-IMAGE}\n`, 1],
  ["FROM of a stage that stands on it", "Dockerfile", "FROM IMAGE AS a\nFROM a AS b\nFROM b\n", 1],
  ["FROM of a stage that nobody needs", "Dockerfile", `FROM IMAGE AS a\nFROM ${pinned}\n`, 1],
  ["COPY --from", "Dockerfile", `FROM ${pinned}\nCOPY --from=IMAGE /a /b\n`, 2],
  ["RUN --mount from", "Dockerfile", `FROM ${pinned}\nRUN --mount=type=bind,from=IMAGE,target=/x ls\n`, 2],
  ["ONBUILD COPY --from", "Dockerfile", `FROM ${pinned}\nONBUILD COPY --from=IMAGE /a /b\n`, 2],
  [
    "after a text that looks like the end",
    "Dockerfile",
    `FROM ${pinned}\nRUN <<E\nFROM x\nE\nCOPY --from=IMAGE a b\n`,
    5,
  ],
  ["the file's syntax", "Dockerfile", `# syntax=IMAGE\nFROM ${pinned}\n`, 1],
  [
    "compose: an inline Dockerfile",
    "compose.yaml",
    "services:\n  a:\n    build:\n      dockerfile_inline: |\n        FROM IMAGE\n",
    5,
  ],
  [
    "compose: a context that is an image",
    "docker-compose.yml",
    "services:\n  a:\n    build:\n      context: .\n      additional_contexts:\n        alpine: docker-image://IMAGE\n",
    6,
  ],
  [
    "bake: a context that is an image",
    "docker-bake.hcl",
    'target "a" {\n  contexts = {\n    alpine = "docker-image://IMAGE"\n  }\n}\n',
    3,
  ],
  ["bake in JSON", "docker-bake.json", '{"target":{"a":{"contexts":{\n"b": "docker-image://IMAGE"}}}}\n', 2],
  [
    "bake: an inline Dockerfile",
    "docker-bake.hcl",
    'target "a" {\n  dockerfile-inline = <<EOT\nFROM IMAGE\nEOT\n}\n',
    3,
  ],
  [
    "bake in JSON with escapes",
    "docker-bake.json",
    '{"target":{"a":{"contexts":{\n"b": "\\u0064ocker-image:\\/\\/IMAGE"}}}}',
    2,
  ],
  [
    "bake in JSON: an inline Dockerfile",
    "docker-bake.json",
    '{"target":{"a":{\n"dockerfile-inline": "FROM IMAGE"}}}',
    2,
  ],
  ["project.toml's builder", "project.toml", '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "IMAGE"\n', 4],
  ["project.toml's buildpack", "project.toml", '[[io.buildpacks.group]]\nuri = "docker://IMAGE"\n', 2],
  [
    "Spring Boot's run image in a POM",
    "pom.xml",
    "<project><build><plugins><plugin><configuration>\n<image>\n<runImage>IMAGE</runImage></image></configuration></plugin></plugins></build></project>",
    3,
  ],
  [
    "by a property",
    "pom.xml",
    `<project><properties><b>IMAGE</b></properties>\n<image><builder>$\{b}</builder></image></project>`,
    2,
  ],
  [
    "jib's base in a POM",
    "pom.xml",
    "<project>\n<configuration><from><image>IMAGE</image></from></configuration></project>",
    2,
  ],
  [
    "jib's base as a property",
    "pom.xml",
    "<project><properties>\n<jib.from.image>IMAGE</jib.from.image></properties></project>",
    2,
  ],
  ["jib's base by Gradle", "build.gradle", "jib {\n  from {\n    image = 'IMAGE'\n  }\n}\n", 3],
  ["jib's base by Gradle in one", "build.gradle", "jib.from.image = 'IMAGE'\n", 1],
  [
    "Spring Boot's builder by Kotlin",
    "build.gradle.kts",
    'tasks.named<BootBuildImage>("bootBuildImage") {\n  builder.set("IMAGE")\n}\n',
    2,
  ],
  ["Spring Boot's run image by Groovy", "build.gradle", "bootBuildImage {\n  runImage = 'IMAGE'\n}\n", 2],
];

describe("an image that the policy does not have", () => {
  test.each(places)("%s: is refused at its line, and the base passes there", async (_what, file, text, line) => {
    const refused = await check({ [file]: text.replaceAll("IMAGE", foreign) });
    expect(refused.code).toBe(1);
    expect(refused.problems.map((each) => [each.file, each.line, each.level])).toEqual([[file, line, "refused"]]);
    expect(refused.problems[0]?.problem).toContain(foreign);
    await rm(app, { recursive: true });
    const passed = await check({ [file]: text.replaceAll("IMAGE", pinned) });
    expect({ code: passed.code, problems: passed.problems }).toEqual({ code: 0, problems: [] });
    expect(passed.images.some(({ name }) => name === pinned)).toBe(true);
  });

  test.each([
    ["an argument without a default", "Dockerfile", "ARG BASE\nFROM $BASE\n"],
    [
      "a compose variable without one",
      "compose.yaml",
      `services:\n  a:\n    build:\n      additional_contexts:\n        x: docker-image://$\{IMAGE}\n`,
    ],
    [
      "an alias in YAML",
      "compose.yaml",
      "x: &i docker-image://docker.io/evil/base\nservices:\n  a:\n    build:\n      additional_contexts:\n        x: *i\n",
    ],
    ["a property that is not there", "pom.xml", `<project><image><builder>$\{x}</builder></image></project>`],
    ["a template", "build.gradle", `bootBuildImage { builder = "a/\${x}" }`],
    ["a variable", "build.gradle", "bootBuildImage { builder = x }"],
    ["no Dockerfile at all", "Dockerfile", "RUN x\n"],
    ["broken YAML", "compose.yaml", "services: [\n"],
    ["broken TOML", "project.toml", "= 1\n"],
    ["an entity bomb", "pom.xml", '<!DOCTYPE a [<!ENTITY b "c">]><project/>'],
    ["no text", "Dockerfile", "\ufffd\u0000".repeat(600_000)],
  ])("what nobody can tell is refused: %s", async (_what, file, text) => {
    const { code, problems } = await check({ [file]: text });
    expect(code).toBe(1);
    expect(problems.map(({ level, file: at }) => [level, at])).toEqual([["refused", file]]);
  });

  test("a number after FROM is an image to BuildKit, and no stage", async () => {
    const { code, problems } = await check({ Dockerfile: `FROM ${pinned} AS a\nFROM 0\n` });
    expect(code).toBe(1);
    expect(problems.map(({ line, level }) => [line, level])).toEqual([[2, "refused"]]);
    await rm(app, { recursive: true });
    expect((await check({ Dockerfile: `FROM ${pinned} AS a\nFROM a\nCOPY --from=0 x y\n` })).code).toBe(0);
  });

  test("a version that is not approved, one that is over, and a look-alike", async () => {
    const { code, problems } = await check({
      a: "",
      Dockerfile: `FROM ${base}@${hex("9")}\n`,
      "b/Dockerfile": `FROM registry.acme.test/bases/over@${old}\n`,
      "c/Dockerfile": `FROM ${base}-evil@${newest}\n`,
      "d/Dockerfile": `FROM ${pinned}\nCOPY --from=docker.io/library/node@${hex("9")} a b\n`,
    });
    expect(code).toBe(1);
    expect(problems.map(({ problem }) => problem)).toEqual([
      expect.stringContaining("is no approved version of base 'run'"),
      expect.stringContaining("was approved until 2020-01-01"),
      expect.stringContaining("is no approved base"),
      expect.stringContaining("is no version of it that the policy has"),
    ]);
  });
});

describe("what is only said", () => {
  test("a tag is to be a digest, and what runs beside is not the image's", async () => {
    const { code, problems } = await check({
      Dockerfile: `FROM registry.acme.test/tools/go:1 AS b\nFROM ${base}:1\n`,
      "compose.yaml": "services:\n  db:\n    image: postgres:17\n  own:\n    build: .\n    image: acme/own\n",
      ".github/workflows/ci.yml":
        "jobs:\n  a:\n    container: node:24\n    services:\n      db: { image: redis }\n    steps:\n      - uses: docker://alpine:3\n      - uses: actions/checkout@v5\n",
    });
    expect(code).toBe(0);
    expect(
      problems.map(({ file, line, level, problem }) => `${file}:${line} ${level} ${problem.split(" ")[0]}`),
    ).toEqual([
      ".github/workflows/ci.yml:3 warning node:24",
      ".github/workflows/ci.yml:5 warning redis",
      ".github/workflows/ci.yml:7 warning alpine:3",
      `Dockerfile:2 warning ${base}:1`,
      "compose.yaml:3 warning postgres:17",
    ]);
  });

  test("what runs beside is told where nobody can resolve it, or it is another version", async () => {
    const { code, problems } = await check({
      "compose.yaml": `services:\n  a:\n    image: app:$\{TAG}\n  b:\n    image: ${base}@${hex("9")}\n`,
      ".github/workflows/ci.yml": `jobs:\n  a:\n    container: $\{{ matrix.image }}\n`,
    });
    expect(code).toBe(0);
    expect(problems.map(({ level, line }) => [level, line])).toEqual([
      ["warning", 3],
      ["warning", 3],
      ["warning", 5],
    ]);
  });

  test("others' folders and links out are passed over", async () => {
    await write({ "src/x": "" });
    await symlink("/etc", join(app, "out"));
    const { files } = await check({
      "node_modules/a/Dockerfile": `FROM ${foreign}\n`,
      "vendor/Dockerfile": `FROM ${foreign}\n`,
      "Dockerfile.dockerignore": "x",
    });
    expect(files).toEqual([]);
  });
});

describe("--fix", () => {
  const mixed = `# FROM ${base}:1 stays\nARG V=1\nFROM ${base}:1 AS run # not a comment\nFROM ${base}:$\{V}\nCOPY --from=docker.io/library/node x y\r\n`;

  test("writes what is to be pinned, leaves what is composed, and changes nothing the second time", async () => {
    const first = await check({ Dockerfile: mixed.replace(" # not a comment", "") }, "--fix");
    const text = await readFile(join(app, "Dockerfile"), "utf8");
    expect(text).toBe(
      `# FROM ${base}:1 stays\nARG V=1\nFROM ${pinned} AS run\nFROM ${base}:$\{V}\nCOPY --from=docker.io/library/node@${tools} x y\r\n`,
    );
    expect(first.problems.map(({ line, level }) => [line, level])).toEqual([[4, "warning"]]);
    await check({}, "--fix");
    expect(await readFile(join(app, "Dockerfile"), "utf8")).toBe(text);
  });

  test("writes what a link within the folder leads to, leaves the link, and touches nothing that one leads out to", async () => {
    const outside = join(directory, `outside-${count}`);
    await writeFile(outside, `FROM ${base}:1\n`);
    await write({ "docker/base": `FROM ${base}:1\n` });
    await symlink("docker/base", join(app, "Dockerfile"));
    await symlink(outside, join(app, "Containerfile"));
    const { code, files, problems } = await check({}, "--fix");
    expect({ code, files, problems }).toEqual({ code: 0, files: ["Dockerfile"], problems: [] });
    expect(await readlink(join(app, "Dockerfile"))).toBe("docker/base");
    expect(await readFile(join(app, "docker/base"), "utf8")).toBe(`FROM ${pinned}\n`);
    expect(await readdir(join(app, "docker"))).toEqual(["base"]);
    expect(await readFile(outside, "utf8")).toBe(`FROM ${base}:1\n`);
  });

  test("does not touch a longer name", async () => {
    await check({ Dockerfile: `FROM ${base}:1\nLABEL a=${base}:1x\n` }, "--fix");
    expect(await readFile(join(app, "Dockerfile"), "utf8")).toBe(`FROM ${pinned}\nLABEL a=${base}:1x\n`);
  });
});
