import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { paint, type TerminalOptions } from "@goldenpath/core/report/terminal";
import { prefetchTools } from "@goldenpath/core/tools/find";
import { productionTools, toolPlatform } from "@goldenpath/core/tools/lock";
import { UserError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";
import {
  activatePlatformPolicy,
  buildPlatformImages,
  installPlatform,
  type Platform,
} from "../golden-platform/platform.ts";
import { type BundleRun, runBundle } from "./bundle.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that the demo's parts share. */
export interface Demo {
  directory: string;
  registry: RegistryServer;
  client: RegistryClient;
  platform: Platform;
  ports: Ports;
  style: TerminalOptions;
  /** To the terminal. */
  say(line: string): void;
  /** Puts the platform's policy in force: from then on, the steps take whichever is. */
  activate(): Promise<void>;
  /** Runs an action's bundle under a name of this step; says how it ended. */
  step: Step;
  /** The same, told to somebody else than the terminal. */
  stepTo(say: (line: string) => void): Step;
  close(): Promise<void>;
}

export type Step = (name: string, action: string, inputs: Readonly<Record<string, string>>) => Promise<BundleRun>;

const elsewhere =
  'On another machine, run it in a container of Debian or Ubuntu with Node.js, npm, git and Go (docker run -it -v "$PWD:/src" -w /src debian:12), or read examples/demo to see what it does.';

/** @throws UserError `demo-machine`: what this machine lacks, and what to do instead */
export async function checkMachine(env: Environment): Promise<void> {
  const lacks = (what: string): UserError =>
    new UserError(`the demo cannot run here: ${what}`, { code: "demo-machine", wayOut: elsewhere });
  if (process.platform !== "linux") throw lacks(`it needs Linux, and this is ${process.platform}`);
  const [os, arch] = toolPlatform().split("-");
  if (!productionTools.every((tool) => tool.builds[toolPlatform()] !== undefined))
    throw lacks(`the tools' lock knows no builds for ${os} on ${arch}`);
  for (const program of ["apt-get", "dpkg-deb", "npm"]) {
    if ((await findInPath(program, env)) === undefined)
      throw lacks(`there is no ${program} in PATH (it needs Debian or Ubuntu)`);
  }
}

/** What its stages run, of all that the lock has for other ways to build: each may have to be compiled. */
const demoTools = ["lifecycle", "launcher", "syft", "grype"];

export async function openDemo(options: { directory: string; verbose: boolean; port?: number }): Promise<Demo> {
  const { directory, verbose } = options;
  const env: Environment = { ...process.env };
  const ports = createTerminalPorts({ out: process.stderr });
  const style: TerminalOptions = { color: process.stdout.isTTY === true && !env["NO_COLOR"] };
  const say = (line: string): void => console.log(line);
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.once(name, () => controller.abort(new Error(`stopped by ${name}`)));
  const { signal } = controller;

  say(paint(style, "bold", "▸ The machine: external tools, golden base, buildpack, registry"));
  // The tools compile on every core; the base is mostly waiting for the archive.
  const [, images] = await Promise.all([
    prefetchTools(demoTools, { ports, env, signal }),
    buildPlatformImages({ directory, ports, env, signal }),
  ]);
  const registry = await openRegistry(directory, options.port);
  const client = createRegistryClient({ ports, env, signal });
  const platform = await installPlatform(images, { directory, registry: registry.host, client, ports, env, signal });
  const commit = await readCommit(env);
  say(`  registry  ${registry.host}`);
  say(`  base      ${platform.base}`);
  say(`  policy    ${platform.policy}`);
  await rm(join(directory, "steps"), { recursive: true, force: true });

  let policy = platform.policy;
  const activate = async (): Promise<void> => {
    policy = await activatePlatformPolicy(platform, `${registry.host}/vetted`, { client, ports, env });
    say(`  in force  ${policy}`);
  };
  const stepTo =
    (tell: (line: string) => void): Step =>
    async (name, action, inputs) => {
      const run = await runBundle({
        action,
        inputs: { policy, "policy-signer": platform.keys.policy.publicKey, ...inputs },
        directory: join(directory, "steps", name),
        commit,
        env,
        signal,
        ...(verbose ? { onLine: (line: string) => tell(paint(style, "dim", `    ${line}`)) } : {}),
      });
      const { verdict } = run.result;
      const [color, mark] =
        verdict === "pass"
          ? (["green", "✔ pass"] as const)
          : verdict === "fail"
            ? (["red", "✘ fail"] as const)
            : (["yellow", "! error"] as const);
      tell(`  ${paint(style, color, mark.padEnd(8))}${action.padEnd(21)}${run.seconds.toFixed(1).padStart(5)} s`);
      return run;
    };

  return {
    directory,
    registry,
    client,
    platform,
    ports,
    style,
    say,
    activate,
    step: stepTo(say),
    stepTo,
    async close() {
      await client.close();
      await registry.close();
    },
  };
}

/** The registry keeps its port from run to run where it can: the policy names it, and a new name is a new policy. */
async function openRegistry(directory: string, wanted: number | undefined): Promise<RegistryServer> {
  const file = join(directory, "port");
  const storage = join(directory, "registry");
  await mkdir(storage, { recursive: true });
  const last = wanted ?? Number(await readFile(file, "utf8").catch(() => "0"));
  const registry = await startRegistry({ port: last, directory: storage }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw error;
    if (wanted !== undefined)
      throw new UserError(`port ${wanted} is in use`, {
        code: "port-in-use",
        cause: error,
        wayOut: "Choose another with --port, or leave it out.",
      });
    return startRegistry({ directory: storage });
  });
  await writeFile(file, new URL(registry.url).port);
  return registry;
}

/**
 * What the provenance names as the source's commit; outside a checkout there is none, and the demo says so by zeros.
 */
async function readCommit(env: Environment): Promise<string> {
  const none = "0".repeat(40);
  try {
    const { exitCode, stdout } = await runProcess("git", ["-C", import.meta.dirname, "rev-parse", "HEAD"], {
      env,
      timeoutMs: 10_000,
    });
    return exitCode === 0 ? stdout.trim() : none;
  } catch {
    return none;
  }
}
