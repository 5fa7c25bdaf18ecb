import { UserError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isDigest, parseDigest } from "./digest.ts";
import {
  formatReference,
  formatRepository,
  isWithin,
  parseReference,
  parseRepository,
  type Reference,
} from "./reference.ts";

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/);
const host = fc.oneof(
  // A last label that is a number would be read as an address.
  fc.tuple(label, fc.constantFrom("io", "example", "corp")).map((labels) => labels.join(".")),
  fc
    .tuple(fc.constantFrom("localhost", "ghcr.io", "127.0.0.1", "[::1]"), fc.integer({ min: 1, max: 65_535 }))
    .map((parts) => parts.join(":")),
);
const component = fc.stringMatching(/^[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}$/);
const name = fc.array(component, { minLength: 1, maxLength: 4 }).map((components) => components.join("/"));
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/);
const digest = fc.oneof(
  fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}` as const),
  fc.stringMatching(/^[0-9a-f]{128}$/).map((hex) => `sha512:${hex}` as const),
);
const reference = fc.record({ registry: host, name, tag, digest }, { requiredKeys: ["registry", "name"] });

describe("references", () => {
  test("read back as what was written, part by part, and are written as they were read", () => {
    fc.assert(
      fc.property(reference, (each) => {
        const text = formatReference(each as Reference);
        expect(parseReference(text)).toEqual(each);
        expect(formatReference(parseReference(text))).toBe(text);
        expect(parseRepository(formatRepository(each as Reference))).toEqual({
          registry: each.registry,
          name: each.name,
        });
      }),
    );
  });

  test("with something hostile anywhere in them are never taken for another, nor for any", () => {
    const hostile = fc.constantFrom(
      " ",
      "\n",
      "\r",
      "\0",
      "\t",
      "//",
      "/../",
      "/./",
      "@",
      "?",
      "#",
      "%2e%2e",
      "\\",
      "\u202e",
      "\u017f",
      "\u212a",
      "$(id)",
      "`",
      ";",
      "|",
      "<",
      ">",
    );
    fc.assert(
      fc.property(reference, hostile, fc.nat(), (each, bad, place) => {
        const text = formatReference(each as Reference);
        const at = place % (text.length + 1);
        const broken = `${text.slice(0, at)}${bad}${text.slice(at)}`;
        expect(() => parseReference(broken)).toThrow(expect.objectContaining({ code: "reference-invalid" }));
      }),
    );
  });

  test("of any text at all are refused by name, or are the same again once written", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom(..."aZ0.:/@-_[]sh256") }),
    );
    fc.assert(
      fc.property(text, (each) => {
        try {
          const read = parseReference(each);
          expect(parseReference(formatReference(read))).toEqual(read);
          // It goes into URLs and file names as it is.
          expect(read.name).toMatch(/^[a-z0-9][a-z0-9._/-]*$/);
          expect(`/${read.name}/`).not.toMatch(/\/\.{0,2}\//);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
          expect(error).toMatchObject({ code: "reference-invalid" });
        }
      }),
    );
  });

  test("lie within their own parents, and within nothing that only begins like them", () => {
    fc.assert(
      fc.property(reference, component, (each, more) => {
        const parent = formatRepository(each as Reference);
        const child = { registry: each.registry, name: `${each.name}/${more}` };
        expect(isWithin(child, parent)).toBe(true);
        expect(isWithin({ registry: each.registry, name: `${each.name}${more}` }, parent)).toBe(false);
      }),
    );
  });
});

describe("digests", () => {
  test("are one of two algorithms with as many digits as it has, in lower case, and nothing else", () => {
    fc.assert(
      fc.property(digest, fc.nat(), fc.constantFrom("", "0", "00", "g", "A", " ", "\n", ":"), (each, place, with_) => {
        expect(parseDigest(each)).toBe(each);
        const at = place % each.length;
        // One character replaced by none, by one that no digest has, or by more than one.
        if (with_ === "0") return;
        const other = `${each.slice(0, at)}${with_}${each.slice(at + 1)}`;
        if (other === each) return;
        expect(isDigest(other)).toBe(false);
        expect(() => parseDigest(other)).toThrow(expect.objectContaining({ code: "digest-invalid" }));
      }),
    );
    fc.assert(fc.property(fc.anything(), (value) => void expect(isDigest(value)).toBe(false)));
  });
});
