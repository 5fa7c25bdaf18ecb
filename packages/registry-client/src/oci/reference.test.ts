import { UserError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Digest } from "./digest.ts";
import {
  formatReference,
  formatRepository,
  isSameRepository,
  isWithin,
  parseReference,
  parseRepository,
  type Reference,
} from "./reference.ts";

const digest: Digest = `sha256:${"a".repeat(64)}`;

describe("parseReference", () => {
  test.each([
    ["nothing", ""],
    ["white space around", " ghcr.io/acme/shop"],
    ["white space inside", "ghcr.io/acme/sh op"],
    ["a line break", "ghcr.io/acme/shop\n"],
    ["a letter that is a k only in lower case", "\u212adocker.io/acme/shop"],
    ["a scheme", "https://ghcr.io/acme/shop"],
    ["credentials", "user:secret@ghcr.io/acme/shop"],
    ["an upper case name", "ghcr.io/Acme/shop"],
    ["a parent in the path", "ghcr.io/acme/../shop"],
    ["a dot in the path", "ghcr.io/./shop"],
    ["an empty component", "ghcr.io/acme//shop"],
    ["a host without a name", "ghcr.io/"],
    ["a slash at the end", "ghcr.io/acme/"],
    ["an empty tag", "ghcr.io/acme/shop:"],
    ["a tag that starts with a dash", "ghcr.io/acme/shop:-v"],
    ["a tag that is too long", `ghcr.io/acme/shop:${"t".repeat(129)}`],
    ["two tags", "ghcr.io/acme/shop:a:b"],
    ["an empty digest", "ghcr.io/acme/shop@"],
    ["half a digest", `ghcr.io/acme/shop@${digest.slice(0, -1)}`],
    ["two digests", `ghcr.io/acme/shop@${digest}@${digest}`],
    ["a query", "ghcr.io/acme/shop?x=y"],
    ["a fragment", "ghcr.io/acme/shop#x"],
    ["percent encoding", "ghcr.io/acme%2fshop"],
    ["a backslash", "ghcr.io\\acme/shop"],
    ["an empty label in the host", "ghcr..io/acme/shop"],
    ["a host that ends with a dot", "ghcr.io./acme/shop"],
    ["a host that starts with a dash", "-ghcr.io/acme/shop"],
    ["a port beyond 65535", "ghcr.io:70000/acme/shop"],
    ["an address in hexadecimal", "0x7f.1/acme/shop"],
    ["an address in octal", "0177.0.0.1/acme/shop"],
    ["a name beyond 255 characters", `ghcr.io/${"a".repeat(256)}`],
    ["full-width letters", "ghcr.io/ａcme/shop"],
  ])("refuses %s", (_what, text) => {
    expect(() => parseReference(text)).toThrow(UserError);
  });

  test.each<[string, Reference]>([
    ["alpine", { registry: "docker.io", name: "library/alpine" }],
    ["alpine:3.20", { registry: "docker.io", name: "library/alpine", tag: "3.20" }],
    ["acme/shop", { registry: "docker.io", name: "acme/shop" }],
    ["docker.io/alpine", { registry: "docker.io", name: "library/alpine" }],
    ["index.docker.io/library/alpine", { registry: "docker.io", name: "library/alpine" }],
    ["registry-1.docker.io/acme/shop", { registry: "docker.io", name: "acme/shop" }],
    ["localhost/shop", { registry: "localhost", name: "shop" }],
    ["localhost:5000/shop", { registry: "localhost:5000", name: "shop" }],
    ["localhost:5000", { registry: "docker.io", name: "library/localhost", tag: "5000" }],
    ["127.0.0.1:5000/a/b/c:x", { registry: "127.0.0.1:5000", name: "a/b/c", tag: "x" }],
    ["[::1]:5000/shop", { registry: "[::1]:5000", name: "shop" }],
    ["GHCR.io/acme/shop", { registry: "ghcr.io", name: "acme/shop" }],
    [`ghcr.io/acme/shop@${digest}`, { registry: "ghcr.io", name: "acme/shop", digest }],
    [`ghcr.io/acme/shop:v1@${digest}`, { registry: "ghcr.io", name: "acme/shop", tag: "v1", digest }],
    ["ghcr.io/a__b/c--d.e_f", { registry: "ghcr.io", name: "a__b/c--d.e_f" }],
  ])("%s", (text, expected) => {
    expect(parseReference(text)).toEqual(expected);
  });

  const text = (characters: string, minLength: number, maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
  const alphanumeric = "abcxyz019";
  const component = fc
    .array(text(alphanumeric, 1, 5), { minLength: 1, maxLength: 3 })
    .chain((words) => fc.constantFrom(".", "_", "__", "-", "--").map((separator) => words.join(separator)));
  const reference: fc.Arbitrary<Reference> = fc.record(
    {
      registry: fc.constantFrom(
        "localhost",
        "localhost:5000",
        "ghcr.io",
        "127.0.0.1:80",
        "[::1]:5000",
        "r-1.example.com:8443",
      ),
      name: fc.array(component, { minLength: 1, maxLength: 4 }).map((components) => components.join("/")),
      tag: fc.tuple(text("aZ0_", 1, 1), text("aZ0_.-", 0, 127)).map(([first, rest]) => first + rest),
      digest: text("0123456789abcdef", 64, 64).map((hex): Digest => `sha256:${hex}`),
    },
    { requiredKeys: ["registry", "name"] },
  );

  test("reads back whatever it writes", () => {
    fc.assert(
      fc.property(reference, (each) => {
        expect(parseReference(formatReference(each))).toEqual(each);
      }),
    );
  });

  test("of any text gives a reference that reads back to itself, or a UserError", () => {
    const anything = fc.oneof(fc.string({ unit: "binary" }), text(`${alphanumeric}AZ.:/@-_[]`, 0, 40));
    fc.assert(
      fc.property(anything, (each) => {
        let parsed: Reference;
        try {
          parsed = parseReference(each);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
          return;
        }
        expect(parseReference(formatReference(parsed))).toEqual(parsed);
        // The host of the URL that a client makes of it is the host that was written: nothing in the text can lead
        // elsewhere.
        const url = new URL(`https://${parsed.registry}/v2/${parsed.name}/`);
        expect(url.pathname).toBe(`/v2/${parsed.name}/`);
        expect(url.username).toBe("");
        expect(url.search + url.hash).toBe("");
      }),
      { numRuns: 1000 },
    );
  });
});

test("parseRepository refuses a tag and a digest", () => {
  expect(() => parseRepository("ghcr.io/acme/shop:v1", "to")).toThrow(
    /^to 'ghcr.io\/acme\/shop:v1' must name a repository alone/,
  );
  expect(() => parseRepository(`ghcr.io/acme/shop@${digest}`)).toThrow(UserError);
  expect(formatRepository(parseRepository("ghcr.io/acme/shop"))).toBe("ghcr.io/acme/shop");
});

test("two repositories are the same by host and name", () => {
  expect(isSameRepository(parseReference("acme/shop:v1"), parseReference("docker.io/acme/shop"))).toBe(true);
  expect(isSameRepository(parseReference("ghcr.io/acme/shop"), parseReference("ghcr.io/acme/shop2"))).toBe(false);
  expect(isSameRepository(parseReference("ghcr.io/acme/shop"), parseReference("quay.io/acme/shop"))).toBe(false);
});

test.each([
  ["host.io/vetted/shop", "host.io/vetted", true],
  ["host.io/vetted/shop", "host.io/vetted/", true],
  ["host.io/vetted", "host.io/vetted", true],
  ["host.io/vetted/shop", "host.io", true],
  ["host.io/vetted2/shop", "host.io/vetted", false],
  ["host.io/vetted", "host.io/vetted/shop", false],
  ["host.io.evil.com/vetted/shop", "host.io", false],
  ["host.io/vetted/shop", "", false],
  ["host.io/vetted/shop", "/", false],
])("%s within '%s': %s", (repository, prefix, expected) => {
  expect(isWithin(parseReference(repository), prefix)).toBe(expected);
});
