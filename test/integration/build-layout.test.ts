import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pushBuiltLayout } from "@goldenpath/core/layouts/push-built";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushBuildpack,
  pushImage,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer } from "./build-run.ts";

describe("a build that pushes nothing", () => {
  const tools = useTools("lifecycle", "launcher");
  let registry: RegistryServer;
  let client: RegistryClient;
  let playground: string;

  beforeAll(async () => {
    registry = await startRegistry();
    client = connect();
    playground = makePlayground(tools);
    const layer = await makeTar([{ name: "etc/os-release", content: "ID=tiny\n" }]);
    const base = await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] });
    const buildpacks = [await pushBuildpack(client, `${registry.host}/buildpacks/shell`, shellBuildpack)];
    const policy = renderPolicy({ host: registry.host, runImage: `${registry.host}/bases/run@${base}`, buildpacks });
    writeFiles(playground, { "app/app.txt": "hello\n", "policy.yaml": policy });
  });
  afterAll(async () => {
    if (playground !== undefined) removePlayground(playground);
    await client?.close();
    await registry?.close();
  });

  const tags = (name: string) => `${registry.host}/quarantine/${name}:1\n${registry.host}/quarantine/${name}:latest`;
  const build = (name: string, more: Record<string, string>): Promise<BuildRunAnswer> =>
    runBuild(playground, { inputs: { policy: "policy.yaml", context: "app", tags: tags(name), ...more } });
  const writes = () => registry.requests.filter(({ method }) => !["GET", "HEAD"].includes(method));

  /** Whoever builds could not write to it if they tried. */
  async function withoutWrites<T>(work: () => Promise<T>): Promise<T> {
    const before = writes().length;
    registry.settings.readOnly = true;
    try {
      return await work();
    } finally {
      registry.settings.readOnly = false;
      expect(writes().slice(before)).toEqual([]);
    }
  }

  it("is refused where its image was to go to where only promote writes", async () => {
    const vetted = { tags: `${registry.host}/vetted/app:1`, push: "false" };
    expect(await build("app", vetted)).toMatchObject({ code: "build-not-in-quarantine", verdict: "fail" });
  });

  it("leaves the image that it would have pushed, byte for byte, and its name", async () => {
    const pushed = await build("app", {});
    expect(pushed).toMatchObject({ verdict: "pass", outputs: { layout: "" } });
    const answer = await withoutWrites(() => build("app", { push: "false" }));
    expect(answer).toMatchObject({
      verdict: "pass",
      outputs: { image: pushed.outputs["image"], digest: pushed.outputs["digest"] },
      result: { subject: { repository: `${registry.host}/quarantine/app`, digest: pushed.outputs["digest"] } },
    });
    const { layout = "", digest = "" } = answer.outputs;
    const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: object[] };
    expect(index.manifests).toMatchObject(
      ["1", "latest"].map((tag) => ({ digest, annotations: { "org.opencontainers.image.ref.name": tag } })),
    );
    // The manifest, the config and each layer, and nothing else.
    const manifest = await client.fetchManifest({
      registry: registry.host,
      ...{ name: "quarantine/app", digest: parseDigest(digest) },
    });
    if (manifest.kind !== "image") throw new TypeError("it is an image");
    const { config, layers } = manifest.manifest;
    const wanted = [manifest, config, ...layers].map((each) => each.digest.replace("sha256:", ""));
    expect(readdirSync(join(layout, "blobs/sha256")).sort()).toEqual([...new Set(wanted)].sort());

    const repository = { registry: registry.host, name: "quarantine/taken" };
    const context = { ports: silentPorts(), signal: new AbortController().signal, temporaryDirectory: playground };
    const expected = parseDigest(digest);
    const to = { repository, tags: [{ ...repository, tag: "1" }] as const, client, context, expected };
    expect(await pushBuiltLayout(layout, to)).toBe(digest);
  });

  it("is built twice as well", async () => {
    const same = await withoutWrites(() => build("steady", { push: "false", "verify-reproducible": "true" }));
    expect(same).toMatchObject({ verdict: "pass" });
    expect(same.result.notes).toContain("built twice, in two places: the same digest");
    expect(readdirSync(same.outputs["layout"] ?? "").sort()).toEqual(["blobs", "index.json", "oci-layout"]);
  });
});
