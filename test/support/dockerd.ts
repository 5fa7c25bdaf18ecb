import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChecked, runProcess } from "@goldenpath/foundation/exec/run";
import { freePort, pause, startProgram } from "./servers.ts";

export interface Docker {
  /** With which other clients find this daemon. */
  env: Readonly<Record<string, string>>;
  /** Runs the client against this daemon and returns what it printed. */
  docker(...args: string[]): Promise<string>;
  /** Starts an image that serves on `PORT`, asks for its page until it answers, and ends the container. */
  askForPage(image: string): Promise<{ status: number; text: string }>;
  stop(): Promise<void>;
}

/**
 * A Docker daemon of the test's own: socket, images, pid file and containerd are under a temporary folder, and it
 * touches neither the machine's networks nor its packet filter. Needs root.
 */
export async function startDockerd(programs: { dockerd: string; docker: string }): Promise<Docker> {
  const directory = await mkdtemp(join(tmpdir(), "gp-docker-"));
  const at = (name: string): string => join(directory, name);
  const host = `unix://${at("docker.sock")}`;
  const env = {
    PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`,
    HOME: directory,
    DOCKER_HOST: host,
    DOCKER_CONFIG: at("config"),
  };
  const docker = async (...args: string[]): Promise<string> =>
    (await runChecked(programs.docker, args, { env, timeoutMs: 120_000 })).stdout.trim();
  // The machine's own settings are not for this one.
  await writeFile(at("daemon.json"), "{}");
  const daemon = startProgram(
    programs.dockerd,
    [
      ...[
        "--config-file",
        at("daemon.json"),
        "--host",
        host,
        "--data-root",
        at("data"),
        "--exec-root",
        at("exec"),
        "--pidfile",
        at("docker.pid"),
      ],
      ...["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"],
    ],
    env,
  );
  const stop = async (): Promise<void> => {
    await daemon.stop();
    // The daemon leaves the mount that holds its network namespace, and what is mounted cannot be removed.
    await runProcess("umount", [at("exec/netns/default")], { env });
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await daemon.until(async () => (await docker("version", "--format", "{{.Server.Version}}")) !== "");
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    env: { DOCKER_HOST: host, DOCKER_CONFIG: at("config") },
    docker,
    async askForPage(image) {
      const port = await freePort();
      const container = await docker(
        "run",
        "--detach",
        "--network",
        "host",
        "--env",
        `PORT=${port}`,
        "--env",
        "HOST=127.0.0.1",
        image,
      );
      try {
        for (let attempt = 1; ; attempt++) {
          try {
            const answer = await fetch(`http://127.0.0.1:${port}/`);
            return { status: answer.status, text: await answer.text() };
          } catch (error) {
            const isRunning = (await docker("inspect", "--format", "{{.State.Running}}", container)) === "true";
            if (!isRunning || attempt === 100)
              throw new Error(`no answer: ${await docker("logs", container)}`, { cause: error });
            await pause(100);
          }
        }
      } finally {
        await docker("rm", "--force", container);
      }
    },
    stop,
  };
}
