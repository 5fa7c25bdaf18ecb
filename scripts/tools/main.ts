// npm run tools:bump -- NAME [VERSION]: one row of the tools' lock, from what its publisher signed. Needs the network,
// and Go where the version changes.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileTool } from "@goldenpath/core/tools/build-tool";
import { toolCacheDirectory } from "@goldenpath/core/tools/cache";
import { type LockedTool, productionTools, type ToolPlatform } from "@goldenpath/core/tools/lock";
import { describeError, UserError } from "@goldenpath/foundation/errors";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { getTrustedRoot } from "@sigstore/tuf";
import { toTrustMaterial } from "@sigstore/verify";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";
import { bumpTool, hashBuild } from "./bump.ts";

const root = join(import.meta.dirname, "../..");
const lockFile = join(root, "packages/core/src/tools/lock.json");
const ports = createTerminalPorts({ out: process.stderr });

const go = {
  async moduleSum(path: string, version: string): Promise<LockedTool["module"]["sum"]> {
    // Verified by Go, against the checksum database.
    const { stdout } = await runChecked("go", ["mod", "download", "-json", `${path}@${version}`], {
      env: process.env,
      cwd: tmpdir(),
      timeoutMs: 600_000,
    });
    return (JSON.parse(stdout) as { Sum: LockedTool["module"]["sum"] }).Sum;
  },
  async measureBuild(tool: LockedTool, platform: ToolPlatform): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "goldenpath-build-"));
    try {
      const output = join(folder, tool.name);
      await compileTool(tool, output, {
        platform,
        cacheDirectory: toolCacheDirectory(process.env),
        ports,
        env: process.env,
      });
      return await hashBuild(output);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const [name, version, ...more] = process.argv.slice(2);
try {
  const row = productionTools.find((tool) => tool.name === name);
  if (row === undefined || more.length > 0) {
    const names = productionTools.map((tool) => tool.name).join(", ");
    throw new UserError(`npm run tools:bump -- NAME [VERSION]: NAME is one of ${names}`, { code: "arguments-invalid" });
  }
  const bumped = await bumpTool(row, version, {
    trust: async () => toTrustMaterial(await getTrustedRoot()),
    go,
    ports,
    env: process.env,
  });
  const rows = JSON.parse(await readFile(lockFile, "utf8")) as LockedTool[];
  await writeFile(
    lockFile,
    `${JSON.stringify(
      rows.map((each) => (each.name === name ? bumped : each)),
      null,
      2,
    )}\n`,
  );
  execFileSync(join(root, "node_modules/.bin/biome"), ["format", "--write", lockFile], { cwd: root, stdio: "ignore" });
  console.log(
    `${bumped.name} ${bumped.version}: ${Object.keys(bumped.releases ?? {}).join(", ") || "no release"}; builds of ${Object.keys(bumped.builds).join(", ")}`,
  );
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 2;
}
