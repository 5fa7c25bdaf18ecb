import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseChallenges } from "./challenge.ts";

const plain = (header: string | string[]) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)] as const);

describe("parseChallenges", () => {
  test.each<[string | string[], (readonly [string, Record<string, string>])[]]>([
    ["", []],
    ["Basic", [["basic", {}]]],
    ['Basic realm="a"', [["basic", { realm: "a" }]]],
    [
      'Bearer realm="https://a/token",service="a",scope="repository:x:pull,push"',
      [["bearer", { realm: "https://a/token", service: "a", scope: "repository:x:pull,push" }]],
    ],
    ["bEaReR ReAlM=a , SERVICE = b", [["bearer", { realm: "a", service: "b" }]]],
    [
      'Basic realm="a", charset="UTF-8", Bearer realm="b"',
      [
        ["basic", { realm: "a", charset: "UTF-8" }],
        ["bearer", { realm: "b" }],
      ],
    ],
    [
      ['Basic realm="a"', 'Bearer realm="b"'],
      [
        ["basic", { realm: "a" }],
        ["bearer", { realm: "b" }],
      ],
    ],
    [
      "Negotiate, Bearer realm=b",
      [
        ["negotiate", {}],
        ["bearer", { realm: "b" }],
      ],
    ],
    [
      "Basic, Negotiate",
      [
        ["basic", {}],
        ["negotiate", {}],
      ],
    ],
    [
      "Negotiate a/b+c==, Basic realm=a",
      [
        ["negotiate", {}],
        ["basic", { realm: "a" }],
      ],
    ],
    [
      "NTLM YWJj, Basic realm=a",
      [
        ["ntlm", {}],
        ["basic", { realm: "a" }],
      ],
    ],
    ['Basic realm="say \\"hi\\", \\\\ there"', [["basic", { realm: 'say "hi", \\ there' }]]],
    ['Bearer realm="a", realm="b"', [["bearer", { realm: "a" }]]],
    ['Bearer realm="a" , , service="b"', [["bearer", { realm: "a", service: "b" }]]],
    ['Bearer realm="no end', [["bearer", {}]]],
    ['realm="a"', []],
    ["=, Basic", []],
  ])("%j", (header, expected) => {
    expect(plain(header)).toEqual(expected);
  });

  const token = fc.string({ unit: fc.constantFrom(..."abzAZ09-._~!"), minLength: 1, maxLength: 8 });
  const challenge = fc.tuple(
    token.map((text) => text.toLowerCase()),
    fc
      .dictionary(
        token.map((text) => text.toLowerCase()),
        fc.string({ maxLength: 12 }),
        { minKeys: 1, maxKeys: 3 },
      )
      .map((parameters) => ({ ...parameters })),
  );

  test("reads back any number of challenges in any case, with any values in their quotes", () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), fc.boolean(), (challenges, upper) => {
        const header = challenges.map(([scheme, parameters]) => {
          const list = Object.entries(parameters).map(
            ([key, value]) => `${upper ? key.toUpperCase() : key}="${value.replace(/["\\]/g, "\\$&")}"`,
          );
          return `${upper ? scheme.toUpperCase() : scheme} ${list.join(", ")}`;
        });
        expect(plain(header.join(", "))).toEqual(challenges);
        expect(plain(header)).toEqual(challenges);
      }),
    );
  });

  test("ends on any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aB ,="\\/-\t') }), (text) => {
        for (const { scheme } of parseChallenges(text)) expect(text.toLowerCase()).toContain(scheme);
      }),
    );
  });
});
