import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KeyPair } from "@goldenpath/registry-client/testing-tls";
import { startRegistry } from "@goldenpath/registry-server/server";

/**
 * Programs that serve while a test runs, each on a free port of this machine and with everything it keeps in a folder
 * that goes with it.
 */
export interface TestServer {
  /** `localhost:PORT`, or `ADDRESS:PORT` where another address was asked for. */
  host: string;
  stop(): Promise<void>;
}

/** How long a server may take until it answers. Milliseconds. */
const startTime = 30_000;

export interface DistributionOptions {
  /** Speaks TLS with this certificate, and with `clientCa` only to those who show one of that authority. PEM. */
  tls?: KeyPair & { clientCa?: string };
  /** Lets in these users by Basic, from a file by htpasswd's rules: name → bcrypt hash. */
  htpasswd?: Readonly<Record<string, string>>;
  /** Lets in those who have a token of this service. */
  token?: { realm: string; service: string; issuer: string; rootCertificates: string };
  /** Default 127.0.0.1, as `localhost`. */
  address?: string;
}

/** CNCF distribution (Debian's docker-registry): it has no referrers API. */
export async function startDistribution(program: string, options: DistributionOptions = {}): Promise<TestServer> {
  const { tls, htpasswd, token, address = "127.0.0.1" } = options;
  return serve(
    "distribution",
    async (directory, port) => {
      const file = async (name: string, content: string): Promise<string> => {
        await writeFile(join(directory, name), content, { mode: 0o600 });
        return join(directory, name);
      };
      const storage = join(directory, "storage");
      await mkdir(storage);
      const auth =
        htpasswd !== undefined
          ? {
              htpasswd: {
                realm: "test",
                path: await file(
                  "htpasswd",
                  Object.entries(htpasswd)
                    .map((entry) => `${entry.join(":")}\n`)
                    .join(""),
                ),
              },
            }
          : token !== undefined
            ? {
                token: {
                  realm: token.realm,
                  service: token.service,
                  issuer: token.issuer,
                  rootcertbundle: await file("roots.pem", token.rootCertificates),
                },
              }
            : undefined;
      // JSON is YAML.
      const settings = {
        version: 0.1,
        log: { level: "warn", accesslog: { disabled: true } },
        storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
        ...(auth === undefined ? {} : { auth }),
        http: {
          addr: `${address}:${port}`,
          ...(tls === undefined
            ? {}
            : {
                tls: {
                  certificate: await file("server.cert", tls.cert),
                  key: await file("server.key", tls.key),
                  ...(tls.clientCa === undefined ? {} : { clientcas: [await file("clients.pem", tls.clientCa)] }),
                },
              }),
        },
      };
      return { program, args: ["serve", await file("config.yml", JSON.stringify(settings))] };
    },
    address,
    // Where a certificate or a login is asked for, that it listens has to do.
    (port) =>
      tls === undefined && htpasswd === undefined && token === undefined ? isReady(port) : isListening(address, port),
  );
}

async function isReady(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/v2/`)).status === 200;
}

async function isListening(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}

/** Olareg: it has the referrers API. */
export async function startOlareg(program: string): Promise<TestServer> {
  return serve("olareg", async (directory, port) => ({
    program,
    args: [
      "serve",
      "--addr",
      "127.0.0.1",
      "--port",
      String(port),
      "--dir",
      directory,
      "--api-delete",
      "--gc-frequency",
      "-1s",
    ],
  }));
}

/** The project's own. */
export async function startEmbedded(): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-embedded-"));
  const registry = await startRegistry({ directory });
  return {
    host: registry.host,
    async stop() {
      await registry.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

type Command = (directory: string, port: number) => Promise<{ program: string; args: string[] }>;

async function serve(name: string, command: Command, address = "127.0.0.1", ready = isReady): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), `goldenpath-${name}-`));
  const port = await freePort();
  const { program, args } = await command(directory, port);
  const running = startProgram(program, args);
  const remove = async (): Promise<void> => {
    await running.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await running.until(() => ready(port));
  } catch (error) {
    await remove();
    throw error;
  }
  return { host: `${address === "127.0.0.1" ? "localhost" : address}:${port}`, stop: remove };
}

export interface RunningProgram {
  /**
   * Waits until it is ready; what `isReady` throws counts as no. @throws Error with what the program said, when it
   * ended or takes too long
   */
  until(isReady: () => Promise<boolean>): Promise<void>;
  /** Asks it to end, and makes it, should it not. */
  stop(): Promise<void>;
}

export function startProgram(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): RunningProgram {
  const child: ChildProcess = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const keep = (chunk: Buffer): void => {
    said = `${said}${chunk.toString()}`.slice(-4000);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  const hasEnded = (): boolean => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    async until(isReady) {
      const deadline = Date.now() + startTime;
      while (!(await isReady().catch(() => false))) {
        if (hasEnded()) throw new Error(`${program} ended: ${failure?.message ?? said}`);
        if (Date.now() > deadline) throw new Error(`${program} does not answer: ${said}`);
        await pause(50);
      }
      // Something else may have been there before it.
      if (hasEnded()) throw new Error(`${program} ended: ${failure?.message ?? said}`);
    },
    async stop() {
      if (hasEnded()) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await ended;
      clearTimeout(late);
    },
  };
}

/** A hundred ports for each process: tests of several run beside each other. */
const ownPorts = 12_000 + (process.pid % 200) * 100;
let tried = 0;

/**
 * A port that nothing listens on now. Not one that the kernel gives: what it gives to nobody stays free until the
 * server is there, and no connection takes it in between.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = ownPorts + (tried++ % 100);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "0.0.0.0", () => resolve(true));
    });
    if (!isFree) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
  throw new Error(`no port of ${ownPorts} to ${ownPorts + 99} is free`);
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
