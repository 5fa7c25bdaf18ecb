import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { shellLayer } from "../support/shell-base.ts";
import { requireCommand } from "../support/tools.ts";

/** What people do by hand with Docker instead of building on a base, each beside the build that is right. */

let docker: Docker;
let stand: LayerStand;
let directory: string;
/** HOST/NAME@sha256:… */
let base: string;

const images = "images:\n  refuse: [committed]\n";

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-habits-"));
  stand = await startLayerStand();
  docker = await startDockerd({
    dockerd: await requireCommand("dockerd", suite),
    docker: await requireCommand("docker", suite),
  });
  const { tar } = await shellLayer(["dash", "cat", "cp", "touch"]);
  base = await stand.push([gzipLayer(tar)], "bases/golden", { config: { Env: ["PATH=/usr/bin:/bin"] } });
  await stand.approveImage(base, [], images);
  await docker.docker("pull", base);
}, 120_000);
afterAll(async () => {
  await docker?.stop();
  await stand?.stop();
  await rm(directory, { recursive: true, force: true });
});

const place = (name: string): string => `${stand.server.host}/quarantine/${name}:1`;

async function pushed(name: string) {
  await docker.docker("push", place(name));
  const { verdict, rules, problems, result } = await stand.enforce(place(name));
  return { verdict, rules, problems: problems.join(), wayOut: result.violations.map(({ wayOut }) => wayOut).join() };
}

/** A container that has written a file. */
async function workInside(name: string): Promise<void> {
  await docker.docker("run", "--network", "host", "--name", name, base, "touch", "/by-hand");
}

async function build(name: string, text: string, ...options: string[]): Promise<void> {
  const folder = join(directory, name);
  await mkdir(folder);
  await writeFile(join(folder, "Dockerfile"), text);
  await docker.docker("build", "--network", "host", "--tag", place(name), ...options, folder);
}

describe("an image that was made by hand", () => {
  test("docker commit is refused, and the same by a Dockerfile passes", async () => {
    await workInside("committed");
    await docker.docker("commit", "committed", place("committed"));
    const refused = await pushed("committed");
    expect(refused).toMatchObject({ verdict: "fail", rules: ["base.committed"] });
    expect(refused.problems).toContain("a running container (of 'touch')");
    await build("built", `FROM ${base}\nRUN touch /by-hand\n`);
    expect(await pushed("built")).toMatchObject({ verdict: "pass", rules: [] });
  });

  test("docker export and import is on no base, and is told why", async () => {
    await workInside("exported");
    const file = join(directory, "exported.tar");
    await docker.docker("export", "--output", file, "exported");
    await docker.docker("import", file, place("flattened"));
    const refused = await pushed("flattened");
    expect(refused).toMatchObject({ verdict: "fail", rules: ["base.approved"] });
    expect(refused.problems).toMatch(/it has the files of 'golden' \((\d+) of \1\), so that was squashed, flattened/);
    expect(refused.wayOut).toContain("Leave its layers as they are");
  });

  test("an image of other files is not said to have the base's", async () => {
    await build("scratch", "FROM scratch\nCOPY Dockerfile /\n");
    const refused = await pushed("scratch");
    expect(refused).toMatchObject({ verdict: "fail", rules: ["base.approved"] });
    expect(refused.problems).not.toContain("has the files of");
  });
});
