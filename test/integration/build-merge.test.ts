import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  connect,
  makePlayground,
  makeTar,
  pushImage,
  removePlayground,
  renderPolicy,
  runBuild,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer } from "./build-run.ts";

// This machine is of one platform: the image of the other is made here as a build there would leave it.
describe("what jobs built for several platforms", () => {
  let registry: RegistryServer;
  let client: RegistryClient;
  let playground: string;
  const built: Record<string, Digest> = {};

  beforeAll(async () => {
    registry = await startRegistry();
    client = connect();
    playground = makePlayground({});
    for (const architecture of ["amd64", "arm64"]) {
      const layer = await makeTar([{ name: "app", content: architecture }]);
      const platform = { os: "linux", architecture };
      built[architecture] = await pushImage(client, `${registry.host}/quarantine/app`, { layers: [layer], platform });
    }
    const runImage = `${registry.host}/bases/run@${built["amd64"]}`;
    writeFiles(playground, {
      "policy.yaml": renderPolicy({ host: registry.host, runImage, buildpacks: [runImage] }),
    });
  });
  afterAll(async () => {
    removePlayground(playground);
    await client?.close();
    await registry?.close();
  });

  const merge = (
    digests: Record<string, string | undefined>,
    more: Record<string, string> = {},
  ): Promise<BuildRunAnswer> => {
    const lines = Object.entries(digests).map(([platform, digest]) => `${platform}=${digest}`);
    const inputs = { policy: "policy.yaml", tags: `${registry.host}/quarantine/app:1`, digests: lines.join("\n") };
    return runBuild(playground, { inputs: { ...inputs, platforms: "linux/amd64,linux/arm64", ...more } });
  };
  const tags = async () => Object.keys((await registry.snapshot())["quarantine/app"]?.tags ?? {});

  it("is not merged where one is another's, or not there, or goes where only promote writes; nothing has a tag then", async () => {
    const { amd64, arm64 } = built;
    const exchanged = await merge({ "linux/amd64": arm64, "linux/arm64": amd64 });
    expect(exchanged).toMatchObject({ code: "platform-differs", verdict: "error" });
    const gone = `sha256:${"0".repeat(64)}`;
    expect(await merge({ "linux/amd64": amd64, "linux/arm64": gone })).toMatchObject({ code: "image-not-found" });
    expect(await merge({ "linux/amd64": amd64, "linux/arm64": "" })).toMatchObject({ code: "platform-missing" });
    const vetted = { tags: `${registry.host}/vetted/app:1` };
    expect(await merge({ "linux/amd64": amd64, "linux/arm64": arm64 }, vetted)).toMatchObject({
      code: "build-not-in-quarantine",
      verdict: "fail",
    });
    expect(await tags()).toEqual([]);
  });

  it("is not built by a machine of another platform", async () => {
    const inputs = { policy: "policy.yaml", tags: `${registry.host}/quarantine/app:1`, platforms: "linux/s390x" };
    expect(await runBuild(playground, { inputs })).toMatchObject({ code: "platform-unsupported" });
  });

  it("becomes one index, each child as it is and named in the result", async () => {
    const { amd64, arm64 } = built;
    const answer = await merge({ "linux/arm64": arm64, "linux/amd64": amd64 });
    expect(answer).toMatchObject({
      verdict: "pass",
      outputs: { strategy: "" },
      result: {
        stage: "build",
        subject: {
          digest: answer.outputs["digest"],
          children: [
            { digest: amd64, platform: { os: "linux", architecture: "amd64" } },
            { digest: arm64, platform: { os: "linux", architecture: "arm64" } },
          ],
        },
        notes: [`merged from linux/amd64 ${amd64}, linux/arm64 ${arm64}`],
      },
    });
    expect(await client.resolve(parseReference(`${registry.host}/quarantine/app:1`))).toBe(answer.outputs["digest"]);
    expect((await merge({ "linux/amd64": amd64, "linux/arm64": arm64 })).outputs["digest"]).toBe(
      answer.outputs["digest"],
    );
  });
});
