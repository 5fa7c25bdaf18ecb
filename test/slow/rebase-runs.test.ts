import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  makePlayground,
  pushBuildpack,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "../integration/build-fixtures.ts";
import { runMain } from "../support/cli.ts";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { debianRelease, dpkgStanza, libcVersions } from "../support/scan-world.ts";
import { shellLayer } from "../support/shell-base.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// What `goldenpath base rebase` makes runs under a Docker daemon, as it did before, with the new base below it.
const tools = useTools("lifecycle", "launcher", "olareg");
const user = { User: "1000:1000", Env: ["PATH=/bin:/usr/bin", "CNB_USER_ID=1000", "CNB_GROUP_ID=1000"] };
let stand: LayerStand;
let docker: Docker;
let playground: string;
/** The versions of the base, and the layers of each. */
const bases: { image: string; layer: TestLayer }[] = [];

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  stand = await startLayerStand();
  playground = makePlayground(tools);
  docker = await startDockerd(programs);
  for (const [version, libc] of [
    ["1", libcVersions.vulnerable],
    ["2", libcVersions.mended],
  ] as const) {
    const { tar } = await shellLayer(["dash", "cat"], {
      "etc/os-release": debianRelease,
      "usr/lib/version": version,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libc, "glibc"),
    });
    const layer = gzipLayer(tar);
    bases.push({ layer, image: await stand.push([layer], "bases/run", { config: user }) });
  }
});
afterAll(async () => {
  await docker?.stop();
  await stand?.stop();
  if (playground !== undefined) removePlayground(playground);
});

async function rebase(image: string): Promise<string> {
  const policy = join(stand.directory, "rebase.yaml");
  const digests = JSON.stringify(bases.map((base) => base.image.split("@")[1]));
  const base = `{ name: run, image: "${stand.server.host}/bases/run", digests: ${digests} }`;
  await writeFile(policy, `version: 1\nname: acme\nserial: 1\nbases:\n  - ${base}\n`);
  const to = `${stand.server.host}/quarantine/rebased:1`;
  const { code, out } = await runMain("base", "rebase", image, "--to", to, "--policy", policy, "--json");
  expect({ code, refused: JSON.parse(out).refused }).toEqual({ code: 0, refused: [] });
  return JSON.parse(out).image;
}

/** Which version of the base a container of the image sees. */
const seen = (image: string): Promise<string> =>
  docker.docker("run", "--rm", "--network", "none", "--entrypoint", "/bin/cat", image, "/usr/lib/version");

test("a server answers on the new base as on the old one", async () => {
  const program = gzipLayer(
    tarOf({ name: "srv/olareg", mode: 0o755, content: (await readFile(tools.olareg)) as never }),
  );
  const config = { ...user, Entrypoint: ["/bin/sh", "-c", 'exec /srv/olareg serve --port "$PORT" --dir /tmp'] };
  const image = await stand.push([bases[0]?.layer ?? program, program], "quarantine/shop", { config });
  const rebased = await rebase(image);
  for (const [each, version] of [
    [image, "1"],
    [rebased, "2"],
  ] as const) {
    expect((await docker.askForPage(each, { path: "/v2/" })).status).toBe(200);
    expect(await seen(each)).toBe(version);
  }
});

test("what the lifecycle has built starts on the new base as on the old one", async () => {
  writeFiles(join(playground, "app"), { "app.txt": "hello\n" });
  const buildpack = await pushBuildpack(stand.client, `${stand.server.host}/buildpacks/shell`, shellBuildpack);
  const policy = renderPolicy({ host: stand.server.host, runImage: bases[0]?.image ?? "", buildpacks: [buildpack] });
  writeFiles(playground, { "policy.yaml": policy.replace(`"sha256:${"0".repeat(64)}", `, "") });
  const tags = `${stand.server.host}/quarantine/app:one`;
  const answer = await runBuild(playground, { inputs: { policy: "policy.yaml", context: "app", tags } });
  const image = answer.outputs["image"] ?? "";
  expect(image, answer.log.join("\n")).toMatch(/@sha256:/);
  const rebased = await rebase(image);
  for (const [each, version] of [
    [image, "1"],
    [rebased, "2"],
  ] as const) {
    expect(await docker.docker("run", "--rm", each)).toBe("changed");
    expect(await seen(each)).toBe(version);
  }
});
