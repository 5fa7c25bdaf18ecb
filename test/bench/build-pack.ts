import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { startRegistry } from "@goldenpath/registry-server/server";
import { preparePack } from "../support/pack-stand.ts";
import { type BuildContender, type BuildStand, ourBuild } from "./build-line.ts";
import type { FindProgram } from "./build-programs.ts";

/** The same application with the same builder image: by pack as one would type it, and by both of our engines. */
export async function preparePackLine(directory: string, find: FindProgram): Promise<BuildStand> {
  const programs = {
    ...{ dockerd: await find("dockerd"), docker: await find("docker"), pack: await find("pack") },
    ...{ lifecycle: await find("lifecycle"), launcher: await find("launcher") },
  };
  const registry = await startRegistry();
  try {
    const stand = await preparePack(registry.host, directory, programs);
    await mkdir(join(directory, "app"));
    await writeFile(join(directory, "app/app.txt"), "hello\n");
    await writeFile(join(directory, "policy.yaml"), stand.renderPolicy());
    const { host } = registry;
    const path = [...new Set([programs.pack, programs.lifecycle, programs.launcher].map((each) => dirname(each)))];
    const env = { ...stand.docker.env, HOME: directory, PATH: [...path, process.env["PATH"]].join(delimiter) };
    const ours = (engine: string): BuildContender => ({
      ...{ name: `build --engine ${engine}`, ours: true, compared: true },
      ...ourBuild(
        join(directory, "app"),
        { policy: join(directory, "policy.yaml"), tags: `${host}/quarantine/${engine}:1`, engine },
        env,
      ),
    });
    const byHand = [
      ...[programs.pack, "build", `${host}/quarantine/by-hand:1`, "--path", join(directory, "app"), "--publish"],
      ...["--builder", stand.builder, "--run-image", stand.runImage, "--lifecycle-image", stand.lifecycleImage],
      ...["--pull-policy", "always", "--network", "host"],
    ];
    return {
      what: "a small application, by the same builder image",
      contenders: [
        {
          ...{ name: "pack build", ours: false, compared: true, argv: byHand },
          ...{
            note: "with the arguments that goldenpath gives it",
            env: { ...env, PACK_HOME: join(directory, "home") },
          },
        },
        ours("pack"),
        ours("lifecycle"),
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
