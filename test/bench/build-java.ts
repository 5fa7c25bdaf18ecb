import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { startDockerd } from "../support/dockerd.ts";
import {
  fillRepository,
  type JavaFiles,
  jibApplication,
  jibVersion,
  mirrorSettings,
  springApplication,
  writeApplication,
} from "../support/java.ts";
import { openPathWorld, type PathWorld } from "../support/path-world.ts";
import { pushSpringBuilder } from "../support/spring-builder.ts";
import { type BuildContender, type BuildStand, makeBaseLayers, ourBuild } from "./build-line.ts";
import type { FindProgram } from "./build-programs.ts";

/** By jib's Maven plugin: each time from an empty local repository, as a fresh runner has it. */
export async function prepareJibLine(directory: string, find: FindProgram): Promise<BuildStand> {
  const maven = await find("mvn");
  const application = jibApplication();
  const repository = await fillRepository(maven, "jib", application, [
    ...["package", "jib:buildTar", "-Djib.from.image=scratch"],
  ]);
  const world = await openPathWorld({ tools: {}, layers: await makeBaseLayers() });
  const { file } = await world.writePolicy({
    ...{ strategies: "jib", builders: "    - { kind: jib, name: java, runImage: golden }\n" },
  });
  const image = `${world.server.host}/quarantine/by-hand:1`;
  const java = { directory, application, repository, maven, env: {} };
  return {
    what: "an application of Java, by jib's Maven plugin, from an empty local repository",
    contenders: [
      await byHand(java, "mvn jib:build", [
        ...["package", `com.google.cloud.tools:jib-maven-plugin:${jibVersion}:build`],
        ...[`-Djib.from.image=${world.base}`, `-Djib.to.image=${image}`],
        ...["-Djib.allowInsecureRegistries=true", "-DsendCredentialsOverHttp=true", "-Djib.console=plain"],
      ]),
      await byGoldenpath(java, world, { policy: file, strategy: "jib" }),
    ],
    registry: world.server,
    close: () => world.close(),
  };
}

/**
 * By Spring Boot's plugin, over a Docker daemon that has the builder already after the first round, and of what was
 * built nothing. Needs root.
 */
export async function prepareSpringBootLine(directory: string, find: FindProgram): Promise<BuildStand> {
  const maven = await find("mvn");
  const programs = { lifecycle: await find("lifecycle"), launcher: await find("launcher") };
  const application = springApplication();
  const repository = await fillRepository(maven, "spring-boot-install", application, [
    ...["install", "org.springframework.boot:spring-boot-maven-plugin:help"],
  ]);
  const config = { User: "1000:1000" };
  const world = await openPathWorld({ tools: {}, config, layers: await makeBaseLayers() });
  const docker = await startDockerd({ dockerd: await find("dockerd"), docker: await find("docker") });
  const close = async (): Promise<void> => {
    await docker.stop();
    await world.close();
  };
  try {
    const { host } = world.server;
    const builder = await pushSpringBuilder(world.client, {
      ...{ repository: `${host}/builders/java`, runImage: world.base, ...programs },
    });
    const [name = "", digest = ""] = builder.split("@");
    const { file } = await world.writePolicy({
      ...{ strategies: "spring-boot", environments: "host-unisolated" },
      builders: `    - { kind: spring-boot, name: spring, image: ${name}, digests: ["${digest}"], runImage: golden }\n`,
    });
    const settings = {
      ...{ imageName: `${host}/quarantine/by-hand:1`, builder, runImage: world.base, publish: "true" },
      ...{ network: "host", trustBuilder: "false", cleanCache: "true" },
    };
    const given = Object.entries(settings).map(([key, value]) => `-Dspring-boot.build-image.${key}=${value}`);
    const java = { directory, application, repository, maven, env: docker.env };
    return {
      what: "an application of Spring Boot, by its plugin and a builder image, from an empty local repository",
      contenders: [
        await byHand(java, "mvn spring-boot:build-image", ["spring-boot:build-image", ...given], async () => {
          await docker.docker("image", "rm", "--force", settings.imageName).catch(() => undefined);
        }),
        await byGoldenpath(java, world, { policy: file, strategy: "spring-boot" }),
      ],
      registry: world.server,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface JavaLine {
  directory: string;
  application: JavaFiles;
  /** Where Maven gets all that it has not. */
  repository: string;
  maven: string;
  env: Readonly<Record<string, string>>;
}

const javaHome = () => ({ JAVA_HOME: process.env["JAVA_HOME"] });

/**
 * Another commit each time: what a daemon, a registry or jib knows of the build before would else spare whoever asks it
 * the work of packing and pushing the application, as it spares nobody on a machine of its own.
 */
async function commit(folder: string): Promise<void> {
  await writeApplication(folder, { "src/main/resources/commit.txt": `${randomUUID()}\n` });
}

async function byHand(
  line: JavaLine,
  name: string,
  args: readonly string[],
  forget?: () => Promise<void>,
): Promise<BuildContender> {
  const { directory, application, repository, maven } = line;
  const at = (path: string): string => join(directory, path);
  await writeApplication(at("by-hand"), application);
  await writeFile(at("settings.xml"), mirrorSettings(repository));
  return {
    ...{ name, ours: false, compared: true, note: "pushed by the plugin itself" },
    argv: [
      ...[maven, "--batch-mode", "--no-transfer-progress", "--file", at("by-hand/pom.xml")],
      ...["--settings", at("settings.xml"), `-Dmaven.repo.local=${at("home/repository")}`, "-DskipTests", ...args],
    ],
    env: { ...line.env, ...javaHome(), PATH: process.env["PATH"], HOME: at("home"), XDG_CACHE_HOME: at("home/cache") },
    before: async () => {
      for (const each of ["home", "by-hand/target"]) await rm(at(each), { recursive: true, force: true });
      await mkdir(at("home"));
      await commit(at("by-hand"));
      await forget?.();
    },
  };
}

async function byGoldenpath(
  { directory, application, repository, maven, env }: JavaLine,
  world: PathWorld,
  inputs: Readonly<Record<string, string>>,
): Promise<BuildContender> {
  const folder = join(directory, "ours");
  await writeApplication(folder, application);
  const tags = `${world.server.host}/quarantine/ours:1`;
  return {
    ...{ name: "build", ours: true, compared: true },
    ...ourBuild(
      folder,
      { ...inputs, tags, secrets: "maven-settings=env://MAVEN_SETTINGS" },
      {
        ...{ ...env, ...javaHome(), PATH: [dirname(maven), process.env["PATH"]].join(delimiter), HOME: directory },
        // A build sees the runner's tools, and so the folder that stands for Maven Central here.
        ...{ AGENT_TOOLSDIRECTORY: repository, MAVEN_SETTINGS: mirrorSettings(repository) },
      },
    ),
    before: () => commit(folder),
  };
}
