import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  connect,
  type LayerFile,
  makePlayground,
  readImage,
  removePlayground,
  runBuild,
  writeFiles,
} from "../integration/build-fixtures.ts";
import type { BuildRunAnswer } from "../integration/build-run.ts";
import { type PackStand, preparePack } from "../support/pack-stand.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// A builder image that pack makes, and both engines with it: pack over a Docker daemon, and the lifecycle without one.
const tools = useTools("lifecycle", "launcher", "pack");
let registry: RegistryServer;
let client: RegistryClient;
let stand: PackStand;
let playground: string;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  registry = await startRegistry();
  client = connect();
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), {
    "app.txt": "hello\n",
    "project.toml": '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "evil.example/builder"\n',
  });
  stand = await preparePack(registry.host, playground, { ...programs, ...tools });
});
afterAll(async () => {
  await stand?.close();
  await client?.close();
  await registry?.close();
  if (playground !== undefined) removePlayground(playground);
});

function build(inputs: Record<string, string>, more?: string): Promise<BuildRunAnswer> {
  writeFileSync(join(playground, "policy.yaml"), stand.renderPolicy(more));
  const given = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one`, ...inputs };
  return runBuild(playground, { inputs: given }, { ...stand.docker.env });
}

const layersOf = async ({ outputs }: BuildRunAnswer) => {
  const { children } = await fetchImageFacts(client, parseReference(outputs["image"] ?? ""));
  return children[0]?.config.rootfs.diff_ids ?? [];
};

/** Of each path all that is in its layer's archive. */
const filesOf = async ({ outputs }: BuildRunAnswer): Promise<Record<string, string>> => {
  const files = [...(await readImage(client, outputs["image"] ?? ""))];
  const describeFile = ({ mode, uid, type, link, content }: LayerFile): string =>
    [mode.toString(8), uid, type, link, content.length, digestOf(Buffer.from(content))].join(" ");
  return Object.fromEntries(files.map(([path, file]) => [path, describeFile(file)]));
};

describe("engine pack", () => {
  it("does not build without a lifecycle that the policy pins", async () => {
    const answer = await build({ engine: "pack" }, "");
    expect(answer.code).toBe("engine-unavailable");
    expect(answer.result.error?.message).toContain("no `lifecycleImage`");
  });

  it("tells a detection that fails as the lifecycle does", async () => {
    writeFiles(join(playground, "other"), { "other.txt": "" });
    const answer = await build({ engine: "pack", context: "other" });
    expect(answer.code, answer.log.join("\n")).toBe("nothing-detected");
    expect(answer.result.error?.message).toContain("there is no app.txt");
  });

  it("makes the same layers as the lifecycle, twice the same image, and says what was passed over", async () => {
    const byPack = await build({ engine: "pack" });
    expect(byPack.result.error, byPack.log.join("\n")).toBeUndefined();
    expect(byPack.result.notes.join("\n")).toContain("each phase in a container of a Docker daemon");
    expect(byPack.result.notes.join("\n")).toMatch(/project\.toml says .*builder/);
    // Nothing of it stays with the daemon but the images.
    expect(await stand.docker.docker("volume", "ls", "--quiet")).toBe("");
    expect(await stand.docker.docker("ps", "--all", "--quiet")).toBe("");
    const again = await build({ engine: "pack" });
    expect(again.outputs["digest"]).toBe(byPack.outputs["digest"]);
    const byLifecycle = await build({ engine: "lifecycle" });
    expect(byLifecycle.result.error, byLifecycle.log.join("\n")).toBeUndefined();
    // But for the folders of the lifecycle's own SBOM, which it makes with one mode here and another there.
    const isSbom = (path: string): boolean => path.startsWith("layers/sbom");
    const [one, two] = [await filesOf(byLifecycle), await filesOf(byPack)];
    expect(
      Object.fromEntries(Object.entries(one).filter(([path, file]) => !isSbom(path) && file !== two[path])),
    ).toEqual({});
    expect(Object.keys(two).filter((path) => one[path] === undefined)).toEqual([]);
    const [ours, packs] = [await layersOf(byLifecycle), await layersOf(byPack)];
    expect(ours.filter((layer) => !packs.includes(layer))).toHaveLength(1);
    expect(ours).toHaveLength(packs.length);
  });

  it("leaves an image that is to be pushed nowhere with the same layers, by the daemon, which keeps nothing of it", async () => {
    const pushed = await build({ engine: "pack" });
    const writes = () => registry.requests.filter(({ method }) => !["GET", "HEAD"].includes(method)).length;
    const before = writes();
    const answer = await build({ engine: "pack", push: "false" });
    expect(answer.result.error, answer.log.join("\n")).toBeUndefined();
    expect(writes()).toBe(before);
    expect(answer.result.notes.join("\n")).not.toContain("network");
    expect(await stand.docker.docker("images", "--quiet", "goldenpath.invalid/*")).toBe("");
    const { layout = "", digest = "" } = answer.outputs;
    const read = (blob: string) => JSON.parse(readFileSync(join(layout, "blobs", blob.replace(":", "/")), "utf8"));
    const { config } = read(digest) as { config: { digest: string } };
    const { rootfs } = read(config.digest) as { rootfs: { diff_ids: string[] } };
    expect(rootfs.diff_ids).toEqual(await layersOf(pushed));
  });

  it("is not what auto takes where the machine can keep a build apart by itself", async () => {
    const answer = await build({ engine: "auto" });
    expect(answer.result.notes.join("\n")).toContain("built in namespaces of its own");
  });
});
