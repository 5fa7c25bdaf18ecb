import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { toolPlatform } from "@goldenpath/core/tools/lock";
import { publishTools } from "@goldenpath/core/tools/publish";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { startRegistry } from "@goldenpath/registry-server/server";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import { cachingBuildpack } from "../support/caching-buildpack.ts";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { preparePack } from "../support/pack-stand.ts";
import { openPathWorld } from "../support/path-world.ts";
import { shellLayer } from "../support/shell-base.ts";
import { byBuilder, writeRuntime } from "./build-buildx.ts";
import { removeRoot, startOnce } from "./build-dockerfile.ts";
import { type BuildContender, type BuildStand, makeBaseLayers, ourBuild } from "./build-line.ts";
import type { FindProgram } from "./build-programs.ts";

// Everybody builds on a machine that has no cache of the build but the registry's, which the warm-up has filled.

/** Whether a source file has changed since the build before. */
type Change = "nothing" | "a source file";
/** Of what an application installs: bytes that don't compress. */
const installed = 20_000_000;

export const preparePackAgain = (directory: string, find: FindProgram) => preparePackLine(directory, find, "nothing");
export const preparePackChanged = (directory: string, find: FindProgram) =>
  preparePackLine(directory, find, "a source file");
export const prepareDockerfileAgain = (directory: string, find: FindProgram) =>
  prepareDockerfileLine(directory, find, "nothing");
export const prepareDockerfileChanged = (directory: string, find: FindProgram) =>
  prepareDockerfileLine(directory, find, "a source file");
/** As a hosted runner is, on which a builder's image is pulled in each job, and so are programs of ours. */
export const prepareDockerfileNew = (directory: string, find: FindProgram) =>
  prepareDockerfileLine(directory, find, "a source file", true);

const sentence = (how: string, change: Change): string =>
  `${how} once more, ${change} changed, with the registry's cache and no other`;

async function writeApp(folder: string): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, "app.txt"), "hello\n");
  await writeFile(join(folder, "package.json"), "{}");
  await writeFile(join(folder, "package-lock.json"), "1\n");
  await writeFile(join(folder, "vendor.bin"), randomBytes(installed));
}

async function changeSource(folder: string, change: Change): Promise<void> {
  if (change !== "nothing") await writeFile(join(folder, "app.txt"), `${randomBytes(20).toString("hex")}\n`);
}

/** A policy that has caches, which the others are not asked for a signature of either. */
async function allowCaches(file: string): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace(/^ {2}strategies:/m, "  cache: unverified\n  strategies:"));
}

async function preparePackLine(directory: string, find: FindProgram, change: Change): Promise<BuildStand> {
  const programs = {
    ...{ dockerd: await find("dockerd"), docker: await find("docker"), pack: await find("pack") },
    ...{ lifecycle: await find("lifecycle"), launcher: await find("launcher") },
  };
  const registry = await startRegistry();
  try {
    const stand = await preparePack(registry.host, directory, programs, cachingBuildpack);
    const app = join(directory, "app");
    await writeApp(app);
    const policy = join(directory, "policy.yaml");
    await writeFile(policy, stand.renderPolicy());
    await allowCaches(policy);
    const { host } = registry;
    const path = [...new Set([programs.pack, programs.lifecycle, programs.launcher].map((each) => dirname(each)))];
    const env = { ...stand.docker.env, HOME: directory, PATH: [...path, process.env["PATH"]].join(delimiter) };
    const byHand = [
      ...[programs.pack, "build", `${host}/quarantine/by-hand:1`, "--path", app, "--publish"],
      ...["--builder", stand.builder, "--run-image", stand.runImage, "--lifecycle-image", stand.lifecycleImage],
      ...["--pull-policy", "always", "--network", "host"],
      ...["--cache", `type=build;format=image;name=${host}/quarantine/by-hand-cache:1`],
    ];
    return {
      what: sentence("a buildpack that installs 20 MB", change),
      contenders: [
        {
          ...{ name: "pack build --cache", ours: false, compared: true, note: "with a cache image", argv: byHand },
          env: { ...env, PACK_HOME: join(directory, "home") },
          before: async () => {
            await changeSource(app, change);
            await stand.docker.docker("volume", "prune", "--force");
          },
        },
        {
          ...{ name: "build --engine lifecycle", ours: true, compared: true },
          ...ourBuild(app, { policy, tags: `${host}/quarantine/lifecycle:1`, engine: "lifecycle" }, env),
          before: () => changeSource(app, change),
        },
      ],
      registry,
      close: async () => {
        await stand.close();
        await registry.close();
      },
    };
  } catch (error) {
    await registry.close();
    throw error;
  }
}

/** A step that installs, before what changes is copied. */
const steps = (compiler: string, base: string): string => `FROM ${compiler} AS build
WORKDIR /deps
COPY package-lock.json vendor.bin ./
RUN cp vendor.bin installed
COPY app.txt ./
FROM ${base}
COPY --from=build /deps/installed /deps/app.txt /srv/
`;

async function prepareDockerfileLine(
  directory: string,
  find: FindProgram,
  change: Change,
  isNew = false,
): Promise<BuildStand> {
  const programs = { buildkitd: await find("buildkitd"), buildctl: await find("buildctl") };
  const buildx = await find("buildx");
  const world = await openPathWorld({ tools: {}, layers: await makeBaseLayers() });
  let docker: Docker | undefined;
  const close = async (): Promise<void> => {
    await docker?.stop();
    await world.close();
  };
  try {
    const { host } = world.server;
    const layer = await shellLayer(["dash", "cat", "cp"]);
    await pushTinyImage(world.client, { registry: host, name: "tools/compiler" }, [layer], { tag: "1" });
    const app = join(directory, "app");
    await writeApp(app);
    await writeFile(join(app, "Dockerfile"), steps(`${host}/tools/compiler:1`, world.base));
    const { file } = await world.writePolicy({
      ...{ strategies: "dockerfile", environments: "container" },
      builders: `    - { kind: dockerfile, name: files, images: ["${host}/tools/compiler"] }\n`,
    });
    await allowCaches(file);
    const machine = [process.env["PATH"], "/usr/sbin", "/sbin"];
    const path = isNew ? machine : [...Object.values(programs).map((each) => dirname(each)), ...machine];
    const env = { PATH: path.join(delimiter), HOME: directory };
    const fetched = isNew ? await publishPrograms(world.client, host, directory) : undefined;
    const ours: BuildContender = {
      ...{ name: "build", ours: true, compared: true },
      ...ourBuild(
        app,
        { policy: file, tags: `${host}/quarantine/ours:1`, strategy: "dockerfile" },
        { ...env, ...fetched },
      ),
      before: async () => {
        await changeSource(app, change);
        if (fetched !== undefined) await rm(fetched.GOLDENPATH_TOOL_CACHE, { recursive: true, force: true });
      },
    };
    docker = await startDockerd(
      { dockerd: await find("dockerd"), docker: await find("docker") },
      { runtime: await writeRuntime(directory) },
    );
    const before = (): Promise<void> => changeSource(app, change);
    return {
      what: `${sentence("a Dockerfile with a step that installs 20 MB", change)}${isNew ? ", BuildKit itself still to be fetched" : ""}`,
      contenders: [
        await byBuilder(world.client, { docker, buildx, programs, host, app, directory, before, isNew }),
        ...(isNew ? [] : [await byBuildctl({ programs, host, app, directory, change, env })]),
        ours,
      ],
      registry: world.server,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** BuildKit for us, in the same registry as its image: what a build finds it by. */
async function publishPrograms(
  client: RegistryClient,
  host: string,
  directory: string,
): Promise<{ GOLDENPATH_TOOL_MIRROR: string; GOLDENPATH_TOOL_CACHE: string }> {
  const { reference } = await publishTools(
    client,
    { registry: host, name: "tools/programs" },
    {
      ...{ ports: silentPorts(), env: process.env },
      ...{ names: ["buildkitd", "buildctl"], platforms: [toolPlatform()] },
    },
  );
  return {
    GOLDENPATH_TOOL_MIRROR: `oci://${formatReference(reference)}`,
    GOLDENPATH_TOOL_CACHE: join(directory, "tools"),
  };
}

interface ByHand {
  programs: { buildkitd: string; buildctl: string };
  host: string;
  app: string;
  directory: string;
  change: Change;
  env: BuildContender["env"];
}

/** A BuildKit for it alone, as ours: the machine is new for each build. */
async function byBuildctl({ programs, host, app, directory, change, env }: ByHand): Promise<BuildContender> {
  const root = join(directory, "root");
  const cache = `type=registry,ref=${host}/quarantine/by-hand:cache,registry.insecure=true`;
  const argv = [
    ...[programs.buildctl, "build", "--progress=plain", "--frontend=dockerfile.v0"],
    ...["--opt=attest:provenance=mode=max", `--local=context=${app}`, `--local=dockerfile=${app}`],
    ...[`--import-cache=${cache}`, `--export-cache=${cache},mode=max,image-manifest=true,oci-mediatypes=true`],
    `--output=type=image,name=${host}/quarantine/by-hand:1,push=true,registry.insecure=true`,
  ];
  await runChecked("mkdir", ["-p", root], { env: { PATH: process.env["PATH"] } });
  return {
    ...{ name: "buildkitd and buildctl", ours: false, compared: true, env },
    note: "a BuildKit for it alone, with a registry cache",
    argv: startOnce(programs.buildkitd, root, argv),
    before: async () => {
      await changeSource(app, change);
      await removeRoot(root);
    },
  };
}
