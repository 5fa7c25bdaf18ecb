import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PackStand, preparePack } from "../support/pack-stand.ts";
import { openPathWorld, type PathWorld, passed, tell } from "../support/path-world.ts";
import { debianRelease, dpkgStanza, libcVersions } from "../support/scan-world.ts";
import { shellLayer } from "../support/shell-base.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// What pack builds over a Docker daemon, along the whole path; it prints a line, for its base has nothing that serves.
const tools = useTools("lifecycle", "launcher", "pack", "syft", "grype");
const env: Record<string, string> = {};
let world: PathWorld;
let stand: PackStand;
let work: string;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  const layer = await shellLayer(["dash", "cat"], {
    "etc/os-release": debianRelease,
    "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
  });
  const config = { User: "1000:1000", Env: ["PATH=/bin:/usr/bin", "CNB_USER_ID=1000", "CNB_GROUP_ID=1000"] };
  world = await openPathWorld({ tools, env, config, layers: [layer] });
  work = await mkdtemp(join(tmpdir(), "goldenpath-pack-path-"));
  stand = await preparePack(world.server.host, work, { ...programs, ...tools });
  for (const name of ["DOCKER_HOST", "DOCKER_CONFIG"]) env[name] = stand.docker.env[name] ?? "";
  await mkdir(join(world.root, "app"));
  await writeFile(join(world.root, "app/app.txt"), "hello\n");
});
afterAll(async () => {
  await stand?.close();
  await world?.close();
  if (work !== undefined) await rm(work, { recursive: true, force: true });
});

test("an application is built by pack, runs, and goes along the whole path", async () => {
  const { registry, name, digest } = parseReference(stand.builder);
  const line = `    - { name: packed, image: ${registry}/${name}, digests: ["${digest}"], lifecycleImage: "${stand.lifecycleImage}", runImage: golden }\n`;
  const policy = await world.writePolicy({ strategies: "buildpacks", builders: line, environments: "container" });
  const built = await world.build(policy, { context: "app", engine: "pack" });
  expect(tell(built), built.log.join("\n")).toEqual(passed);
  expect(built.result.notes).toContain("built by pack, each phase in a container of a Docker daemon");
  const image = built.outputs["image"] ?? "";
  expect(await stand.docker.docker("run", "--rm", image)).toBe("changed");
  await world.takeTheRest(policy, image);
  expect(await world.provenanceOf(policy, image)).toMatchObject({
    internalParameters: { buildEnvironment: "container", builders: ["packed"] },
  });
});
