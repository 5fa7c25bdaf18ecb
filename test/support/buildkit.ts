import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChecked, runProcess } from "@goldenpath/foundation/exec/run";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { startProgram } from "./servers.ts";

export interface BuildKit {
  /** With which buildctl finds it. */
  env: Readonly<Record<string, string>>;
  /** Builds a Dockerfile with files beside it and pushes it under `name`; `exporter` is more of `--output`. */
  build(
    name: string,
    dockerfile: string,
    options?: { context?: string; files?: Readonly<Record<string, string>>; exporter?: string },
  ): Promise<void>;
  /**
   * Builds as docker/github-builder does, from a Git context or from files of this machine, and pushes by digest under each
   * of `names`, with the options of a provenance; the index's digest.
   */
  buildAttested(
    names: string,
    options: { provenance: string; context?: string; files?: Readonly<Record<string, string>> },
  ): Promise<Digest>;
  /** Names of a Dockerfile's stages, as BuildKit's own reader has them; undefined where it can't read the file. */
  stagesOf(dockerfile: string): Promise<string[] | undefined>;
  stop(): Promise<void>;
}

/**
 * A BuildKit of the test's own, in whose builds the machine's network is there (for a distribution's archive). Needs
 * root. @param firstInPath a folder of programs that it takes before the machine's
 */
export async function startBuildKit(
  programs: { buildkitd: string; buildctl: string },
  registry: string,
  firstInPath = "",
): Promise<BuildKit> {
  const directory = await mkdtemp(join(tmpdir(), "gp-buildkit-"));
  const at = (name: string): string => join(directory, name);
  const address = `unix://${at("buildkit.sock")}`;
  const env = {
    PATH: `${firstInPath === "" ? "" : `${firstInPath}:`}${process.env["PATH"]}:/usr/sbin:/sbin`,
    HOME: directory,
    TMPDIR: directory,
    BUILDKIT_HOST: address,
  };
  await writeFile(at("buildkitd.toml"), `[registry."${registry}"]\n  http = true\n`);
  const daemon = startProgram(
    programs.buildkitd,
    ["--config", at("buildkitd.toml"), "--root", at("root"), "--addr", address, "--oci-worker-net=host"],
    env,
  );
  const stop = async (): Promise<void> => {
    await daemon.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await daemon.until(
      async () => (await runChecked(programs.buildctl, ["debug", "workers"], { env, timeoutMs: 10_000 })).stdout !== "",
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    env,
    async build(name, dockerfile, { context, files = {}, exporter = "" } = {}) {
      const own = await mkdtemp(at("context-"));
      for (const [path, content] of Object.entries({ ...files, Dockerfile: dockerfile })) {
        await mkdir(join(own, path, ".."), { recursive: true });
        await writeFile(join(own, path), content);
      }
      const output = `type=image,name=${name},push=true${exporter === "" ? "" : `,${exporter}`}`;
      const args = [
        "build",
        "--progress=plain",
        "--frontend=dockerfile.v0",
        `--local=context=${context ?? own}`,
        `--local=dockerfile=${own}`,
      ];
      await runChecked(programs.buildctl, [...args, `--output=${output}`], { env, timeoutMs: 600_000 });
    },
    async buildAttested(names, { provenance, context, files = {} }) {
      const own = await mkdtemp(at("context-"));
      for (const [path, content] of Object.entries(files)) await writeFile(join(own, path), content);
      const from =
        context === undefined
          ? [`--local=context=${own}`, `--local=dockerfile=${own}`]
          : ["--opt", `context=${context}`];
      const output = `type=image,"name=${names}",oci-artifact=true,push-by-digest=true,name-canonical=true,push=true`;
      const metadata = join(own, "metadata.json");
      const args = ["build", "--progress=plain", "--frontend=dockerfile.v0", ...from, `--output=${output}`];
      const attest = ["--opt", `attest:provenance=${provenance}`, "--metadata-file", metadata];
      await runChecked(programs.buildctl, [...args, ...attest], { env, timeoutMs: 600_000 });
      return JSON.parse(await readFile(metadata, "utf8"))["containerimage.digest"];
    },
    async stagesOf(dockerfile) {
      const own = await mkdtemp(at("context-"));
      await writeFile(join(own, "Dockerfile"), dockerfile);
      const options = ["requestid=frontend.targets", "cmdline=dockerfile.v0"].map((each) => `--opt=${each}`);
      const locals = [`--local=context=${own}`, `--local=dockerfile=${own}`];
      const args = ["build", "--progress=quiet", "--frontend=dockerfile.v0", ...options, ...locals];
      const { exitCode, stdout } = await runProcess(programs.buildctl, args, { env, timeoutMs: 60_000 });
      // A table: a heading, and a line for each stage with its name first.
      const lines = stdout.trim().split("\n").slice(1);
      return exitCode === 0 ? lines.map((line) => line.trim().split(/\s/)[0] ?? "") : undefined;
    },
    stop,
  };
}
