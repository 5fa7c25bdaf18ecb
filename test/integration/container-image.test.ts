import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readVersion } from "../../scripts/release/coordinates.ts";
import { makeImage, pushImages } from "../../scripts/release/image.ts";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { requireCommand } from "../support/tools.ts";

describe("the container image for other CI systems", () => {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-image-"));
  const ports = silentPorts();
  const client = createRegistryClient({ ports, env: process.env });
  let registry: RegistryServer;
  let docker: Docker;
  let digest: string;
  const repository = () => parseRepository(`${registry.host}/goldenpath`);

  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
    const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
    registry = await startRegistry();
    docker = await startDockerd(programs);
    // A program that says its name stands for the lock's tools, which are three times as large as all the rest.
    digest = (await makeImage({ folder: directory, ports, env: process.env, tools: { syft: "/bin/true" } })).digest;
  });
  afterAll(async () => {
    await docker?.stop();
    await registry?.close();
    await client.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const run = (...args: string[]) =>
    docker.docker("run", "--rm", "--network", "none", `${registry.host}/goldenpath:v1`, ...args);

  test("is not pushed where it is another than the one that was made, or not whole", async () => {
    const other = `sha256:${"0".repeat(64)}`;
    await expect(pushImages(client, repository(), "v1", [{ folder: directory, digest: other }])).rejects.toThrow(other);
    const empty = { folder: join(directory, "not-there"), digest };
    await expect(pushImages(client, repository(), "v1", [empty])).rejects.toThrow("no whole image");
    expect(Object.keys(await registry.snapshot())).toEqual([]);
  });

  test("is pushed as an index, and runs the command line as a user without rights", async () => {
    const index = await pushImages(client, repository(), "v1", [{ folder: directory, digest }]);
    expect((await registry.snapshot())["goldenpath"]?.tags).toEqual({ v1: index });
    expect(await run("goldenpath", "--version")).toBe(readVersion());
    expect(await run("goldenpath", "scan", "--help")).toContain("--image");
    expect(await run("id", "-u")).toBe("1000");
  });

  test("has what a CI system starts a job's script with, and what a build is kept apart with", async () => {
    const script =
      "for program in bash cat git grep ip mount node sed setpriv sh syft tar unshare; do command -v $program; done";
    expect((await run("sh", "-c", script)).split("\n")).toHaveLength(13);
    expect(await run("git", "--version")).toMatch(/^git version 2\./);
    expect(await run("node", "-p", "require('tls').rootCertificates.length > 50 && process.env.SSL_CERT_FILE")).toMatch(
      /^\/etc\/ssl/,
    );
  });

  test("refuses what the command line refuses, by its exit code", async () => {
    await expect(run("goldenpath", "scna")).rejects.toThrow(/exit code 2|scan/);
  });
});
