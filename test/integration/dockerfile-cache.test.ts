import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { expect, test } from "vitest";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";

// What one build by the real BuildKit leaves for the next; each has a BuildKit of its own and the registry's cache.
const world = useDockerfileWorld();

const files = () => ({
  Dockerfile: `FROM ${world.compiler} AS build
COPY package-lock.json /deps/
RUN cat /deps/package-lock.json >/deps/installed && echo "installed by a step"
COPY app.txt /deps/app.txt
FROM ${world.base}
COPY --from=build /deps /srv
CMD ["cat", "/srv/app.txt"]
`,
  "package-lock.json": "1\n",
  "app.txt": "hello\n",
});
const tell = ({ outcome: { verdict, result } }: Ended) => ({ verdict, error: result.error?.message });
const passed = { verdict: "pass", error: undefined };
const notes = ({ outcome }: Ended) => outcome.result.notes.filter((note) => note.startsWith("cache:"));
const ran = ({ log }: Ended): boolean => /^\| #\d+ \d+\.\d+ installed by a step$/m.test(log);
/** BuildKit writes into the image's history which layers it took from a cache: what runs is the same. */
const layers = async ({ outcome }: Ended): Promise<readonly string[]> => {
  const { children } = await fetchImageFacts(world.client, parseReference(outcome.outputs["image"] ?? ""));
  return children[0]?.manifest.layers.map(({ digest }) => digest) ?? [];
};

test("a build by BuildKit leaves its steps for the next one, which runs those whose files changed", async () => {
  const policy = await world.writePolicy({ cache: "unverified" });
  const folder = await world.writeApp(files());
  const to = { tags: `${world.host}/quarantine/cached:1` };
  const first = await world.build(policy, folder, to);
  expect(tell(first)).toEqual(passed);
  expect(ran(first)).toBe(true);
  expect(notes(first)).toEqual([
    "cache: there is none for this build yet",
    expect.stringMatching(/^cache: kept as .*quarantine\/cached@sha256:/),
  ]);

  const second = await world.build(policy, folder, to);
  expect(tell(second)).toEqual(passed);
  expect(ran(second)).toBe(false);
  expect(second.log).toMatch(/^\| #\d+ CACHED$/m);
  expect(await layers(second)).toEqual(await layers(first));

  await writeFile(join(folder, "app.txt"), "changed\n");
  const third = await world.build(policy, folder, to);
  expect(tell(third)).toEqual(passed);
  expect(ran(third)).toBe(false);
  expect(await layers(third)).not.toEqual(await layers(first));

  await writeFile(join(folder, "package-lock.json"), "2\n");
  const fourth = await world.build(policy, folder, to);
  expect(ran(fourth)).toBe(true);
  expect(notes(fourth)[0]).toContain("other lock files");

  const without = await world.build(policy, folder, { ...to, cache: "none" });
  expect(ran(without)).toBe(true);
  expect(notes(without)).toEqual([]);
  expect(await layers(without)).toEqual(await layers(fourth));
});
