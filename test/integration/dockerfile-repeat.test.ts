import type { RunFacts } from "@goldenpath/foundation/ports";
import { copyManifest } from "@goldenpath/registry-client/copy";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import { expect, test } from "vitest";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";
import { shellLayer } from "../support/shell-base.ts";

// A build of the very same, by the real BuildKit where something has to be built.
const world = useDockerfileWorld();

const files = () => ({
  Dockerfile: `FROM ${world.compiler} AS build
COPY app.txt /app.txt
RUN cat /app.txt >/out.txt && echo "a step ran"
FROM ${world.base}
COPY --from=build /out.txt /srv/
`,
  "app.txt": "hello\n",
});
const passed = { verdict: "pass", error: undefined };
const tell = ({ outcome: { verdict, result } }: Ended) => ({ verdict, error: result.error?.message });
const imageOf = ({ outcome }: Ended) => outcome.outputs["image"] ?? "";
const cacheOf = ({ outcome }: Ended) => outcome.outputs["cache"] ?? "";
const builtBefore = ({ outcome }: Ended) => outcome.result.notes.some((note) => note.startsWith("nothing ran: "));

const onMain: Partial<RunFacts> = {
  ...{ event: "push", defaultBranch: "main", sourceRef: "refs/heads/main" },
  builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
  callerId: "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main",
};
const onPullRequest = { ...onMain, event: "pull_request", sourceRef: "refs/pull/7/merge" };

test("the very same is not built again, by whoever built it, and whatever differs is", async () => {
  world.facts = onMain;
  const policy = await world.writePolicy({ cache: "unverified" });
  const folder = await world.writeApp(files());
  const to = { tags: `${world.host}/quarantine/again:1` };
  const build = (more: Record<string, string> = {}) => world.build(policy, folder, { ...to, ...more });
  const first = await build();
  expect(tell(first)).toEqual(passed);

  world.facts = onPullRequest;
  const proposed = await build();
  expect(proposed.log).toContain("is used (written by protected, the same lock files");
  expect(builtBefore(proposed)).toBe(false);
  expect(imageOf(proposed)).not.toBe(imageOf(first));

  world.facts = onMain;
  const { digest = "" } = parseReference(imageOf(first));
  world.server.faults = [
    { method: "GET", path: `quarantine/again/manifests/${digest}$`, action: { kind: "status", status: 404 } },
  ];
  const lost = await build({ cache: "read" }).finally(() => {
    world.server.faults = [];
  });
  expect(tell(lost)).toEqual(passed);
  expect(builtBefore(lost)).toBe(false);
  expect(lost.log).toContain("the image of an earlier build is not taken again");

  const second = await build({ tags: `${world.host}/quarantine/again:2` });
  expect(tell(second)).toEqual(passed);
  expect(builtBefore(second)).toBe(true);
  expect(second.log).not.toContain("buildkit build");
  expect([imageOf(second), cacheOf(second)]).toEqual([imageOf(first), cacheOf(first)]);
  expect(await world.client.resolve(parseReference(`${world.host}/quarantine/again:2`))).toBe(digest);

  // An entry of somebody who may write to quarantine: the image that it names does not stand on the base.
  const repository = { registry: world.host, name: "quarantine/again" };
  const stranger = await world.client.resolve(parseReference(world.stranger));
  const entry = await world.client.fetchManifest(parseReference(cacheOf(first)));
  if (stranger === undefined || entry.kind !== "image") throw new TypeError("both were pushed");
  await copyManifest(world.client, parseReference(world.stranger), repository, stranger);
  const { annotations = {} } = entry.manifest;
  const named = Object.keys(annotations).filter((name) => /\.image\.(?:digest|child)$/.test(name));
  expect(named).toHaveLength(2);
  const forgery = { ...annotations, ...Object.fromEntries(named.map((name) => [name, stranger])) };
  const forged = Buffer.from(JSON.stringify({ ...entry.manifest, annotations: forgery }));
  const tags = (await world.client.listTags(repository)).filter((tag) => tag.startsWith("cache-protected-"));
  for (const tag of tags) await world.client.pushManifest(repository, forged, entry.mediaType, tag);
  const misled = await build({ cache: "read" });
  expect(misled.log).toMatch(/is not taken again: the image that the build left does not stand on/);
  expect([builtBefore(misled), imageOf(misled).includes(stranger)]).toEqual([false, false]);
  for (const tag of tags) await world.client.pushManifest(repository, entry.bytes, entry.mediaType, tag);
  expect(builtBefore(await build({ cache: "read" }))).toBe(true);

  const layers = [await shellLayer(["dash", "cat"], { "etc/compiler": "2" })];
  await pushTinyImage(world.client, { registry: world.host, name: "tools/compiler" }, layers, { tag: "1" });
  expect(builtBefore(await build({ cache: "read" }))).toBe(false);
});
