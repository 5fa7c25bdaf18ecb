import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SourcePlace } from "@goldenpath/foundation/errors";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { pushBuildpack, runBuild } from "../integration/build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "../integration/build-run.ts";
import { pushBuilder, renderBuilder } from "../integration/builder-fixtures.ts";
import { startDockerd } from "./dockerd.ts";
import {
  fillRepository,
  type JavaFiles,
  jibApplication,
  mirrorSettings,
  springApplication,
  writeApplication,
} from "./java.ts";
import { preparePack } from "./pack-stand.ts";
import { openPathWorld, type PathWorld } from "./path-world.ts";
import { shellLayer } from "./shell-base.ts";
import { pushSpringBuilder } from "./spring-builder.ts";
import { requireCommand } from "./tools.ts";

/** A way to build, the applications by which it fails, and what it then says. */
export interface FailingStrategy {
  name: string;
  /** Of the tools' lock. */
  tools: readonly string[];
  /** Debian's programs that it takes. */
  commands: readonly string[];
  /** Of the base's config. */
  config?: Readonly<Record<string, unknown>>;
  /** What of a policy is its own, on this world, with these tools. */
  policy(
    world: PathWorld,
    tools: Readonly<Record<string, string>>,
    opened: Opened | undefined,
  ): Promise<{ strategies: string; builders: string; environments?: string }>;
  /** An application whose build runs these lines of a shell, among its own files. */
  application(world: PathWorld, step: string, files?: JavaFiles): JavaFiles;
  inputs?: Readonly<Record<string, string>>;
  /** Where in its folder a build has a secret as long as it runs. */
  secretFile?: string;
  /** What builds need besides, and the variables that lead there. */
  open?(world: PathWorld, tools: Readonly<Record<string, string>>): Promise<Opened>;
  /** Its steps run where a daemon has so little room, and not in folders of the build's own. */
  isInDaemon?: true;
  /** Codes, by what goes wrong. */
  says: Readonly<Record<"compile" | "nothing" | "killed" | "denied" | "quota" | "gone", string>>;
  /** A file that does not compile, the step that finds out, and what is then said, of which place. */
  compile: { files: JavaFiles; step: string; said: RegExp; place: Partial<SourcePlace> };
  /** The words by which a reader finds out why nothing fits. */
  nothing: RegExp;
}

interface Opened {
  env: Readonly<Record<string, string>>;
  /** Images, by digest. */
  images?: Readonly<Record<"builder" | "lifecycle", string>>;
  close?(): Promise<void>;
}

/** Every build here has a shell, which reads a file as compilers do. */
const compile = {
  files: { "tools/compile.sh": "echo compiling\nif true; then\n  echo never\nfi fi\n" },
  step: "sh tools/compile.sh",
  said: /fi.* unexpected/,
};

const shellStep = {
  id: "test/step",
  detect: 'test -f app.txt || { echo "there is no app.txt"; exit 100; }',
  build:
    '. ./step.sh\nprintf \'[[processes]]\\ntype = "web"\\ncommand = ["cat", "app.txt"]\\ndefault = true\\n\' > "$CNB_LAYERS_DIR/launch.toml"',
};

const shellFiles = (_: PathWorld, step: string, files: JavaFiles = {}): JavaFiles => ({
  ...files,
  "app.txt": "hello\n",
  "step.sh": `${step}\n`,
});

const stepsOf = ({ base }: PathWorld, step: string, files: JavaFiles = {}): JavaFiles => ({
  ...files,
  "app.txt": "hello\n",
  Dockerfile: `FROM ${base}\nCOPY . /srv/\nRUN cd /srv && ${step}\n`,
});

const byLifecycle = {
  tools: ["lifecycle", "launcher"],
  commands: ["apt-get"],
  application: shellFiles,
  compile: { ...compile, place: { file: "tools/compile.sh", line: 4 } },
  nothing: /there is no app\.txt/,
  says: {
    compile: "buildpack-failed",
    nothing: "nothing-detected",
    killed: "buildpack-failed",
    denied: "registry-unauthorized",
    quota: "quota-exceeded",
    gone: "lifecycle-export",
  },
} satisfies Partial<FailingStrategy>;

const byDockerfile = {
  commands: ["runc"],
  application: stepsOf,
  compile: { ...compile, place: { file: "Dockerfile", line: 3 } },
  nothing: /Dockerfile/,
  says: {
    compile: "dockerfile-build-failed",
    nothing: "dockerfile-invalid",
    killed: "dockerfile-build-failed",
    denied: "registry-unauthorized",
    quota: "quota-exceeded",
    gone: "registry-unreachable",
  },
} satisfies Partial<FailingStrategy>;

const byMaven = {
  tools: [],
  inputs: { secrets: "maven-settings=env://MAVEN_SETTINGS" },
  secretFile: "home/.m2/settings.xml",
  nothing: /pom\.xml/,
  says: {
    compile: "java-build-failed",
    nothing: "nothing-detected",
    killed: "java-build-failed",
    denied: "registry-unauthorized",
    quota: "quota-exceeded",
    gone: "registry-unreachable",
  },
} satisfies Partial<FailingStrategy>;

/** Its wrapper takes the step first. */
const mavenFiles = (application: JavaFiles, step: string, files: JavaFiles = {}): JavaFiles => ({
  ...application,
  ...files,
  mvnw: `#!/bin/sh\n(${step}) || exit 1\nexec mvn "$@"\n`,
});

/** A class whose fourth line does not compile, in place of the application's own. */
const brokenClass = (name: string): FailingStrategy["compile"] => {
  const file = `src/main/java/example/${name}.java`;
  return {
    files: { [file]: `package example;\n\npublic class ${name} {\n  int x = ;\n}\n` },
    step: "true",
    said: /illegal start of expression/,
    place: { file, line: 4 },
  };
};

async function mavenEnv(name: string, files: JavaFiles, goals: readonly string[]): Promise<Record<string, string>> {
  const repository = await fillRepository(await requireCommand("mvn"), name, files, goals);
  return { AGENT_TOOLSDIRECTORY: repository, MAVEN_SETTINGS: mirrorSettings(repository) };
}

export const failingStrategies: Readonly<Record<string, FailingStrategy>> = {
  buildpacks: {
    name: "buildpacks, by digest",
    ...byLifecycle,
    async policy({ client, server }) {
      const buildpack = await pushBuildpack(client, `${server.host}/buildpacks/step`, shellStep);
      return {
        strategies: "buildpacks",
        builders: `    - { name: shell, buildpacks: ["${buildpack}"], runImage: golden }\n`,
      };
    },
  },
  builder: {
    name: "buildpacks, of a builder image",
    ...byLifecycle,
    async policy({ client, server }) {
      const image = await pushBuilder(client, `${server.host}/builders/step`, { buildpacks: [shellStep] });
      return {
        strategies: "buildpacks",
        environments: "container",
        builders: `    ${renderBuilder("shell", image)}\n`,
      };
    },
  },
  pack: {
    name: "buildpacks, by pack",
    ...byLifecycle,
    tools: ["lifecycle", "launcher", "pack"],
    commands: ["apt-get", "dockerd", "docker"],
    inputs: { engine: "pack" },
    isInDaemon: true,
    async open({ server, root }, { lifecycle = "", launcher = "", pack = "" }) {
      const programs = { dockerd: await requireCommand("dockerd"), docker: await requireCommand("docker") };
      const stand = await preparePack(server.host, root, { ...programs, lifecycle, launcher, pack }, shellStep, {
        room: "1g",
      });
      const images = { builder: stand.builder, lifecycle: stand.lifecycleImage };
      return { env: stand.docker.env, images, close: stand.close };
    },
    policy: (_world, _tools, opened) =>
      Promise.resolve({
        strategies: "buildpacks",
        environments: "container",
        builders: `    ${renderBuilder("shell", opened?.images?.builder ?? "", `\n      lifecycleImage: ${opened?.images?.lifecycle}`)}\n`,
      }),
  },
  dockerfile: {
    name: "a Dockerfile, by BuildKit",
    ...byDockerfile,
    tools: ["buildkitd", "buildctl"],
    policy: () =>
      Promise.resolve({
        strategies: "dockerfile",
        environments: "container",
        builders: "    - { kind: dockerfile, name: files }\n",
      }),
  },
  kaniko: {
    name: "a Dockerfile, by kaniko",
    ...byDockerfile,
    tools: ["kaniko"],
    inputs: { strategy: "kaniko" },
    policy: () => Promise.resolve({ strategies: "kaniko", builders: "    - { kind: kaniko, name: files }\n" }),
  },
  jib: {
    name: "jib, by Maven",
    ...byMaven,
    commands: ["mvn"],
    policy: () =>
      Promise.resolve({ strategies: "jib", builders: "    - { kind: jib, name: java, runImage: golden }\n" }),
    application: (_, step, files) => mavenFiles(jibApplication(), step, files),
    async open() {
      const goals = ["package", "jib:buildTar", "-Djib.from.image=scratch"];
      return { env: await mavenEnv("jib", jibApplication(), goals) };
    },
    compile: brokenClass("Main"),
  },
  "spring-boot": {
    name: "Spring Boot's build-image, by Maven",
    ...byMaven,
    tools: ["lifecycle", "launcher"],
    commands: ["mvn", "dockerd", "docker"],
    config: { User: "1000:1000" },
    async policy({ client, server, base }, { lifecycle = "", launcher = "" }) {
      const repository = `${server.host}/builders/java`;
      const builder = await pushSpringBuilder(client, { repository, runImage: base, lifecycle, launcher });
      const [image, digest] = builder.split("@");
      return {
        ...{ strategies: "spring-boot", environments: "host-unisolated" },
        builders: `    - { kind: spring-boot, name: spring, image: ${image}, digests: ["${digest}"], runImage: golden }\n`,
      };
    },
    application: (_, step, files) => mavenFiles(springApplication(), step, files),
    async open() {
      const goals = ["install", "org.springframework.boot:spring-boot-maven-plugin:help"];
      const maven = await mavenEnv("spring-boot-install", springApplication(), goals);
      const docker = await startDockerd({
        dockerd: await requireCommand("dockerd"),
        docker: await requireCommand("docker"),
      });
      return { env: { ...maven, DOCKER_HOST: docker.env["DOCKER_HOST"] ?? "" }, close: docker.stop };
    },
    compile: brokenClass("Shop"),
  },
};

export interface Attempt extends BuildRunAnswer {
  tag: string;
}

/** A registry and a policy, and builds by one strategy in processes of their own. */
export interface FailingStand {
  world: PathWorld;
  /** Builds an application of these files, as one more of this name. */
  build(name: string, files: JavaFiles, launcher?: readonly string[]): Promise<Attempt>;
  /** The same, without waiting. */
  start(name: string, files: JavaFiles): Promise<ChildProcess>;
  files(step: string, more?: JavaFiles): JavaFiles;
  /** All tags of what was built under this name. */
  tagsOf(name: string): Promise<string[]>;
  close(): Promise<void>;
}

export async function openFailingStand(
  strategy: FailingStrategy,
  tools: Readonly<Record<string, string>>,
): Promise<FailingStand> {
  const layer = await shellLayer(["dash", "cat", "id", "sleep"], { "etc/os-release": "ID=debian\n" });
  const { config = {} } = strategy;
  const world = await openPathWorld({ tools: {}, layers: [layer], config });
  // The world's own folder is its owner's alone, and builds are another user's.
  chmodSync(world.root, 0o755);
  const opened = await strategy.open?.(world, tools);
  const policy = await world.writePolicy(await strategy.policy(world, tools, opened));
  const path = [...Object.values(tools).map((tool) => dirname(tool)), "/usr/local/bin", "/usr/bin", "/bin"];
  const env = { PATH: path.join(delimiter), HOME: world.root, ...opened?.env };
  const tagOf = (name: string): string => `${world.server.host}/quarantine/${name}:1`;
  const prepare = async (name: string, files: JavaFiles): Promise<Partial<BuildRunRequest>> => {
    const context = `app-${name}-${Math.random().toString(36).slice(2)}`;
    await mkdir(join(world.root, context));
    await writeApplication(join(world.root, context), files);
    return { inputs: { policy: policy.file, context, tags: tagOf(name), ...strategy.inputs } };
  };
  return {
    world,
    files: (step, more) => strategy.application(world, step, more),
    build: async (name, files, launcher) => ({
      ...(await runBuild(world.root, await prepare(name, files), env, launcher)),
      tag: tagOf(name),
    }),
    async start(name, files) {
      const script = fileURLToPath(new URL("../integration/build-run.ts", import.meta.url));
      const child = spawn(process.execPath, ["--conditions=goldenpath-source", script], {
        env,
        stdio: ["pipe", "ignore", "ignore"],
      });
      const own = { workingDirectory: world.root, temporaryRoot: join(world.root, "tmp") };
      const request = { ...own, resultDirectory: join(world.root, "results"), ...(await prepare(name, files)) };
      child.stdin?.end(JSON.stringify(request));
      return child;
    },
    async tagsOf(name) {
      const { registry, name: repository } = parseReference(tagOf(name));
      const answer = await fetch(`http://${registry}/v2/${repository}/tags/list`);
      return answer.status === 404 ? [] : (((await answer.json()) as { tags: string[] | null }).tags ?? []);
    },
    async close() {
      await opened?.close?.();
      await world.close();
    },
  };
}

/** Numbers of the processes that have these words among their arguments. */
export function processesWith(words: string): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(words) ? [Number(pid)] : [];
    } catch {
      return [];
    }
  });
}

/** Kills a process outright, and waits for its end. */
export async function killOutright(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
