import { createHash } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDigester, digestAlgorithm, digestHex, digestOf, isDigest, parseDigest } from "./digest.ts";

const hex = "0123456789abcdef".repeat(4);

describe("parseDigest", () => {
  test.each([
    ["nothing", ""],
    ["no algorithm", hex],
    ["another algorithm", `sha1:${hex.slice(0, 40)}`],
    ["too short", `sha256:${hex.slice(1)}`],
    ["too long", `sha256:${hex}0`],
    ["sha512 of sha256's length", `sha512:${hex}`],
    ["upper case hexadecimal", `sha256:${hex.toUpperCase()}`],
    ["an upper case algorithm", `SHA256:${hex}`],
    ["a line break at the end", `sha256:${hex}\n`],
    ["white space before it", ` sha256:${hex}`],
    ["a path in the place of hexadecimal", `sha256:../../../../../${hex}`.slice(0, 71)],
  ])("refuses %s", (_what, text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text, "image")).toThrow(UserError);
    expect(() => parseDigest(text, "image")).toThrow(/^image '/);
  });

  test.each([undefined, null, 7, {}, [`sha256:${hex}`]])("%j is no digest", (value) => {
    expect(isDigest(value)).toBe(false);
  });

  test("takes a digest of any bytes apart and puts it together again", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom("sha256" as const, "sha512" as const), (bytes, algorithm) => {
        const digest = digestOf(bytes, algorithm);
        expect(parseDigest(digest)).toBe(digest);
        expect(`${digestAlgorithm(digest)}:${digestHex(digest)}`).toBe(digest);
        expect(digestHex(digest)).toBe(createHash(algorithm).update(bytes).digest("hex"));
      }),
    );
  });
});

test("a digester over chunks gives the digest of the whole, wherever the cuts are", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (chunks) => {
      const digester = createDigester();
      for (const chunk of chunks) digester.update(chunk);
      expect(digester.digest()).toBe(digestOf(Buffer.concat(chunks)));
    }),
  );
});
