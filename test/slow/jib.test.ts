import { cp, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { jibByGradle, makeGradle } from "../support/gradle.ts";
import {
  fillRepository,
  type JavaFiles,
  jibApplication,
  mainClass,
  mirrorSettings,
  page,
  renderJib,
  renderModule,
  writeApplication,
} from "../support/java.ts";
import { javaPath, makeJavaLayer } from "../support/java-root.ts";
import { goldenLayer, openPathWorld, type PathPolicy, type PathWorld, passed, tell } from "../support/path-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// What jib builds is run here; what is refused is in test/integration.
const tools = useTools("syft", "grype");
let world: PathWorld;
let docker: Docker;
let policy: PathPolicy;
let maven: string;
let repository: string;
let counter = 0;
const env: Record<string, string> = { JOB_TOKEN: "the-job-s-token" };

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  maven = await requireCommand("mvn", suite);
  const jlink = await requireCommand("jlink", suite);
  docker = await startDockerd({
    dockerd: await requireCommand("dockerd", suite),
    docker: await requireCommand("docker", suite),
  });
  const goals = ["package", "jib:buildTar", "-Djib.from.image=scratch"];
  repository = await fillRepository(maven, "jib", jibApplication(), goals);
  world = await openPathWorld({ tools, env });
  const java = await makeJavaLayer(jlink, world.root);
  await world.close();
  Object.assign(env, { AGENT_TOOLSDIRECTORY: repository, MAVEN_SETTINGS: mirrorSettings(repository) });
  world = await openPathWorld({
    ...{ tools, env, config: { User: "1000:1000", Env: [`PATH=${javaPath}`] } },
    layers: [await goldenLayer(), java],
  });
  const builders = "    - { kind: jib, name: java, runImage: golden }\n";
  policy = await world.writePolicy({ strategies: "jib", builders });
});
afterAll(async () => {
  await world?.close();
  await docker?.stop();
});

async function build(files: JavaFiles, inputs: Record<string, string> = {}) {
  const folder = `shop-${++counter}`;
  await mkdir(join(world.root, folder));
  await writeApplication(join(world.root, folder), files);
  return world.build(policy, { context: folder, ...inputs });
}
const kept = { secrets: "maven-settings=env://MAVEN_SETTINGS" };

test("one module of several, with another that it needs, answers and goes the whole way", async () => {
  const library =
    'package library; public class Greeting { public static String text() { return "from the library"; } }';
  const files: JavaFiles = {
    "pom.xml": renderModule({
      artifactId: "all",
      more: "<packaging>pom</packaging><modules><module>library</module><module>services/web</module></modules>",
    }),
    "library/pom.xml": renderModule({ artifactId: "library", parent: "../pom.xml" }),
    "library/src/main/java/library/Greeting.java": library,
    "services/web/pom.xml": renderModule({
      ...{ artifactId: "web", parent: "../../pom.xml", plugins: renderJib() },
      more: "<dependencies><dependency><groupId>example</groupId><artifactId>library</artifactId><version>1</version></dependency></dependencies>",
    }),
    "services/web/src/main/java/example/Main.java": mainClass("library.Greeting.text()"),
  };
  const made = await build(files, { ...kept, module: "./services/web/" });
  expect(tell(made), made.log.join("\n")).toEqual(passed);
  const image = made.outputs["image"] ?? "";
  expect(await docker.askForPage(image)).toEqual({ status: 200, text: "from the library" });
  await world.takeTheRest(policy, image);
});

test("the wrapper brings a Maven of its own, which gets all that it needs through the way out", async () => {
  const work = await mkdtemp(join(world.root, "wrapper-"));
  await writeApplication(work, jibApplication());
  const wrapper = "org.apache.maven.plugins:maven-wrapper-plugin:3.3.4:wrapper";
  await runChecked(maven, ["-B", "-q", wrapper, "-Dtype=only-script", "-Dmaven=3.9.11"], {
    env: { PATH: process.env["PATH"], HOME: work },
    cwd: work,
  });
  const made = await build({
    ...jibApplication(),
    mvnw: await readFile(join(work, "mvnw")),
    ".mvn/wrapper/maven-wrapper.properties": await readFile(join(work, ".mvn/wrapper/maven-wrapper.properties")),
  });
  expect(tell(made), made.log.join("\n")).toEqual(passed);
  expect(await docker.askForPage(made.outputs["image"] ?? "")).toEqual({ status: 200, text: page });
});

// The engine and the plugin are the real ones; what starts the engine was made for the tests (test/support/gradle.ts).
describe("by Gradle's wrapper", () => {
  const error = (code: string) => ({ verdict: "error" as const, rules: [], error: code });

  test("a build is refused that skips its work, or stands on another base", async () => {
    const gradle = await makeGradle();
    const skipped = await build(jibByGradle(gradle, "tasks.jibBuildTar.enabled = false"));
    expect(tell(skipped), skipped.log.join("\n")).toEqual(error("java-image-missing"));
    const files = jibByGradle(gradle);
    const beaten = await build({
      ...files,
      gradlew: String(files["gradlew"]).replace('"$@"', '"$@" -Djib.from.image=scratch'),
    });
    expect(tell(beaten), beaten.log.join("\n")).toEqual({ verdict: "fail", rules: ["base.approved"] });
  });

  test("an application is built with the real plugin, whatever it says of its base, and answers", async () => {
    const own = "jib { from { image = 'evil.example/base' }; to { image = 'evil.example/shop' } }";
    const made = await build(jibByGradle(await makeGradle(), own));
    expect(tell(made), made.log.join("\n")).toEqual(passed);
    expect(await docker.askForPage(made.outputs["image"] ?? "")).toEqual({ status: 200, text: page });
  });
});

test("an extension of Maven's core may print what it likes, and finds nothing of the job", async () => {
  const work = await mkdtemp(join(world.root, "extension-"));
  const own = join(work, "repository");
  await cp(repository, own, { recursive: true });
  await writeExtension(work, own);
  env["AGENT_TOOLSDIRECTORY"] = own;
  env["MAVEN_SETTINGS"] = mirrorSettings(own);
  const made = await build(
    {
      ...jibApplication(),
      ".mvn/extensions.xml":
        "<extensions><extension><groupId>evil</groupId><artifactId>evil</artifactId><version>1</version></extension></extensions>",
    },
    kept,
  );
  expect(tell(made), made.log.join("\n")).toEqual(passed);
  const log = made.log.join("\n");
  expect(log).toContain("| ::add-mask::linux");
  expect(log).toContain("| # #[error]forged");
  for (const line of made.log) expect(line).not.toMatch(/^\s*::|##\[|the-job-s-token/);
});

/** A jar that Maven loads before it reads a POM, in a folder that is a repository. */
async function writeExtension(work: string, own: string): Promise<void> {
  const source = `package evil;
import org.apache.maven.eventspy.AbstractEventSpy;

public class Spy extends AbstractEventSpy {
  @Override public void init(Context context) {
    System.out.println("::add-mask::linux");
    System.out.println("##[error]forged");
    System.getenv().forEach((name, value) -> System.out.println(name + "=" + value));
  }
}
`;
  const plexus = `<component-set><components><component>
  <role>org.apache.maven.eventspy.EventSpy</role><implementation>evil.Spy</implementation><role-hint>evil</role-hint>
</component></components></component-set>`;
  await writeApplication(work, { "evil/Spy.java": source, "classes/META-INF/plexus/components.xml": plexus });
  const environment = { env: { PATH: process.env["PATH"] }, cwd: work };
  await runChecked("javac", ["-cp", "/usr/share/maven/lib/*", "-d", "classes", "evil/Spy.java"], environment);
  await mkdir(join(own, "evil/evil/1"), { recursive: true });
  await runChecked(
    "jar",
    ["--create", "--file", join(own, "evil/evil/1/evil-1.jar"), "-C", "classes", "."],
    environment,
  );
  await writeFile(
    join(own, "evil/evil/1/evil-1.pom"),
    "<project><modelVersion>4.0.0</modelVersion><groupId>evil</groupId><artifactId>evil</artifactId><version>1</version></project>",
  );
}
