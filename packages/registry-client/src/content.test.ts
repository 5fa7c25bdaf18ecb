import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { type BlobContent, contentFrom, createVerifiedContent } from "./content.ts";
import { mediaTypes } from "./oci/manifest.ts";
import { describeBytes } from "./testing.ts";

const mebibyte = 1024 * 1024;
const bytes = new Uint8Array(randomBytes(20 * mebibyte));
const blob = describeBytes(bytes, mediaTypes.ociLayerTar);

/** Content that notes from where it was opened, and how many of its streams are open. */
function trace(content: Uint8Array, step = 100_000): BlobContent & { opened: number[]; open: number } {
  const traced = {
    what: "it",
    opened: [] as number[],
    open: 0,
    async *openAt(offset: number) {
      traced.opened.push(offset);
      traced.open++;
      try {
        for (let at = offset; at < content.byteLength; at += step) yield content.subarray(at, at + step);
      } finally {
        traced.open--;
      }
    },
  };
  return traced;
}

function flip(at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.each([
  ["one byte is another", () => flip(5)],
  ["the last byte is another", () => flip(bytes.byteLength - 1)],
  ["the last byte is missing", () => bytes.subarray(0, -1)],
  ["there is one byte more", () => new Uint8Array(Buffer.concat([bytes, new Uint8Array(1)]))],
])("the end is not given out where %s", async (_what, make) => {
  for (const step of [100_000, 20 * mebibyte, 7 * mebibyte]) {
    const verified = createVerifiedContent(trace(make(), step), blob);
    await expect(collect(verified.read(0, blob.size))).rejects.toMatchObject({
      code: "digest-mismatch",
      safeToRetry: false,
    });
    expect(verified.given()).toBeLessThan(blob.size);
  }
});

test.each([
  ["before the kept state of the hash", 3_000_000],
  ["after it, and before where it broke off", 10_000_000],
])("bytes that change between two reads are found (%s)", async (_what, at) => {
  let isSecond = false;
  const other = flip(at);
  const content: BlobContent = { what: "it", openAt: (offset) => trace(isSecond ? other : bytes).openAt(offset) };
  const verified = createVerifiedContent(content, blob);
  expect((await collect(verified.read(0, 11_000_000))).byteLength).toBe(11_000_000);
  // Ended in the middle, as by a connection that broke.
  for await (const _chunk of verified.read(11_000_000, blob.size)) break;
  isSecond = true;
  await expect(collect(verified.read(at < 5_000_000 ? 1000 : 9_000_000, blob.size))).rejects.toThrow(
    "other bytes each time",
  );
});

test("an empty content is checked as well", async () => {
  const nothing = new Uint8Array();
  const empty = describeBytes(nothing, mediaTypes.ociLayerTar);
  expect((await collect(createVerifiedContent(trace(nothing), empty).read(0, 0))).byteLength).toBe(0);
  await expect(collect(createVerifiedContent(trace(bytes), empty).read(0, 0))).rejects.toMatchObject({
    code: "digest-mismatch",
  });
  const wrong = { ...empty, digest: blob.digest };
  await expect(collect(createVerifiedContent(trace(nothing), wrong).read(0, 0))).rejects.toMatchObject({
    code: "digest-mismatch",
  });
});

test("parts that follow one another come from one opened content, and what it opened is let go", async () => {
  const content = trace(bytes);
  const verified = createVerifiedContent(content, blob);
  const parts: Buffer[] = [];
  for (let at = 0; at < blob.size; at += 3_000_001)
    parts.push(await collect(verified.read(at, Math.min(at + 3_000_001, blob.size))));
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  expect(content.opened).toEqual([0]);
  await verified.close();
  expect(content.open).toBe(0);
});

test("to go on from an offset it is opened near it, where the state of the hash was kept", async () => {
  const content = trace(bytes);
  const verified = createVerifiedContent(content, blob);
  for await (const _chunk of verified.read(0, blob.size)) if (verified.given() > 18_000_000) break;
  expect(content.open).toBe(0);
  expect((await collect(verified.read(17_000_000, blob.size))).equals(bytes.subarray(17_000_000))).toBe(true);
  expect(content.opened[1]).toBeGreaterThan(8_000_000);
  expect(content.opened[1]).toBeLessThanOrEqual(17_000_000);
});

test("two reads at once do not disturb each other", async () => {
  const verified = createVerifiedContent(trace(bytes), blob);
  const [one, two] = await Promise.all([
    collect(verified.read(0, blob.size)),
    collect(verified.read(5_000_000, blob.size)),
  ]);
  expect(one.equals(bytes)).toBe(true);
  expect(two.equals(bytes.subarray(5_000_000))).toBe(true);
});

test("bytes of a sha512 digest are checked by it", async () => {
  const digest = `sha512:${createHash("sha512").update(bytes).digest("hex")}` as const;
  expect(
    (await collect(createVerifiedContent(trace(bytes), { ...blob, digest }).read(0, blob.size))).equals(bytes),
  ).toBe(true);
  const wrong = `sha512:${"0".repeat(128)}` as const;
  await expect(
    collect(createVerifiedContent(trace(bytes), { ...blob, digest: wrong }).read(0, blob.size)),
  ).rejects.toMatchObject({
    code: "digest-mismatch",
  });
});

test("the content's own failures are known as such", async () => {
  const failure = new Error("the disk is gone");
  const content: BlobContent = {
    what: "it",
    openAt() {
      throw failure;
    },
  };
  const verified = createVerifiedContent(content, blob);
  await expect(collect(verified.read(0, 10))).rejects.toBe(failure);
  expect(verified.isOwnFailure(failure)).toBe(true);
  expect(verified.isOwnFailure(new Error("the disk is gone"))).toBe(false);
});

test.each([0, 1, 65_536, 299_999])("content that opens at its beginning alone is skipped up to %d", async (offset) => {
  const short = bytes.subarray(0, 300_000);
  async function* inChunks() {
    for (let at = 0; at < short.byteLength; at += 65_536) yield short.subarray(at, at + 65_536);
  }
  for (const open of [inChunks, () => short]) {
    expect((await collect(contentFrom("it", open).openAt(offset))).equals(short.subarray(offset))).toBe(true);
  }
});
