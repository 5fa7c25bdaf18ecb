import { removeStagingTags } from "@goldenpath/core/promote/server-side/clean-up";
import { pushImage } from "@goldenpath/testing/chain";
import { beforeEach, describe, expect, test } from "vitest";
import {
  client,
  from,
  http,
  image,
  open,
  plan,
  registry,
  run,
  tagsOf,
  to,
  useProduct,
} from "../support/product-stand.ts";

useProduct();

describe("the staging tags are removed", () => {
  beforeEach(async () => {
    await open("artifactory");
    await run();
    await client.setTag(to, "1.0.0", image, undefined);
  });
  const cleanUp = (tags = ["1.0.0"]): Promise<string[]> =>
    removeStagingTags(plan, [image], tags, { client, http: http() });

  test("from both places, and nothing else is", async () => {
    expect(await cleanUp()).toEqual([]);
    expect(Object.keys(await tagsOf(from))).toEqual(["2.0.0"]);
    expect(Object.keys(await tagsOf(to))).toEqual(["0.9.0", "1.0.0"]);
    expect(await client.resolve({ ...from, digest: image.digest })).toBe(image.digest);
  });

  test("from the source alone, where no release tag holds the image", async () => {
    expect((await cleanUp([])).join()).toContain("no other tag holds the image");
    expect(await tagsOf(to)).toHaveProperty(plan.stagingTag);
    expect(await tagsOf(from)).not.toHaveProperty(plan.stagingTag);
  });

  test("not where they are another image's by now", async () => {
    const other = await pushImage(client, `${to.registry}/${to.name}`, "another", plan.stagingTag);
    expect((await cleanUp()).join()).toContain(`it is another image, ${other.digest}`);
    expect((await tagsOf(to))[plan.stagingTag]).toBe(other.digest);
  });

  test.each([
    ["refuses", { kind: "status", status: 405 }, "answers 405"],
    ["can't be asked", { kind: "reset" }, "cannot be reached"],
  ] as const)("or said to stay, where the registry %s", async (_what, action, said) => {
    registry.faults = [{ method: "DELETE", action }];
    expect((await cleanUp()).filter((note) => note.includes(said))).toHaveLength(2);
  });

  test("and an image that went with them is put back, under those of its tags that are nobody else's now", async () => {
    // As a registry does for which a tag is the image.
    await fetch(`${registry.url}/v2/${to.name}/manifests/${image.digest}`, { method: "DELETE" });
    const other = await pushImage(client, `${to.registry}/${to.name}`, "another", "stable");
    expect((await cleanUp(["1.0.0", "stable"])).join()).toContain("it was put back");
    expect(await tagsOf(to)).toMatchObject({ "1.0.0": image.digest, stable: other.digest });
  });
});
