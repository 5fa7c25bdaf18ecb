import { readFileSync } from "node:fs";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import {
  type BuildpackParts,
  connect,
  makeTar,
  pushImage,
  renderPolicy,
  shellBuildpack,
} from "../integration/build-fixtures.ts";
import { makeShellRoot, renderBuilder } from "../integration/builder-fixtures.ts";
import { createBuilder, lifecyclePhases } from "./builders.ts";
import { type Docker, startDockerd } from "./dockerd.ts";

/** A daemon, and in a registry what `pack build` and the lifecycle build with, each by digest. */
export interface PackStand {
  docker: Docker;
  runImage: string;
  builder: string;
  lifecycleImage: string;
  /** With that builder and `more` lines of it; default: its lifecycle. */
  renderPolicy(more?: string): string;
  close(): Promise<void>;
}

export interface PackPrograms {
  dockerd: string;
  docker: string;
  pack: string;
  lifecycle: string;
  launcher: string;
}

/** Makes a builder by `pack builder create`, with an extension where one is given. Needs root. */
export async function preparePack(
  host: string,
  directory: string,
  programs: PackPrograms,
  buildpack: Pick<BuildpackParts, "detect" | "build"> = shellBuildpack,
  { extension, room }: { extension?: { detect: string; generate: string }; room?: string } = {},
): Promise<PackStand> {
  const client = connect();
  const env = ["PATH=/usr/bin:/bin", "CNB_USER_ID=1000", "CNB_GROUP_ID=1000"];
  const push = async (name: string, layer: Buffer) =>
    `${host}/${name}@${await pushImage(client, `${host}/${name}`, { layers: [layer], env })}`;
  const docker = await startDockerd(programs, { room });
  const close = async (): Promise<void> => {
    await docker.stop();
    await client.close();
  };
  try {
    const runImage = await push("bases/run", await makeTar([{ name: "etc", type: "directory" }]));
    const lifecycleImage = await push("builders/lifecycle", await makeLifecycle(programs));
    const base = await push("bases/build", await makeShellRoot());
    const script = (body: string): string => `#!/bin/sh\nset -eu\n${body}\n`;
    await createBuilder(programs.pack, docker, directory, {
      base,
      ...programs,
      extension: extension && {
        "extension.toml": 'api = "0.10"\n[extension]\nid = "test/extension"\nversion = "1.0.0"\n',
        "bin/detect": script(extension.detect),
        "bin/generate": script(extension.generate),
      },
      buildpack: {
        "buildpack.toml":
          'api = "0.11"\n[buildpack]\nid = "test/shell"\nversion = "1.0.0"\nsbom-formats = ["application/vnd.cyclonedx+json"]\n[[targets]]\nos = "linux"\n',
        "bin/detect": script(buildpack.detect ?? "exit 0"),
        // What it sees of its surroundings differs between the engines, as it may.
        "bin/build": script((buildpack.build ?? "exit 0").replace(/^env \|.*$/m, "")),
      },
    });
    await docker.docker("tag", "local/builder:1", `${host}/builders/packed:1`);
    await docker.docker("push", `${host}/builders/packed:1`);
    const builder = `${host}/builders/packed@${await client.resolve(parseReference(`${host}/builders/packed:1`))}`;
    return {
      ...{ docker, runImage, builder, lifecycleImage, close },
      renderPolicy: (more = `\n      lifecycleImage: ${lifecycleImage}`) =>
        renderPolicy({
          ...{ host, runImage, buildpacks: [], environments: "container" },
          builder: renderBuilder("packed", builder, more),
        }),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What `buildpacksio/lifecycle` is: the programs, and what a container needs to start one as root. */
function makeLifecycle({ lifecycle, launcher }: PackPrograms): Promise<Buffer> {
  return makeTar([
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n" },
    { name: "tmp", type: "directory", mode: 0o1777 },
    ...[...lifecyclePhases, "launcher"].map((name) => ({
      name: `cnb/lifecycle/${name}`,
      mode: 0o755,
      content: readFileSync(name === "launcher" ? launcher : lifecycle) as never,
    })),
  ]);
}
