import { attestVerb } from "@goldenpath/core/verbs/attest";
import { expect, test } from "vitest";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";

// As test/integration/dockerfile-repeat.test.ts, along the job that attests: that catalogues each image anew.
const world = useDockerfileWorld("syft");

const files = (content: string) => ({
  Dockerfile: `FROM ${world.base}\nCOPY app.txt /app.txt\nRUN cat /app.txt >/out.txt\n`,
  "app.txt": content,
});
const tell = ({ outcome: { verdict, result } }: Ended) => ({ verdict, error: result.error?.message });
const passed = { verdict: "pass", error: undefined };
const imageOf = ({ outcome }: Ended) => outcome.outputs["image"] ?? "";
const cacheOf = ({ outcome }: Ended) => outcome.outputs["cache"] ?? "";
const onMain = {
  ...{ event: "push", defaultBranch: "main", sourceRef: "refs/heads/main" },
  builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
  callerId: "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main",
};

test("where caches are verified, only what attest signed beside its own image is taken again, as a layout too", async () => {
  world.facts = onMain;
  const policy = await world.writePolicy({ cache: "verified" });
  const folder = await world.writeApp(files("hello\n"));
  const build = () => world.build(policy, folder, { tags: `${world.host}/quarantine/signed:1`, push: "false" });
  const first = await build();
  expect(tell(first)).toEqual(passed);
  const { layout = "", image = "", cache = "" } = first.outcome.outputs;
  const key = { key: world.keys.build.file, "build-environment": "container", tags: "1" };
  const attest = async (of: { image: string; layout: string }): Promise<string> =>
    (await world.run(attestVerb, policy, { ...of, cache, ...key })).log;

  const other = await world.build(policy, await world.writeApp(files("other\n")), {
    ...{ tags: `${world.host}/quarantine/signed:other`, push: "false", cache: "none" },
  });
  const layouts = `${other.outcome.outputs["layout"]}`;
  expect(await attest({ image: imageOf(other), layout: layouts })).toContain("it is in no layout that was given");
  expect(await attest({ image, layout })).toContain("predicates/build-cache/v1");
  expect(await attest({ image: imageOf(other), layout: "" })).toMatch(/is not attested: it names the image sha256:/);

  const second = await build();
  expect(tell(second)).toEqual(passed);
  expect(second.outcome.result.notes.some((note) => note.startsWith("nothing ran: "))).toBe(true);
  expect([imageOf(second), cacheOf(second)]).toEqual([image, cache]);
  expect(await attest({ image, layout: second.outcome.outputs["layout"] ?? "" })).toContain("build-cache/v1");
});
