import { fakeDigest } from "@goldenpath/testing/policy";
import { expectPlaced, parseText, sampleWith } from "@goldenpath/testing/policy-refusal";
import { expect, test } from "vitest";

const [sample] = parseText(sampleWith("", "")).bases;
if (sample?.digests[0] === undefined) throw new Error("the sample has no base");
const { image, digests } = sample;
const after = "build:\n  strategies";

const base = (name: string, fields: string): string => `  - { name: ${name}, ${fields} }\n`;
const listed = (listedAt: string, ...versions: string[]): string =>
  `image: ${listedAt}, digests: [${versions.join(", ")}]`;

test.each<[what: string, ...bases: string[]]>([
  ["of one repository", base("wide", `${listed(image, ...digests)}, mayChange: [/etc]`)],
  ["in a repository of its own", base("wide", `${listed("a.example/other", ...digests)}, mayChange: [/etc]`)],
  [
    "among others",
    base("wide", `${listed(image, fakeDigest("e"), ...digests)}, mayChange: [/etc]`),
    base("third", listed("a.example/third", fakeDigest("d"))),
  ],
])("a version of two bases, of which one lets more be changed, is refused: %s", (what, ...bases) => {
  const message =
    "bases[1]: its `mayChange` is not that of base 'golden-run', and both have a version that is the same image";
  expectPlaced([what, after, `${bases.join("")}${after}`, "{ name: wide", message]);
});

test.each<[what: string, ...bases: string[]]>([
  ["without anything that may be changed", base("twin", listed(image, ...digests))],
  ["no version of both", base("wide", `${listed(image, fakeDigest("e"))}, mayChange: [/etc]`)],
  [
    "the same in another order",
    base("one", `${listed("a.example/b", fakeDigest("e"))}, mayChange: [/etc, /opt]`),
    base("two", `${listed("a.example/b", fakeDigest("e"))}, mayChange: [/opt, /etc]`),
  ],
])("its twin is read: %s", (_what, ...bases) => {
  expect(parseText(sampleWith(after, `${bases.join("")}${after}`)).bases).toHaveLength(1 + bases.length);
});
