import { mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Workspace } from "../../workspace.ts";
import { handArguments } from "./room.ts";
import { buildScript, roomScript } from "./scripts.ts";

// What the script itself does: these two are stand-ins, of which one writes down what it was asked for. The daemon ends
// when its folder is gone; its socket is the test's.
const daemon = `#!/bin/sh\nwhile [ -d "$4" ]; do sleep 0.05; done\n`;
const client = `#!/bin/sh
[ "$1" = build ] || exit 0
folder=$(dirname "$0")
printf '%s\\0' "$@" >"$folder/asked"
exit 3
`;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-build-script-"));
  for (const name of ["control", "state", "run", "image"]) await mkdir(join(root, name));
  await writeFile(join(root, "control/buildkitd"), daemon, { mode: 0o755 });
  await writeFile(join(root, "control/buildctl"), client, { mode: 0o755 });
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("a builder waits for its arguments, gets them as they are, and the script ends as it does", async () => {
  const running = runProcess("/bin/sh", ["-c", buildScript, "sh", join(root, "control"), root], {
    cwd: root,
    env: { PATH: "/usr/bin:/bin", BUILDKIT_HOST: "unix:///nowhere", RELAY: String(process.pid) },
    timeoutMs: 60_000,
  });
  await sleep(100);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(root, "run/buildkit.sock"), resolve));
  onTestFinished(() => void server.close());
  await sleep(100);
  await expect(readFile(join(root, "control/asked"))).rejects.toThrow();
  const args = [
    "--opt=label:a=two\nlines\n",
    "",
    "back\\slash \\n \\0101 \\c end\\",
    " 'quoted' \"$HOME\" $(id) `id` * ",
    "%s %b",
    "ünïcode",
    "\\",
  ];
  await mkdir(join(root, "control/placed/blobs/sha256"), { recursive: true });
  await symlink("/nowhere", join(root, "control/placed/blobs/sha256/aa"));
  await handArguments({ control: join(root, "control") } as Workspace, args);
  await sleep(100);
  await expect(readFile(join(root, "control/asked"))).rejects.toThrow();
  await writeFile(join(root, "run/relay"), "ready\n");
  expect((await running).exitCode).toBe(3);
  expect((await readFile(join(root, "control/asked"), "utf8")).split("\0").slice(0, -1)).toEqual(["build", ...args]);
  expect(await readlink(join(root, "image/blobs/sha256/aa"))).toBe("/nowhere");
});

test("a builder does not wait for a way out that is gone", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(root, "run/buildkit.sock"), resolve));
  onTestFinished(() => void server.close());
  await handArguments({ control: join(root, "control") } as Workspace, ["x"]);
  // A number that no process of this machine has.
  const env = { PATH: "/usr/bin:/bin", BUILDKIT_HOST: "unix:///nowhere", RELAY: "2147483646" };
  const options = { cwd: root, env, timeoutMs: 60_000 };
  const ended = await runProcess("/bin/sh", ["-c", buildScript, "sh", join(root, "control"), root], options);
  expect([ended.exitCode, ended.stderr]).toEqual([126, "the way out of the network did not start\n"]);
  await expect(readFile(join(root, "control/asked"))).rejects.toThrow();
});

test("a room ends with its input, also where it is not the first process of its namespace", async () => {
  await mkdir(join(root, "programs"));
  for (const [path, text] of [
    ["programs/ip", ""],
    ["control/node", "exec sleep 60"],
    ["control/build.sh", "exec sleep 60"],
  ] as const)
    await writeFile(join(root, path), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  // The first process here is this machine's.
  const spared = 'kill() { [ "$2" = 1 ] || command kill "$@"; }\n';
  const args = ["-c", `${spared}${roomScript}`, "sh", join(root, "control"), root, "/nowhere", "1"];
  const env = { PATH: `${join(root, "programs")}:/usr/bin:/bin` };
  const ended = await runProcess("/bin/sh", args, { cwd: root, env, timeoutMs: 10_000 });
  expect(ended.exitCode).toBe(143);
});
