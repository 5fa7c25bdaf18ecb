import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildScript } from "./scripts.ts";

// A real BuildKit can't be told to fail in its second pass alone: these two are stand-ins, which write down what they
// were asked for. The daemon ends when its folder is gone.
const daemon = `#!/bin/sh\nwhile [ -d "$4" ]; do sleep 0.05; done\n`;
const client = `#!/bin/sh
[ "$1" = build ] || exit 0
folder=$(dirname "$0")
for last; do :; done
echo "$last" >>"$folder/asked"
case $last in
--export-cache*) file=$folder/keeping ;;
*) file=$folder/building && echo '#5 [2/3] RUN make' ;;
esac
code=$(cat "$file")
[ "$code" = 0 ] || echo 'error: failed to solve: no space left on device' >&2
exit "$code"
`;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-build-script-"));
  for (const name of ["control", "state", "run"]) await mkdir(join(root, name));
  await writeFile(join(root, "control/buildkitd"), daemon, { mode: 0o755 });
  await writeFile(join(root, "control/buildctl"), client, { mode: 0o755 });
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A build whose passes end with these exit codes. */
async function build(codes: { building: number; keeping: number }): Promise<{ exitCode: number; asked: string[] }> {
  for (const [name, code] of Object.entries(codes)) await writeFile(join(root, "control", name), `${code}\n`);
  const passes = ["--export-cache=type=local", "--output=type=oci"];
  const { exitCode, stdout } = await runProcess(
    "/bin/sh",
    ["-c", buildScript, "sh", join(root, "control"), root, ...passes, "--progress=plain"],
    { cwd: root, env: { PATH: "/usr/bin:/bin", BUILDKIT_HOST: "unix:///nowhere" } },
  );
  const asked = (await readFile(join(root, "control/asked"), "utf8")).trim().split("\n");
  return { exitCode, asked: [...asked, ...stdout.split("\n").filter((line) => line.startsWith("the cache"))] };
}

describe("a build that keeps a cache ends as the build did", () => {
  const passes = ["--output=type=oci", "--export-cache=type=local"];

  test("where the build fails: with its exit code, and no cache is kept", async () => {
    expect(await build({ building: 3, keeping: 0 })).toEqual({ exitCode: 3, asked: passes.slice(0, 1) });
  });

  test("where only the cache can't be kept: that is said, and fails nothing", async () => {
    const said = "the cache of this build is not kept: buildctl ended with exit code 1";
    expect(await build({ building: 0, keeping: 1 })).toEqual({ exitCode: 0, asked: [...passes, said] });
  });

  test("and beside them, where both go well", async () => {
    expect(await build({ building: 0, keeping: 0 })).toEqual({ exitCode: 0, asked: passes });
  });
});
