import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { tarFiles, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  fillRepository,
  type JavaFiles,
  jibApplication,
  jibVersion,
  mirrorSettings,
  renderJib,
  renderPom,
  writeApplication,
} from "../support/java.ts";
import { openPathWorld, type PathPolicy, type PathRun, type PathWorld, passed, tell } from "../support/path-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// The real Maven with the real plugin, in the sandbox, each time from an empty local repository.
const tools = useTools("syft", "grype");
let world: PathWorld;
let policy: PathPolicy;
let maven: string;
let counter = 0;

const builders = "    - { kind: jib, name: java, runImage: golden }\n";
const env: Record<string, string> = { JOB_TOKEN: "the-job-s-token" };

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  maven = await requireCommand("mvn", suite);
  const goals = ["package", "jib:buildTar", "-Djib.from.image=scratch"];
  const repository = await fillRepository(maven, "jib", jibApplication(), goals);
  env["AGENT_TOOLSDIRECTORY"] = repository;
  env["MAVEN_SETTINGS"] = mirrorSettings(repository);
  world = await openPathWorld({ tools, env });
  policy = await world.writePolicy({ strategies: "jib", builders });
});
afterAll(() => world?.close());

interface Made extends PathRun {
  folder: string;
  tag: string;
}

/** Builds an application of these files; by this policy, and with these inputs besides. */
async function build(
  files: JavaFiles,
  { inputs = {}, by = policy, signal }: { inputs?: Record<string, string>; by?: PathPolicy; signal?: AbortSignal } = {},
): Promise<Made> {
  const folder = `shop-${++counter}`;
  const tag = `${world.server.host}/quarantine/${folder}:1`;
  await mkdir(join(world.root, folder));
  await writeApplication(join(world.root, folder), files);
  const given = { context: folder, tags: tag, secrets: "maven-settings=env://MAVEN_SETTINGS", ...inputs };
  return { folder, tag, ...(await world.build(by, given, signal)) };
}

const isThere = async ({ tag }: Made): Promise<boolean> =>
  (await world.client.resolve(parseReference(tag))) !== undefined;

async function expectRefused(made: Made, said: ReturnType<typeof tell>, message: string): Promise<void> {
  expect(tell(made), made.log.join("\n")).toEqual(said);
  const { error, violations } = made.result;
  expect([error?.message, ...violations.map(({ problem }) => problem)].join("\n")).toContain(message);
  expect(await isThere(made)).toBe(false);
}

const error = (code: string) => ({ verdict: "error" as const, rules: [], error: code });

/** A wrapper that does something before or after the machine's Maven: the application's own, so strangers' code. */
const wrapped = (script: string): JavaFiles => ({
  ...jibApplication(),
  mvnw: `#!/bin/sh\nout=$(dirname "$TMPDIR")/handover\n${script}\n`,
});

describe("a build that is refused", () => {
  /** An image on another base, as jib takes one. */
  const foreign = (): Buffer => {
    const layer = tarFiles({ "etc/os-release": "ID=evil" });
    const rootfs = { type: "layers", diff_ids: [digestOf(layer)] };
    const config = JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs });
    const list = [{ Config: "config.json", RepoTags: null, Layers: ["layer.tar"] }];
    return tarOf(
      { name: "config.json", content: config },
      { name: "layer.tar", content: layer },
      { name: "manifest.json", content: JSON.stringify(list) },
    );
  };

  test("puts the application on another base than it was told to", async () => {
    const files = wrapped('exec mvn "$@" "-Djib.from.image=tar://$PWD/other.tar"');
    const made = await build({ ...files, "other.tar": foreign() });
    await expectRefused(made, { verdict: "fail" as const, rules: ["base.approved"] }, "does not stand on");
  });

  test("says another digest than its image has", async () => {
    const made = await build(wrapped('mvn "$@"; printf "sha256:%064d" 0 >"$out/image.digest"'));
    await expectRefused(made, error("built-image-invalid"), "the build says that its image is sha256:000");
  });

  const digest = 'printf "sha256:%064d" 0 >"$out/image.digest"';
  test.each([
    ["no digest", 'echo hello >"$out/image.tar"; echo "::error::x" >"$out/image.digest"', "its digest is"],
    ["a link for an image", `ln -s /etc/passwd "$out/image.tar"; ${digest}`, "is not an ordinary file"],
    ["no archive", `echo hello >"$out/image.tar"; ${digest}`, "it ends in the middle"],
  ])("leaves %s", async (_what, script, message) => {
    await expectRefused(await build(wrapped(script)), error("built-image-invalid"), message);
  });

  test("leaves no image, since it is told to skip that", async () => {
    const made = await build(wrapped('exec mvn "$@" -Djib.skip=true'));
    await expectRefused(made, error("java-image-missing"), "jib left no image");
  });

  test("does not compile: the lines are named from the checkout's root", async () => {
    const made = await build({
      ...jibApplication(),
      "src/main/java/example/Broken.java": "package example;\nclass Broken {\n  int x = 1\n}\n",
    });
    const file = `${made.folder}/src/main/java/example/Broken.java`;
    await expectRefused(made, error("java-build-failed"), `${file}:3 ';' expected`);
    expect(made.places).toEqual([{ file, line: 3, message: "';' expected" }]);
  });

  test("has a POM that is none: nothing speaks for jib, and where it is asked for, Maven says what is wrong", async () => {
    const files = {
      ...jibApplication(),
      "pom.xml": "<project>\n<modelVersion>4.0.0</modelVersion>\n<oops\n</project>",
    };
    expect((await build(files)).verdict).toBe("fail");
    const made = await build(files, { inputs: { strategy: "jib" } });
    await expectRefused(made, error("java-build-failed"), "Non-parseable POM");
    expect(made.places).toMatchObject([{ file: `${made.folder}/pom.xml` }]);
  });

  test("wants what is nowhere", async () => {
    const more =
      "<dependencies><dependency><groupId>no</groupId><artifactId>such</artifactId><version>1</version></dependency></dependencies>";
    const made = await build(jibApplication({ plugins: renderJib(), more }));
    await expectRefused(made, error("java-build-failed"), "no:such:jar:1");
  });

  test("has not the plugin, beside the twin to which the policy gives it", async () => {
    const files = { ...jibApplication(), "pom.xml": renderPom() };
    const asked = { inputs: { strategy: "jib" } };
    await expectRefused(await build(files, asked), error("java-plugin-missing"), "has not jib's plugin");
    const giving = await world.writePolicy({
      strategies: "jib",
      builders: `    - { kind: jib, name: java, plugin: ${jibVersion}, runImage: golden }\n`,
    });
    const twin = await build(files, { by: giving, ...asked });
    expect(tell(twin), twin.log.join("\n")).toEqual(passed);
  });

  test("is told to skip its work: nothing speaks for jib, and where it is asked for, the line is found before", async () => {
    const files = jibApplication({ plugins: renderJib("<skip>true</skip>") });
    const unasked = await build(files);
    await expectRefused(unasked, { verdict: "fail", rules: ["build.strategy"] }, "allows: jib");
    const made = await build(files, { inputs: { strategy: "jib" } });
    await expectRefused(made, error("java-settings-refused"), "pom.xml:");
    expect(made.places).toMatchObject([{ line: expect.any(Number) }]);
  });

  test("gets secrets that it has no use for, or an input that it does not take", async () => {
    const unknown = await build(jibApplication(), { inputs: { secrets: "npm=x" } });
    await expectRefused(unknown, error("input-invalid"), "takes maven-settings and gradle-properties");
    const target = await build(jibApplication(), { inputs: { target: "x" } });
    await expectRefused(target, error("input-invalid"), "'target'");
  });
});

describe("what goes wrong on the way", () => {
  test("a build that is stopped ends at once, with all that it started", async () => {
    const stop = new AbortController();
    const building = build(wrapped("sleep 1000"), { signal: stop.signal });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    stop.abort(new Error("stopped by SIGTERM"));
    await expectRefused(await building, error("process-aborted"), "was stopped because the run was cancelled");
  });
});

test("what a build prints is quoted, and what the job has is not there to be printed", async () => {
  const made = await build(wrapped('echo "::add-mask::linux"; echo "##[error]forged"; env; exit 1'));
  expect(tell(made), made.log.join("\n")).toEqual(error("java-build-failed"));
  expect(made.log).toContain("| ::add-mask::linux");
  for (const line of made.log) expect(line).not.toMatch(/^\s*::|##\[error\]|the-job-s-token/);
});

test("an application goes the whole way: after a push that was refused, and the same again from another POM", async () => {
  world.server.faults = [{ method: "PUT", path: "/manifests/", action: { kind: "status", status: 403 } }];
  const refused = await build(jibApplication());
  world.server.faults = [];
  await expectRefused(refused, error("registry-unauthorized"), "");

  const outcome = await build(jibApplication());
  expect(tell(outcome), outcome.log.join("\n")).toEqual(passed);
  expect(outcome.result.notes).toContain("buildEnvironment: host");
  const image = outcome.outputs["image"] ?? "";
  const base = await fetchImageFacts(world.client, parseReference(world.base));
  const built = await fetchImageFacts(world.client, parseReference(image));
  const layers = base.children[0]?.manifest.layers ?? [];
  expect(built.children[0]?.manifest.layers.slice(0, layers.length)).toMatchObject(
    layers.map(({ digest, size }) => ({ digest, size })),
  );
  expect(built.children[0]?.config.config?.Labels).toMatchObject({
    "org.opencontainers.image.source": "https://github.com/acme/shop",
    "org.opencontainers.image.revision": "c".repeat(40),
  });
  await world.takeTheRest(policy, image);
  expect(await world.provenanceOf(policy, image)).toMatchObject({
    buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/jib/v1",
    internalParameters: { builders: ["java"] },
    resolvedDependencies: [{}, { name: "run-image" }],
  });

  // What it says of its base, its place and its time is beaten.
  const own = renderJib(
    "<from><image>evil.example/base</image></from><to><image>evil.example/shop</image></to><container><creationTime>USE_CURRENT_TIMESTAMP</creationTime></container>",
  );
  const again = await build(jibApplication({ plugins: own }));
  expect(tell(again), again.log.join("\n")).toEqual(passed);
  expect(again.outputs["digest"]).toBe(outcome.outputs["digest"]);
});
