import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parseDocument } from "yaml";
import { runMain } from "../support/cli.ts";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";
import { exampleDatabase } from "../support/scan-world.ts";
import { requireTool } from "../support/tools.ts";

// A golden base from what `goldenpath init` writes: its definition is built by BuildKit itself under the policy of bases,
// pushed and attested as the build stage does, then approved, and an application stands on it. Without a runner: the
// jobs of golden-base.yml one after another, each with what the workflow gives it. Its script for Docker is not run.

const world = useDockerfileWorld("syft", "grype");
let platform = "";
let keys = "";
const own = () => `${world.host}/own/golden`;

beforeAll(async () => {
  const tools = await Promise.all(["syft", "grype"].map((name) => requireTool(name)));
  vi.stubEnv("PATH", [...tools.map((tool) => dirname(tool)), process.env["PATH"]].join(":"));
  vi.stubEnv("HOME", world.root);
  [platform, keys] = [join(world.root, "platform"), join(world.root, "init-keys")];
  // What applications are built in here is said by their Dockerfiles; the base stage compares with the policy's builders.
  const builders = { registry: world.host, name: "builders/all" };
  const builder = await pushTinyImage(world.client, builders, [await tinyLayer({ "cnb/order.toml": "" })]);
  await runMain("keys", "new", keys, "build", "base", "scan", "promote", "golden-base", "policy");
  const { code, err } = await runMain(
    ...["init", platform, "--offline", "--organisation=acme", "--owners=@acme/platform", "--languages=nodejs"],
    ...[`--quarantine=${world.host}/quarantine`, `--vetted=${world.host}/vetted`, `--bases=${world.host}/own`],
    ...[`--base=${world.base}@${world.baseDigest}`, `--builder=${world.host}/builders/all@${builder.digest}`],
    ...["--signing=keys", `--keys=${keys}`, `--goldenpath=goldenpath-ci/goldenpath@${"a".repeat(40)}`],
  );
  expect({ code, err }).toMatchObject({ code: 0 });
  // The example's data is a fixed set.
  const policy = parseDocument(await readFile(file("policy.yaml"), "utf8"));
  policy.setIn(["scan", "databaseMaxAge"], "unlimited");
  await writeFile(file("policy.yaml"), policy.toString({ lineWidth: 0 }));
}, 600_000);
afterAll(() => vi.unstubAllEnvs());

const file = (name: string): string => join(platform, name);
const run = (verb: unknown, policy: string, inputs: Record<string, string>): Promise<Ended> =>
  world.run(verb, { file: file(policy) }, inputs);
const tell = ({ outcome: { verdict, result } }: Ended) => ({
  verdict,
  rules: result.violations.map(({ rule }) => rule),
  error: result.error?.message,
});
const passed = { verdict: "pass", rules: [], error: undefined };
const approve = (image: string, ...more: string[]) =>
  runMain(
    ...["base", "approve", image, "--policy", file("policy.yaml"), "--end-of-life", "90d", "--role", "run-only"],
    ...["--database", exampleDatabase, "--key", join(keys, "golden-base.key"), ...more],
  );

/** The jobs `build` and `attest`, as stage-build.yml has them. */
async function makeVersion(tag: string): Promise<string> {
  world.facts = { sourceRepository: "https://github.com/acme/platform" };
  const built = await run(buildVerb, "bases/policy.yaml", {
    ...{ context: file("bases/golden"), push: "false", tags: `${own()}:${tag}`, strategy: "dockerfile" },
  });
  expect(tell(built)).toEqual(passed);
  const { digest = "", layout = "" } = built.outcome.outputs;
  const image = `${own()}@${digest}`;
  const attested = await run(attestVerb, "bases/policy.yaml", {
    ...{ image, layout, tags: tag, strategy: "dockerfile", "build-environment": "host" },
    key: join(keys, "build.key"),
  });
  expect(tell(attested)).toEqual(passed);
  world.facts = {};
  return image;
}

const tagged = async () => {
  const { registry, name } = parseRepository(own());
  return `${own()}@${(await world.client.readTag({ registry, name }, "stable")).digest}`;
};

test("its definition is built and approved, an application stands on it, and the next version puts that behind", async () => {
  const first = await makeVersion("1-1");
  const app = await world.writeApp({ Dockerfile: `FROM ${own()}\nCOPY app /srv/app\n`, app: "1\n" });
  const build = () => run(buildVerb, "policy.yaml", { context: app, tags: `${world.host}/quarantine/shop:1` });
  // Nobody has approved it yet.
  expect(tell(await build())).toMatchObject({ verdict: "fail", rules: ["base.approval"] });
  const done = await approve(first, "--tag");
  expect({ code: done.code, out: done.out, err: done.err }).toMatchObject({ code: 0 });
  expect(await tagged()).toBe(first);

  const built = await build();
  expect(tell(built)).toEqual(passed);
  const image = built.outcome.outputs["image"] ?? "";
  const enforced = await run(enforceVerb, "policy.yaml", { image });
  expect(tell(enforced)).toEqual(passed);
  expect(enforced.outcome.outputs["base"]).toBe(first);

  // As promote would put it there.
  const vetted = { registry: world.host, name: "vetted/shop" };
  await copyInto(image, vetted, "prod");
  await writeFile(file("bases/golden/about"), "The golden base of acme, with a change.\n");
  const second = await makeVersion("2-1");
  expect(second).not.toBe(first);
  const next = await approve(second, "--tag", "--images", `${world.host}/vetted/shop`);
  expect({ code: next.code, err: next.err }).toMatchObject({ code: 0 });
  expect(next.out).toMatch(/to be built anew:\nbehind +\S+\/vetted\/shop:prod@.*1 versions behind/);
  expect(await tagged()).toBe(second);
  // What stood on the first may go on doing so, and what is built now stands on the second.
  expect(tell(await run(enforceVerb, "policy.yaml", { image }))).toEqual(passed);
  const rebuilt = await build();
  const onSecond = await run(enforceVerb, "policy.yaml", { image: rebuilt.outcome.outputs["image"] ?? "" });
  expect(onSecond.outcome.outputs["base"]).toBe(second);
}, 600_000);

/** An index with its images. */
async function copyInto(image: string, to: { registry: string; name: string }, tag: string): Promise<void> {
  const { registry, name } = parseRepository(image.split("@")[0] ?? "");
  const from = { registry, name };
  const root = await world.client.fetchManifest({ ...from, digest: image.split("@")[1] as `sha256:${string}` });
  const children = root.kind === "index" ? root.manifest.manifests : [];
  for (const each of [...children.map(({ digest }) => digest), root.digest]) {
    const manifest = await world.client.fetchManifest({ ...from, digest: each });
    if (manifest.kind === "image")
      for (const blob of [manifest.manifest.config, ...manifest.manifest.layers])
        await world.client.copyBlob(from, to, blob);
    await world.client.pushManifest(to, manifest.bytes, manifest.mediaType, each === root.digest ? tag : undefined);
  }
}
