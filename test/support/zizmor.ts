import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { toolCacheDirectory } from "@goldenpath/core/tools/cache";
import { toolPlatform } from "@goldenpath/core/tools/lock";
import { describeError } from "@goldenpath/foundation/errors";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { giveUp, requireCommand } from "./tools.ts";

/**
 * zizmor is written in Rust and comes from PyPI, so it is in no lock of Go modules: this is its own, the wheel and the
 * program in it.
 */
const pinned = {
  version: "1.32.0",
  platform: "linux-amd64",
  wheel: "84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071",
  program: "5df116b420498d37362848d030f870f9804ea7fc289c3680de184cab3c276f67",
};

/**
 * The path of zizmor, installed from PyPI on first use and verified each time; skipped or failed by the rule of
 * `requireTool` where it can't be had.
 */
export async function requireZizmor(): Promise<string> {
  if (toolPlatform() !== pinned.platform)
    return giveUp(`zizmor is pinned for ${pinned.platform}, and this machine is ${toolPlatform()}`);
  const target = join(toolCacheDirectory(process.env), "zizmor", pinned.version, pinned.platform, "zizmor");
  if ((await sha256Of(target)) === pinned.program) return target;
  const python = await requireCommand("python3");
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-zizmor-"));
  try {
    const requirements = join(directory, "requirements.txt");
    await writeFile(requirements, `zizmor==${pinned.version} --hash=sha256:${pinned.wheel}\n`);
    // A folder of its own instead of a virtual environment, which Debian's Python makes only with one more package; the
    // wheel is one program without dependencies.
    const options = [
      "--no-deps",
      "--only-binary",
      ":all:",
      "--require-hashes",
      "--disable-pip-version-check",
      "--quiet",
    ];
    await runChecked(
      python,
      ["-m", "pip", "install", ...options, "--target", join(directory, "site"), "--requirement", requirements],
      {
        env: process.env,
        timeoutMs: 300_000,
      },
    );
    const program = join(directory, "site/bin/zizmor");
    const sum = await sha256Of(program);
    if (sum !== pinned.program)
      throw new Error(`zizmor from PyPI has the sha256 ${sum}, and ${pinned.program} is pinned`);
    await mkdir(dirname(target), { recursive: true });
    await cp(program, `${target}.partial`);
    await rename(`${target}.partial`, target);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "InfrastructureError") throw error;
    return giveUp(
      `zizmor ${pinned.version} can't be installed from PyPI (it needs python3 with pip): ${describeError(error)}`,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return target;
}

async function sha256Of(file: string): Promise<string | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  return bytes === undefined ? undefined : createHash("sha256").update(bytes).digest("hex");
}
