import { once } from "node:events";
import { paint } from "@goldenpath/core/report/terminal";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import type { Demo } from "./machine.ts";
import type { Promoted } from "./path.ts";

/** Leaves the registry up until it is interrupted, with commands to copy. */
export async function showKept(demo: Demo, promoted: Promoted): Promise<void> {
  const { keys } = demo.platform;
  const verify = (key: string, type: string): string =>
    `  cosign verify-attestation --key ${key} --insecure-ignore-tlog --type ${type} ${promoted.image} >/dev/null`;
  demo.say(`
The registry stays up at ${demo.registry.url}. Look at it from another terminal:

  crane digest ${demo.registry.host}/vetted/web:1.0.0
  crane digest ${promoted.quarantine}
  crane config ${promoted.image} | jq .rootfs
${verify(keys.build.publicKeyFile, predicateTypes.provenance)}
${verify(keys.base.publicKeyFile, predicateTypes.base)}
${verify(keys.scan.publicKeyFile, predicateTypes.vulnerabilities)}
${verify(keys.promote.publicKeyFile, predicateTypes.verificationSummary)}

Ctrl-C stops it.`);
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => controller.abort());
  if (!controller.signal.aborted) await once(controller.signal, "abort");
}

/** Starts the promoted image with Docker and asks it for its page. */
export async function showRunning(demo: Demo, promoted: Promoted): Promise<void> {
  demo.say(paint(demo.style, "bold", "\n▸ The promoted image, running"));
  const docker = await findInPath("docker", process.env);
  if (docker === undefined)
    throw new UserError("--run needs docker, and there is none in PATH", {
      code: "demo-machine",
      wayOut: "Run the demo without --run, or with --keep.",
    });
  const run = async (...args: string[]): Promise<string> =>
    (await runChecked(docker, args, { env: process.env, timeoutMs: 120_000 })).stdout.trim();
  const container = await run(
    "run",
    "--detach",
    "--rm",
    "--publish",
    "127.0.0.1::8080",
    "--env",
    "PORT=8080",
    promoted.image,
  );
  try {
    const address = (await run("port", container, "8080/tcp")).split("\n")[0] ?? "";
    const page = await askUntilUp(`http://${address}/`);
    demo.say(`  http://${address}/ answers: ${page.replaceAll(/\s+/g, " ").slice(0, 120)}`);
  } finally {
    await run("stop", "--time", "2", container);
  }
}

async function askUntilUp(url: string): Promise<string> {
  let last: unknown;
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
      if (response.ok) return await response.text();
      last = new Error(`HTTP ${response.status}`);
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new InfrastructureError(`${url} did not answer`, { code: "no-answer", cause: last });
}
