import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildScript } from "@goldenpath/core/build/strategies/dockerfile/scripts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireCommand } from "../support/tools.ts";

// The real BuildKit makes its socket and listens at it within microseconds: on a machine with much else to do it is
// stopped between the two now and then. So this one, which is no BuildKit, takes its time there.

let root: string;
// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  await requireCommand("perl", suite);
  root = await mkdtemp(join(tmpdir(), "goldenpath-start-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const daemon = `#!/usr/bin/perl
use Socket;
socket(my $server, PF_UNIX, SOCK_STREAM, 0) or die;
bind($server, sockaddr_un("$ENV{WORK}/run/buildkit.sock")) or die;
select(undef, undef, undef, 0.5);
exit 3 if $ENV{ENDS};
listen($server, 8) or die;
accept(my $client, $server) or die;
`;
const client = `#!/usr/bin/perl
use Socket;
socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die;
connect($socket, sockaddr_un("$ENV{WORK}/run/buildkit.sock")) or die "refused: $!";
print "built";
`;

async function start(name: string, more: Readonly<Record<string, string>>) {
  const [control, work] = [join(root, name, "control"), join(root, name, "work")];
  for (const each of [control, join(work, "run"), join(work, "image")]) await mkdir(each, { recursive: true });
  for (const [file, text] of Object.entries({ buildkitd: daemon, buildctl: client })) {
    await writeFile(join(control, file), text);
    await chmod(join(control, file), 0o755);
  }
  await writeFile(join(control, "arguments"), "");
  await writeFile(join(work, "run/relay"), "there");
  const env = { PATH: process.env["PATH"], WORK: work, BUILDKIT_HOST: "", RELAY: `${process.pid}`, ...more };
  return promisify(execFile)("/bin/sh", ["-c", buildScript, "build.sh", control, work], { env, timeout: 20_000 });
}

test("a builder whose socket is there before it listens is waited for", async () => {
  expect(await start("slow", {})).toMatchObject({ stdout: "built" });
});

test("one that ends in between is not", async () => {
  await expect(start("ends", { ENDS: "1" })).rejects.toMatchObject({ code: 125 });
});
