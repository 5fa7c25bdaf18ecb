import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenLayer, openPathWorld, type PathWorld, passed, tell } from "../support/path-world.ts";
import { useTools } from "../support/tools.ts";
import { pushBuildpack, shellBuildpack } from "./build-fixtures.ts";
import { pushBuilder } from "./builder-fixtures.ts";

// A builder image on the whole path, with the real lifecycle.
const tools = useTools("lifecycle", "launcher", "syft", "grype");
let world: PathWorld;
let builder: string;

beforeAll(async () => {
  world = await openPathWorld({ tools });
  builder = await pushBuilder(world.client, `${world.server.host}/builders/shell`, { buildpacks: [shellBuildpack] });
  await mkdir(join(world.root, "app"));
  await writeFile(join(world.root, "app/app.txt"), "hello\n");
});
afterAll(() => world?.close());

const line = (image: string, ...older: string[]): string => {
  const { registry, name, digest } = parseReference(image);
  const digests = [...older, digest].map((each) => `"${each}"`).join(", ");
  return `    - { name: shell, image: ${registry}/${name}, digests: [${digests}], runImage: golden }\n`;
};
const policyWith = (builders: string, environments = "container") =>
  world.writePolicy({ strategies: "buildpacks", builders, environments });

test("an image is built in it, attested as that, judged and promoted", async () => {
  const policy = await policyWith(line(builder));
  const made = await world.build(policy, { context: "app" });
  expect(tell(made), made.log.join("\n")).toEqual(passed);
  const image = made.outputs["image"] ?? "";
  await world.takeTheRest(policy, image);
  const provenance = await world.provenanceOf(policy, image);
  expect(provenance).toMatchObject({ internalParameters: { buildEnvironment: "container", builders: ["shell"] } });
  expect(provenance["resolvedDependencies"]).toContainEqual(
    expect.objectContaining({
      name: "builder",
      digest: { sha256: parseReference(builder).digest?.slice("sha256:".length) },
    }),
  );
});

test("a version that the policy has no more counts for nothing at the gate, beside one that it still has", async () => {
  const { client, server } = world;
  const built = await policyWith(line(builder));
  const image = (await world.build(built, { context: "app" })).outputs["image"] ?? "";
  expect(tell(await world.attest(built, image))).toEqual(passed);
  const newer = await pushBuilder(client, `${server.host}/builders/shell`, {
    buildpacks: [{ ...shellBuildpack, version: "2.0.0" }],
  });
  const rulesOf = async (builders: string) => tell(await world.verify(await policyWith(builders), image)).rules;
  expect(await rulesOf(line(newer))).toContain("gate.builder");
  expect(await rulesOf(line(newer, parseReference(builder).digest ?? ""))).not.toContain("gate.builder");
});

test("where buildpacks on the host and a builder image put applications on one base, the least is said", async () => {
  const buildpack = await pushBuildpack(world.client, `${world.server.host}/buildpacks/shell`, shellBuildpack);
  const both = await policyWith(
    `${line(builder)}    - { name: bare, buildpacks: ["${buildpack}"], runImage: golden }\n`,
    "container, host",
  );
  const made = await world.build(both, { context: "app" });
  const image = made.outputs["image"] ?? "";
  expect(tell(await world.attest(both, image)), made.log.join("\n")).toEqual(passed);
  expect(await world.provenanceOf(both, image)).toMatchObject({
    internalParameters: { buildEnvironment: "host", builders: ["shell", "bare"] },
  });
});

test("no application stands on a builder image, though that stands on the golden base", async () => {
  const { client, server } = world;
  const golden = await goldenLayer();
  const compiler = await tinyLayer({ "usr/bin/cc": "a compiler" });
  const application = await tinyLayer({ "workspace/app": "an application" });
  const push = async (name: string, layers: Parameters<typeof pushTinyImage>[2]) =>
    `${server.host}/${name}@${(await pushTinyImage(client, { registry: server.host, name }, layers)).digest}`;
  const policy = await policyWith(line(await push("builders/cc", [golden, compiler])));
  const judge = async (image: string) => tell(await world.run(enforceVerb, policy, { image }));
  expect(await judge(await push("quarantine/one", [golden, compiler, application]))).toEqual({
    verdict: "fail",
    rules: ["base.build-image"],
  });
  expect(await judge(await push("quarantine/two", [golden, application, compiler]))).toEqual(passed);
});
