import { describe, expect, test } from "vitest";
import { decodeSnappy } from "./snappy.ts";

const most = 100_000;
const bytes = (...values: (number | string)[]): Uint8Array =>
  Buffer.concat(values.map((value) => (typeof value === "string" ? Buffer.from(value) : Buffer.from([value]))));
const decode = (...values: (number | string)[]): string | undefined => {
  const decoded = decodeSnappy(bytes(...values), most);
  return decoded === undefined ? undefined : Buffer.from(decoded).toString("latin1");
};

test("what another program has compressed (cramjam 2.14, with Rust's snap)", () => {
  const block =
    "lgTwPnsibWVkaWFUeXBlIjoiYXBwbGljYXRpb24vdm5kLmRldi5zaWdzdG9yZS5idW5kbGUudjAuMytqc29uIiwiYQE0CGJjZP4EAP4EAG4EAPBSIiwiYiI6IjAxMjM0NTY3ODk6Ozw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2BhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5MDH+SgD+SgBGSgAcIiwiYyI6Inj+AQAFAQQifQ==";
  const letters = String.fromCharCode(...Array.from({ length: 74 }, (_, index) => 48 + index)).repeat(3);
  const decoded = decodeSnappy(Buffer.from(block, "base64"), most);
  expect(Buffer.from(decoded ?? []).toString()).toBe(
    `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","a":"${"abcd".repeat(40)}","b":"${letters}","c":"${"x".repeat(70)}"}`,
  );
  expect(decodeSnappy(Buffer.from(block, "base64"), 533)).toBeUndefined();
});

describe("each kind of element", () => {
  test.each<[string, (number | string)[], string]>([
    ["nothing", [0], ""],
    ["a literal", [3, 0x08, "abc"], "abc"],
    ["a literal with its length in a byte", [3, 0xf0, 2, "abc"], "abc"],
    ["a literal with its length in two", [3, 0xf4, 2, 0, "abc"], "abc"],
    ["a literal with its length in four", [3, 0xfc, 2, 0, 0, 0, "abc"], "abc"],
    ["a copy with an offset of 11 bits", [8, 0x0c, "abcd", 0x01, 4], "abcdabcd"],
    ["a copy with an offset of 16 bits", [6, 0x0c, "abcd", 0x06, 4, 0], "abcdab"],
    ["a copy with an offset of 32 bits", [6, 0x0c, "abcd", 0x07, 4, 0, 0, 0], "abcdab"],
    ["a copy of what it writes", [5, 0x00, "a", 0x01, 1], "aaaaa"],
  ])("%s", (_what, values, text) => expect(decode(...values)).toBe(text));
});

describe("what is none", () => {
  test.each<[string, (number | string)[]]>([
    ["no length", []],
    ["a length without its end", [0x80, 0x80, 0x80, 0x80, 0x80, 0]],
    ["a length of more than 32 bits", [0xff, 0xff, 0xff, 0xff, 0x1f]],
    ["a length over what is taken", [0xa1, 0x8d, 0x06]],
    ["fewer bytes than it says", [4, 0x08, "abc"]],
    ["more bytes than it says", [2, 0x08, "abc"]],
    ["a literal that ends early", [3, 0x08, "ab"]],
    ["a literal's length that ends early", [3, 0xf4, 2]],
    ["a copy from before the beginning", [8, 0x0c, "abcd", 0x01, 5]],
    ["a copy from where it is", [8, 0x0c, "abcd", 0x01, 0]],
    ["a copy over the end", [7, 0x0c, "abcd", 0x01, 4]],
    ["a copy without its offset", [8, 0x0c, "abcd", 0x02, 4]],
  ])("%s", (_what, values) => expect(decode(...values)).toBeUndefined());
});
