import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { expect, test } from "vitest";
import { useDockerfileWorld } from "../support/dockerfile-world.ts";

const world = useDockerfileWorld();

async function buildTwice(step: string) {
  const Dockerfile = `ARG TOOLS\nFROM $TOOLS AS build\n${step}\nFROM ${world.base}\nCOPY --from=build /out.txt /srv/\n`;
  const context = await world.writeApp({ Dockerfile, "a.txt": "x" });
  const inputs = { "build-args": `TOOLS=${world.compiler}`, "verify-reproducible": "true" };
  const { outcome } = await world.build(await world.writePolicy(), context, inputs);
  const { registry, name } = parseReference(outcome.outputs["image"] ?? "");
  return { outcome, tags: (await world.client.listTags({ registry, name })).sort() };
}

test("a Dockerfile that is not the same twice is refused by the file of its layer", async () => {
  const { outcome, tags } = await buildTwice("RUN cat /proc/sys/kernel/random/uuid >/out.txt");
  expect(outcome.result).toMatchObject({
    verdict: "fail",
    violations: [
      {
        rule: "build.reproducible",
        thing: "layer 2: /srv/out.txt",
        problem: expect.stringMatching(/content: 37 bytes, sha256:[0-9a-f]{12} and 37 bytes, sha256:[0-9a-f]{12}\.$/),
      },
    ],
  });
  expect(tags.every((tag) => /-(?:first|second)-build$/.test(tag))).toBe(true);
});

test("one that is has the same image, in an index that is another each time for BuildKit's provenance", async () => {
  const { outcome, tags } = await buildTwice("RUN echo same >/out.txt");
  expect(outcome.result).toMatchObject({ verdict: "pass", violations: [] });
  expect(outcome.result.notes.join("\n")).toMatch(
    /built twice, in two places: the same images, in an index that is another each time \(the second: sha256:/,
  );
  expect(tags).toHaveLength(3);
});
