import { chmod, copyFile, cp, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import type { Docker } from "./dockerd.ts";

/**
 * Ways to let the field's builders build where there is no builder as a service: each in a folder of its own, with
 * nothing of the machine's settings.
 */

async function writeAll(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
}

const systemPath = (): string => `${process.env["PATH"]}:/usr/sbin:/sbin`;

/**
 * kaniko unpacks the base over its own root, so it gets one: a folder to which it is confined, with mounts and
 * processes of its own. Needs root.
 */
export async function buildWithKaniko(
  executor: string,
  directory: string,
  {
    destination,
    dockerfile,
    files = {},
  }: { destination: string; dockerfile: string; files?: Readonly<Record<string, string>> },
): Promise<void> {
  const root = await mkdtemp(join(directory, "kaniko-"));
  await writeAll(
    root,
    Object.fromEntries(
      Object.entries({ ...files, Dockerfile: dockerfile }).map(([path, text]) => [`workspace/${path}`, text]),
    ),
  );
  await Promise.all(
    ["kaniko", "etc", "proc", "dev", "tmp"].map((each) => mkdir(join(root, each), { recursive: true })),
  );
  await copyFile(executor, join(root, "kaniko/executor"));
  await chmod(join(root, "kaniko/executor"), 0o755);
  for (const file of ["resolv.conf", "hosts"]) await copyFile(`/etc/${file}`, join(root, "etc", file));
  const script =
    'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --make-rslave "$1/dev"; root=$1; shift; exec chroot "$root" "$@"';
  const arguments_ = [
    ...["--context=dir:///workspace", "--dockerfile=/workspace/Dockerfile", `--destination=${destination}`, "--force"],
    ...["--insecure", "--insecure-pull", "--skip-tls-verify", "--skip-tls-verify-pull"],
  ];
  await runChecked(
    "unshare",
    ["--mount", "--pid", "--fork", "sh", "-ec", script, "sh", root, "/kaniko/executor", ...arguments_],
    {
      env: { PATH: systemPath(), HOME: "/root", container: "kube" },
      timeoutMs: 600_000,
    },
  );
}

/** jib's Maven plugin on an application of one class. */
export async function buildWithJib(
  maven: string,
  directory: string,
  { base, destination }: { base: string; destination: string },
): Promise<void> {
  const project = await mkdtemp(join(directory, "jib-"));
  await writeAll(project, {
    "pom.xml": `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>example</groupId><artifactId>shop</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>org.slf4j</groupId><artifactId>slf4j-api</artifactId><version>2.0.17</version></dependency></dependencies>
</project>`,
    "src/main/java/example/Main.java":
      'package example; public class Main { public static void main(String[] a) { System.out.println("hello"); } }',
    "src/main/resources/greeting.txt": "hello",
  });
  const settings = [
    ...[
      `-Djib.from.image=${base}`,
      `-Djib.to.image=${destination}`,
      "-Djib.allowInsecureRegistries=true",
      "-DsendCredentialsOverHttp=true",
    ],
    ...["-Djib.container.mainClass=example.Main", "-Djib.console=plain"],
  ];
  await runChecked(maven, ["-B", "-q", "compile", "com.google.cloud.tools:jib-maven-plugin:3.4.6:build", ...settings], {
    env: { PATH: systemPath(), HOME: process.env["HOME"], JAVA_HOME: process.env["JAVA_HOME"] },
    cwd: project,
    timeoutMs: 900_000,
  });
}

const buildpackFiles: Readonly<Record<string, string>> = {
  "buildpack.toml": 'api = "0.11"\n[buildpack]\nid = "test/shell"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
  "bin/detect": "#!/bin/sh\nexit 0\n",
  "bin/build": `#!/bin/sh
set -e
mkdir -p "$CNB_LAYERS_DIR/stuff/bin"
echo hello > "$CNB_LAYERS_DIR/stuff/greeting"
printf '[types]\\nlaunch = true\\n' > "$CNB_LAYERS_DIR/stuff.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["cat", "app.txt"]\\ndefault = true\\n' > "$CNB_LAYERS_DIR/launch.toml"
`,
};

export interface PackBuilder {
  /** `HOST/NAME:TAG` of a build image and a run image with the CNB variables. */
  base: string;
  /** Programs of the lifecycle's lock. */
  lifecycle: string;
  launcher: string;
  /** A buildpack's files, `test/shell@1.0.0`. Default: {@link buildpackFiles}. */
  buildpack?: Readonly<Record<string, string>>;
  /** An extension's files, `test/extension@1.0.0`. Default: the builder has none. */
  extension?: Readonly<Record<string, string>> | undefined;
}

export interface PackBuild extends PackBuilder {
  destination: string;
}

/** All that a lifecycle is called by, each the program itself. */
export const lifecyclePhases = [
  ...["analyzer", "builder", "creator", "detector", "exporter", "extender", "lifecycle", "rebaser", "restorer"],
] as const;

/**
 * `pack builder create`, with a lifecycle made of the built program and a small buildpack → what runs pack with the
 * same settings. The builder is `local/builder:1` in the daemon.
 */
export async function createBuilder(
  pack: string,
  docker: Docker,
  directory: string,
  { base, lifecycle, launcher, buildpack = buildpackFiles, extension }: PackBuilder,
): Promise<{ work: string; run(...args: string[]): Promise<unknown> }> {
  const work = await mkdtemp(join(directory, "pack-"));
  const at = (path: string): string => join(work, path);
  await writeAll(at("buildpack"), buildpack);
  for (const program of ["detect", "build"]) await chmod(at(`buildpack/bin/${program}`), 0o755);
  if (extension !== undefined) {
    await writeAll(at("extension"), extension);
    for (const program of ["detect", "generate"]) await chmod(at(`extension/bin/${program}`), 0o755);
  }
  const extensions =
    extension === undefined
      ? ""
      : '[[extensions]]\nid = "test/extension"\nuri = "extension"\n[[order-extensions]]\n[[order-extensions.group]]\nid = "test/extension"\nversion = "1.0.0"\n';
  await mkdir(at("lifecycle"), { recursive: true });
  for (const phase of lifecyclePhases) await cp(lifecycle, at(`lifecycle/${phase}`));
  await cp(launcher, at("lifecycle/launcher"));
  await writeAll(work, {
    "lifecycle.toml": `[lifecycle]\nversion = "0.20.11"\n[apis.buildpack]\ndeprecated = []\nsupported = ["0.10", "0.11"]\n[apis.platform]\ndeprecated = []\nsupported = ["0.12", "0.13", "0.14"]\n`,
    "builder.toml": `[[buildpacks]]\nuri = "buildpack"\n[[order]]\n[[order.group]]\nid = "test/shell"\nversion = "1.0.0"\n${extensions}[build]\nimage = "${base}"\n[[run.images]]\nimage = "${base}"\n[lifecycle]\nuri = "lifecycle.tgz"\n`,
  });
  const env = { PATH: systemPath(), HOME: work, PACK_HOME: at("home"), ...docker.env };
  await runChecked("tar", ["-czf", "lifecycle.tgz", "lifecycle.toml", "lifecycle"], { env, cwd: work });
  const run = (...args: string[]): Promise<unknown> => runChecked(pack, args, { env, cwd: work, timeoutMs: 600_000 });
  await docker.docker("pull", base);
  // pack makes builders with extensions only so.
  if (extension !== undefined) await run("config", "experimental", "true");
  await run("builder", "create", "local/builder:1", "--config", "builder.toml", "--pull-policy", "if-not-present");
  return { work, run };
}

/** {@link createBuilder}, and `pack build --publish` with it. */
export async function buildWithPack(pack: string, docker: Docker, directory: string, build: PackBuild): Promise<void> {
  const { work, run } = await createBuilder(pack, docker, directory, build);
  await writeAll(work, { "app/app.txt": "hello\n" });
  await run(
    ...["build", build.destination, "--builder", "local/builder:1", "--path", "app", "--publish"],
    ...["--network", "host", "--trust-builder", "--pull-policy", "if-not-present"],
  );
}
