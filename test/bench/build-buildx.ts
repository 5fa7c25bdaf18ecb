import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChecked, runProcess } from "@goldenpath/foundation/exec/run";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { tarEntry } from "@goldenpath/testing/tar";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import type { Docker } from "../support/dockerd.ts";
import { shellLayer } from "../support/shell-base.ts";
import type { BuildContender } from "./build-line.ts";

export interface ByBuildx {
  docker: Docker;
  buildx: string;
  directory: string;
}

/** What `docker buildx` is called with: it is a plugin of the client's. */
async function installBuildx({ docker, buildx, directory }: ByBuildx): Promise<Record<string, string | undefined>> {
  const plugins = join(docker.env["DOCKER_CONFIG"] ?? directory, "cli-plugins");
  await mkdir(plugins, { recursive: true });
  await symlink(buildx, join(plugins, "docker-buildx"));
  return { ...docker.env, PATH: process.env["PATH"], HOME: directory };
}

/** With the daemon's own BuildKit, which is what `docker buildx` takes by itself. */
export async function byBuildx(by: ByBuildx, { app, image }: { app: string; image: string }): Promise<BuildContender> {
  const env = await installBuildx(by);
  const args = ["--progress=plain", "--network=host", "--push", "--tag", image, app];
  return {
    ...{ name: "docker buildx build", ours: false, compared: true, env },
    note: "by the Docker daemon that runs already, without provenance",
    argv: ["docker", "buildx", "build", ...args],
    before: async () => {
      await runChecked("docker", ["buildx", "prune", "--all", "--force"], { env, timeoutMs: 120_000 });
      await runChecked("docker", ["image", "prune", "--all", "--force"], { env, timeoutMs: 120_000 });
    },
  };
}

/** Makes a builder as docker/setup-buildx-action does, and builds with it. */
const createAndBuild = `set -eu
builder=$1 image=$2 settings=$3
shift 3
docker buildx create --name "$builder" --driver docker-container --driver-opt "image=$image,network=host" --buildkitd-config "$settings" >/dev/null
exec docker buildx build --builder "$builder" "$@"
`;

/**
 * A builder's container is privileged: it is given every capability that there is. A machine may lack one itself, and
 * can't give that: here nobody asks for more than the machine has.
 */
const runtimeScript = `#!/bin/sh
less() { sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$1"; }
previous=
for each in "$@"; do
  case $previous in
    --bundle) less "$each/config.json" ;;
    --process) less "$each" ;;
  esac
  previous=$each
done
exec runc "$@"
`;

/** runc, for a daemon whose containers may be privileged on a machine that is not itself. @returns its path */
export async function writeRuntime(directory: string): Promise<string> {
  const path = join(directory, "runtime");
  await writeFile(path, runtimeScript, { mode: 0o755 });
  return path;
}

export interface ByBuilder extends ByBuildx {
  programs: { buildkitd: string; buildctl: string };
  host: string;
  app: string;
  before(): Promise<void>;
  /** BuildKit's image is pulled each time. */
  isNew: boolean;
}

/**
 * With a builder in a container of its own, which a cache in a registry asks for; on a machine that has BuildKit's
 * image already, or that is new and has to pull it (here it has no more in it than BuildKit needs: the published one is
 * three times as large).
 */
export async function byBuilder(
  client: RegistryClient,
  { programs, host, app, before, isNew, ...by }: ByBuilder,
): Promise<BuildContender> {
  const env = await installBuildx(by);
  const image = await pushBuildKit(client, host, programs);
  await by.docker.docker("pull", image);
  const settings = join(by.directory, "buildkitd.toml");
  await writeFile(settings, `[registry."${host}"]\n  http = true\n`);
  const builder = "by-hand";
  const cache = `type=registry,ref=${host}/quarantine/by-buildx:cache`;
  return {
    ...{ name: "docker buildx build", ours: false, compared: true, env },
    note: "a builder in a container for it alone, with a registry cache",
    argv: [
      ...["/bin/sh", "-c", createAndBuild, "sh", builder, image, settings],
      ...["--progress=plain", "--provenance=mode=max", `--cache-from=${cache}`],
      `--cache-to=${cache},mode=max,image-manifest=true,oci-mediatypes=true`,
      ...["--push", "--tag", `${host}/quarantine/by-buildx:1`, app],
    ],
    before: async () => {
      await before();
      // There is none before the first run.
      await runProcess("docker", ["buildx", "rm", "--force", builder], { env, timeoutMs: 120_000 });
      if (isNew) await runProcess("docker", ["image", "rm", "--force", image], { env, timeoutMs: 120_000 });
    },
  };
}

/** BuildKit's programs and runc in an image, as its project publishes them. */
async function pushBuildKit(
  client: RegistryClient,
  host: string,
  programs: { buildkitd: string; buildctl: string },
): Promise<string> {
  const entries = await Promise.all(
    Object.entries(programs).map(async ([name, path]) =>
      tarEntry({ name: `usr/bin/${name}`, content: await readFile(path), mode: 0o755 }),
    ),
  );
  const folders = ["usr", "usr/bin", "tmp"].map((name) => tarEntry({ name, type: "5" }));
  const tar = Buffer.concat([...folders, ...entries, Buffer.alloc(1024)]);
  const layers = [await shellLayer(["dash", "runc"]), { tar, diffId: digestOf(tar) }];
  const repository = { registry: host, name: "tools/buildkit" };
  await pushTinyImage(client, repository, layers, {
    tag: "1",
    config: { Entrypoint: ["buildkitd"], Env: ["PATH=/usr/bin:/usr/sbin:/bin:/sbin"] },
  });
  return `${host}/tools/buildkit:1`;
}
