import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blobPath } from "../../../layouts/read-layout.ts";
import { watchExport } from "./exported.ts";

const digest = digestOf("index");
let layout: string;
beforeAll(async () => {
  layout = await mkdtemp(join(tmpdir(), "goldenpath-exported-"));
});
afterAll(() => rm(layout, { recursive: true, force: true }));

const never = new Promise<void>(() => undefined);
const asked = async (written: Promise<string>): Promise<string> =>
  Promise.race([written, new Promise<string>((resolve) => setTimeout(resolve, 200, "nothing"))]);

test("what a step prints is not what BuildKit says", async () => {
  const watch = watchExport();
  const written = watch.written(layout, never);
  for (const line of [
    `#12 0.131 #15 exporting manifest list ${digest} done`,
    `#12 0.131 exporting manifest list ${digest} done`,
    `#15 exporting manifest ${digest} done`,
    `#15 exporting manifest list ${digest}`,
    `#15 exporting attestation manifest ${digest} done`,
  ])
    watch.onLine(line);
  await mkdir(dirname(join(layout, blobPath(digest))), { recursive: true });
  await writeFile(join(layout, blobPath(digest)), "");
  expect(await asked(written)).toBe("nothing");
  // BuildKit 0.25's own.
  watch.onLine(`#15 exporting manifest list ${digest} done`);
  expect(await written).toBe(digest);
});

test("an image is whole when its index is there, and not when that is told; nobody waits when all has ended", async () => {
  for (const ended of [never, Promise.resolve()]) {
    await rm(join(layout, "blobs"), { recursive: true, force: true });
    const watch = watchExport();
    const written = watch.written(layout, ended);
    watch.onLine(`#15 exporting manifest list ${digest} 0.1s done`);
    expect(await asked(written)).toBe("nothing");
    await mkdir(dirname(join(layout, blobPath(digest))), { recursive: true });
    await writeFile(join(layout, blobPath(digest)), "");
    expect(await asked(written)).toBe(ended === never ? digest : "nothing");
  }
});
