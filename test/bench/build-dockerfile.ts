import { mkdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import { type BuildKit, startBuildKit } from "../support/buildkit.ts";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { writeApplication } from "../support/java.ts";
import { openPathWorld } from "../support/path-world.ts";
import { shellLayer } from "../support/shell-base.ts";
import { byBuildx } from "./build-buildx.ts";
import { type BuildStand, makeBaseLayers, ourBuild } from "./build-line.ts";
import type { FindProgram } from "./build-programs.ts";

/** buildkitd and buildctl, once: what `buildctl-daemonless.sh` of BuildKit's own images does. */
const startedForIt = `set -eu
buildkitd=$1 root=$2 socket=$3
shift 3
"$buildkitd" --root "$root" --addr "$socket" --oci-worker-net=host >"$root.log" 2>&1 &
daemon=$!
until BUILDKIT_HOST=$socket "$1" debug workers >/dev/null 2>&1; do sleep 0.05; done
code=0
BUILDKIT_HOST=$socket "$@" || code=$?
kill "$daemon"
wait "$daemon" || true
exit "$code"
`;

/** Two stages with a step, by BuildKit in three ways that one has it by hand: each time without caches. Needs root. */
export async function prepareDockerfileLine(directory: string, find: FindProgram): Promise<BuildStand> {
  const programs = { buildkitd: await find("buildkitd"), buildctl: await find("buildctl") };
  const buildx = await find("buildx");
  const world = await openPathWorld({ tools: {}, layers: await makeBaseLayers() });
  const running: (BuildKit | Docker)[] = [];
  const close = async (): Promise<void> => {
    for (const each of running) await each.stop();
    await world.close();
  };
  try {
    const { host } = world.server;
    const layer = await shellLayer(["dash", "cat", "cp"]);
    await pushTinyImage(world.client, { registry: host, name: "tools/compiler" }, [layer], { tag: "1" });
    const app = join(directory, "app");
    await writeApplication(app, {
      Dockerfile: `FROM ${host}/tools/compiler:1 AS build\nWORKDIR /src\nCOPY . .\nRUN cp app.txt /out.txt\nFROM ${world.base}\nCOPY --from=build /out.txt /srv/\n`,
      "app.txt": "hello\n",
    });
    const { file } = await world.writePolicy({
      ...{ strategies: "dockerfile", environments: "container" },
      builders: `    - { kind: dockerfile, name: files, images: ["${host}/tools/compiler"] }\n`,
    });
    const buildkit = await startBuildKit(programs, host);
    running.push(buildkit);
    const docker = await startDockerd({ dockerd: await find("dockerd"), docker: await find("docker") });
    running.push(docker);
    const image = (name: string): string => `${host}/quarantine/${name}:1`;
    const build = ["build", "--progress=plain", "--frontend=dockerfile.v0", "--opt=attest:provenance=mode=max"];
    const folders = [`--local=context=${app}`, `--local=dockerfile=${app}`];
    const buildctl = (name: string): string[] => [
      ...[programs.buildctl, ...build, ...folders],
      `--output=type=image,name=${image(name)},push=true,registry.insecure=true`,
    ];
    const path = [...Object.values(programs).map((each) => dirname(each)), process.env["PATH"], "/usr/sbin", "/sbin"];
    const env = { PATH: path.join(delimiter), HOME: directory };
    return {
      what: "a Dockerfile of two stages, without caches",
      contenders: [
        await byBuildx({ docker, buildx, directory }, { app, image: image("by-buildx") }),
        {
          ...{ name: "buildctl build", ours: false, compared: true, note: "by a BuildKit that runs already" },
          ...{ argv: buildctl("by-hand"), env: { ...env, ...buildkit.env } },
          before: async () => {
            await runChecked(programs.buildctl, ["prune", "--all"], { env: buildkit.env, timeoutMs: 60_000 });
          },
        },
        {
          ...{ name: "buildkitd and buildctl", ours: false, compared: true, note: "a BuildKit for it alone, as ours" },
          ...{ env, argv: startOnce(programs.buildkitd, join(directory, "root"), buildctl("by-hand-alone")) },
          before: () => removeRoot(join(directory, "root")),
        },
        {
          ...{ name: "build", ours: true, compared: true },
          ...ourBuild(app, { policy: file, tags: image("ours"), strategy: "dockerfile" }, env),
        },
      ],
      registry: world.server,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export function startOnce(buildkitd: string, root: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", startedForIt, "sh", buildkitd, root, `unix://${root}.sock`, ...argv];
}

export async function removeRoot(root: string): Promise<void> {
  await runChecked("rm", ["-rf", root, `${root}.sock`], { env: { PATH: process.env["PATH"] } });
  await mkdir(root);
}
