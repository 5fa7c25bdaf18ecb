import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:http2";
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
  askForPage(image: string, asked?: Asked): Promise<{ status: number; text: string }>;
  /** The same for one that speaks gRPC, whatever it answers to being asked for its health: `gRPC, status N`. */
  askForGrpc(image: string, asked?: Asked): Promise<string>;
  stop(): Promise<void>;
}

export interface Asked {
  /** More of the container's variables, with `{port}` for the port. */
  variables?: Readonly<Record<string, string>>;
  /** The port of a program that knows no `PORT`; a free one unless told. */
  port?: number;
  /** `/` unless told. */
  path?: string;
}

/**
 * A Docker daemon of the test's own: socket, images, pid file and containerd are under a temporary folder, and it
 * touches neither the machine's networks nor its packet filter. Needs root.
 * @param room all that its images and containers may take, as in `1g`; as much as there is unless told
 * @param runtime what starts its containers, in the place of runc: an absolute path
 */
export async function startDockerd(
  programs: { dockerd: string; docker: string },
  { room, runtime }: { room?: string | undefined; runtime?: string | undefined } = {},
): Promise<Docker> {
  const directory = await mkdtemp(join(tmpdir(), "gp-docker-"));
  const at = (name: string): string => join(directory, name);
  const host = `unix://${at("docker.sock")}`;
  const env = {
    PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`,
    HOME: directory,
    DOCKER_HOST: host,
    DOCKER_CONFIG: at("config"),
  };
  // A pull of a large image takes minutes where other builds have the machine.
  const run = (...args: string[]) => runChecked(programs.docker, args, { env, timeoutMs: 600_000 });
  const docker = async (...args: string[]): Promise<string> => (await run(...args)).stdout.trim();
  const readLogs = async (container: string): Promise<string> => {
    const { stdout, stderr } = await run("logs", container);
    return `${stdout}${stderr}`;
  };
  const isApart = room !== undefined;
  if (isApart) {
    await mkdir(at("data"));
    await runChecked("mount", ["-t", "tmpfs", "-o", `size=${room}`, "tmpfs", at("data")], { env });
  }
  // The machine's own settings are not for this one.
  const settings = runtime === undefined ? {} : { "default-runtime": "given", runtimes: { given: { path: runtime } } };
  await writeFile(at("daemon.json"), JSON.stringify(settings));
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
    if (isApart) await runProcess("umount", ["--lazy", at("data")], { env });
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
    askForPage: (image, { path = "/", ...asked } = {}) =>
      askContainer({ docker, readLogs }, image, asked, async (port) => {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(30_000) });
        return { status: answer.status, text: await answer.text() };
      }),
    askForGrpc: (image, asked = {}) => askContainer({ docker, readLogs }, image, asked, askForHealth),
    stop,
  };
}

/** Until it answers, for as long as a slow start may take, or until the container ends. */
async function askContainer<Answer>(
  { docker, readLogs }: Pick<Docker, "docker"> & { readLogs(container: string): Promise<string> },
  image: string,
  { variables = {}, port: own }: Asked,
  ask: (port: number) => Promise<Answer>,
): Promise<Answer> {
  const port = own ?? (await freePort());
  const given = Object.entries({ PORT: "{port}", HOST: "127.0.0.1", ...variables });
  const env = given.flatMap(([name, value]) => ["--env", `${name}=${value.replace("{port}", String(port))}`]);
  const container = await docker("run", "--detach", "--network", "host", ...env, image);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(port);
      } catch (error) {
        const isRunning = (await docker("inspect", "--format", "{{.State.Running}}", container)) === "true";
        if (!isRunning || attempt === 300) throw new Error(`no answer: ${await readLogs(container)}`, { cause: error });
        await pause(200);
      }
    }
  } finally {
    await docker("rm", "--force", container);
  }
}

/** gRPC's own health check: HTTP/2, with an empty message of five bytes; a service without it says so by a status. */
function askForHealth(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const end = (error: Error): void => {
      session.destroy();
      reject(error);
    };
    session.on("error", end);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status: unknown;
    stream.on("error", end);
    stream.setTimeout(30_000, () => end(new Error("no answer in time")));
    for (const event of ["response", "trailers"] as const)
      stream.on(event, (headers: Record<string, unknown>) => {
        status ??= headers["grpc-status"];
      });
    stream.on("end", () => {
      session.close();
      if (status === undefined) reject(new Error("what answers does not speak gRPC"));
      else resolve(`gRPC, status ${String(status)}`);
    });
    stream.resume();
    stream.end(Buffer.alloc(5));
  });
}
