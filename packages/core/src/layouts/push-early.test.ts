import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import {
  blobPath,
  encode,
  type LayoutFiles,
  type LayoutStand,
  layout,
  openLayoutStand,
  put,
  putIndex,
} from "@goldenpath/testing/built-layout";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushBuiltLayout } from "./push-built.ts";
import { openStorage } from "./storage.ts";

let stand: LayoutStand;
beforeAll(async () => {
  stand = await openLayoutStand();
});
afterAll(() => stand.close());

const platform = { os: "linux", architecture: "amd64" };

/** An index of one image, as a builder that is still at work has written it: nothing names it yet. */
function written(): { files: LayoutFiles; index: Descriptor; child: Descriptor } {
  const { files, root } = layout();
  const content = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...root, platform }] };
  const index = put(files, mediaTypes.ociIndex, encode(content));
  const { "oci-layout": _version, "index.json": _index, ...blobs } = files;
  return { files: blobs, index, child: root };
}

async function finish(path: string, manifests: readonly object[]): Promise<void> {
  const files: LayoutFiles = { "oci-layout": '{"imageLayoutVersion":"1.0.0"}' };
  putIndex(files, manifests);
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
}

describe("an image that is pushed while its builder is still at work", () => {
  it("gets no name where the builder fails after it", async () => {
    const { files, index, child } = written();
    const to = stand.target();
    const whole = Promise.withResolvers<void>();
    const pushing = pushBuiltLayout(await stand.writeFolder(files), {
      ...to,
      early: { root: index.digest, whole: whole.promise },
    });
    await expect.poll(() => stand.client.resolve({ ...to.repository, digest: child.digest })).toBe(child.digest);
    whole.reject(new Error("the builder was killed"));
    await expect(pushing).rejects.toThrow("the builder was killed");
    expect(await stand.tagged(to)).toBeUndefined();
    expect(await stand.client.resolve({ ...to.repository, digest: index.digest })).toBeUndefined();
  });

  it("gets no name where the builder ends with another one, with none, or with a second one", async () => {
    for (const name of ["another", "none", "two"] as const) {
      const { files, index } = written();
      const other = { ...index, digest: digestOf("other") };
      const to = stand.target();
      const path = await stand.writeFolder(files);
      const whole = name === "none" ? Promise.resolve() : finish(path, name === "two" ? [index, other] : [other]);
      await expect(pushBuiltLayout(path, { ...to, early: { root: index.digest, whole } })).rejects.toMatchObject({
        code: "built-image-invalid",
      });
      expect(await stand.tagged(to)).toBeUndefined();
    }
  });

  it("is not taken where it is not there, and where it is no index", async () => {
    const { files, child } = written();
    for (const root of [digestOf("other"), child.digest]) {
      const pushing = pushBuiltLayout(await stand.writeFolder(files), {
        ...stand.target(),
        early: { root, whole: Promise.resolve() },
      });
      await expect(pushing).rejects.toThrow(root === child.digest ? "" : `it has no ${root}`);
    }
  });

  it("gets its tags when the builder is done, and is the one that the layout names", async () => {
    const { files, index } = written();
    const to = stand.target();
    const path = await stand.writeFolder(files);
    const whole = Promise.withResolvers<void>();
    const pushing = pushBuiltLayout(path, { ...to, early: { root: index.digest, whole: whole.promise } });
    await finish(path, [index]);
    expect(await stand.tagged(to)).toBeUndefined();
    whole.resolve();
    expect(await pushing).toBe(index.digest);
    expect(await stand.tagged(to)).toBe(index.digest);
  });
});

describe("a folder that somebody changes while it is read", () => {
  it("gives no file of elsewhere, whatever a folder in it is by then", async () => {
    const digest = digestOf("inside");
    const outside = join(stand.folder, "outside");
    const path = await stand.writeFolder({ [blobPath(digest)]: "inside", "beside/x": "" });
    await mkdir(join(outside, "sha256"), { recursive: true });
    await writeFile(join(outside, blobPath(digest).replace("blobs/", "")), "secret");
    await symlink(outside, join(path, "link"));
    const storage = await openStorage(path);
    const seen = new Set<string>();
    let isOver = false;
    const wait = async (): Promise<void> => {
      for (let turn = 0; turn < Math.random() * 6; turn++) await setImmediate();
    };
    const move = (from: string, to: string): Promise<void> => rename(join(path, from), join(path, to));
    const swapping = (async () => {
      while (!isOver) {
        await move("blobs", "kept");
        await move("link", "blobs");
        await wait();
        await move("blobs", "link");
        await move("kept", "blobs");
        await wait();
      }
    })();
    for (let round = 0; round < 9_000; round++) {
      const read = await storage.read(blobPath(digest), 100).catch(() => "refused");
      seen.add(read.toString());
    }
    isOver = true;
    await swapping;
    // On a machine that is busy, each of those may have come while it was away.
    seen.add((await storage.read(blobPath(digest), 100)).toString());
    expect([...seen].sort()).toEqual(["inside", "refused"]);
    await rm(outside, { recursive: true });
  });

  it("gives no file of elsewhere, whatever the folder itself is by then", async () => {
    const digest = digestOf("inside");
    const outside = join(stand.folder, "beside");
    const path = await stand.writeFolder({ [blobPath(digest)]: "inside" });
    await mkdir(join(outside, "blobs/sha256"), { recursive: true });
    await writeFile(join(outside, blobPath(digest)), "secret");
    await symlink(outside, `${path}-link`);
    const seen = new Set<string>();
    let isOver = false;
    const swapping = (async () => {
      while (!isOver) {
        await rename(path, `${path}-kept`);
        await rename(`${path}-link`, path);
        for (let turn = 0; turn < Math.random() * 6; turn++) await setImmediate();
        await rename(path, `${path}-link`);
        await rename(`${path}-kept`, path);
        for (let turn = 0; turn < Math.random() * 6; turn++) await setImmediate();
      }
    })();
    for (let round = 0; round < 3_000; round++) {
      const reading = openStorage(path).then((storage) => storage.read(blobPath(digest), 100));
      seen.add((await reading.catch(() => "refused")).toString());
    }
    isOver = true;
    await swapping;
    seen.add((await (await openStorage(path)).read(blobPath(digest), 100)).toString());
    expect([...seen].sort()).toEqual(["inside", "refused"]);
    await rm(outside, { recursive: true });
  });
});
