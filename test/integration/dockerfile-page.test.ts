import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { useDockerfileWorld } from "../support/dockerfile-world.ts";
import { shellLayer } from "../support/shell-base.ts";
import { requireCommand } from "../support/tools.ts";

// What BuildKit and kaniko built runs in a container, and is asked for its page.
const world = useDockerfileWorld("kaniko");
let docker: Docker;
let serving: string;

/** Serves one file, with what every Debian has. */
const server = `use strict;
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ENV{PORT}, Listen => 5) or die $@;
open my $file, "<", "/srv/page.txt" or die $!;
my $page = join "", <$file>;
while (my $client = $server->accept) {
  while (my $line = <$client>) { last if $line =~ /^\\r?$/ }
  print $client "HTTP/1.0 200 OK\\r\\nContent-Length: ", length $page, "\\r\\n\\r\\n$page";
  close $client;
}
`;
const modules = "/usr/lib/x86_64-linux-gnu/perl-base";

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  docker = await startDockerd({
    dockerd: await requireCommand("dockerd", suite),
    docker: await requireCommand("docker", suite),
  });
  const files: Record<string, Uint8Array> = {};
  for (const entry of await readdir(modules, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !path.includes("/unicore/")) files[path.slice(1)] = await readFile(path);
  }
  const layer = await shellLayer(["dash", "cat", "cp", "perl"], files);
  const pushed = await pushTinyImage(world.client, { registry: world.host, name: "bases/golden" }, [layer], {
    tag: "serving",
  });
  serving = pushed.digest;
});
afterAll(() => docker?.stop());

/** Two stages: the first makes the page, and nothing but the page gets into the second. */
const renderDockerfile = (step: string): string => `ARG TOOLS
FROM $TOOLS AS page
WORKDIR /src
COPY page.txt .
${step}
FROM ${world.base}@${serving}
COPY server.pl /srv/
COPY --from=page /out/page.txt /srv/
USER 1000:1000
CMD ["perl", "/srv/server.pl"]
`;

async function build(strategy: "dockerfile" | "kaniko", step: string, inputs: Record<string, string> = {}) {
  const files = { Dockerfile: renderDockerfile(step), "server.pl": server, "page.txt": "hello from two stages\n" };
  const policy = await world.writePolicy({ strategy, base: serving });
  const given = { strategy, "build-args": `TOOLS=${world.compiler}`, ...inputs };
  const { outcome, log } = await world.build(policy, await world.writeApp(files), given);
  expect(outcome, log).toMatchObject({ verdict: "pass", outputs: { strategy } });
  return docker.askForPage(outcome.outputs["image"] ?? "");
}

test("what BuildKit built of two stages, one with a secret, answers", async () => {
  // That there was a secret is all that the page says of it.
  const step = `WORKDIR /out
RUN --mount=type=secret,id=token cp /src/page.txt . && [ -s /run/secrets/token ] && echo with a secret >>page.txt`;
  expect(await build("dockerfile", step, { secrets: "token=s3cret-that-nobody-reads" })).toEqual({
    status: 200,
    text: "hello from two stages\nwith a secret\n",
  });
});

test("what kaniko built of two stages answers", async () => {
  const step = "WORKDIR /out\nRUN cp /src/page.txt /out/page.txt && echo by kaniko >>/out/page.txt";
  expect(await build("kaniko", step)).toEqual({ status: 200, text: "hello from two stages\nby kaniko\n" });
});
