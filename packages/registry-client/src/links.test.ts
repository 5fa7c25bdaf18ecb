import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findNextLink, parseLinkHeader } from "./links.ts";

describe("findNextLink", () => {
  test.each<[string | string[] | undefined, string | undefined]>([
    [undefined, undefined],
    ["", undefined],
    ['</v2/a/tags/list?n=2&last=b>; rel="next"', "/v2/a/tags/list?n=2&last=b"],
    ["</next>; rel=next", "/next"],
    ["</next>;REL=Next", "/next"],
    ['</a>; rel="prev", </b>; rel="next"', "/b"],
    [['</a>; rel="prev"', '</b>; rel="next"'], "/b"],
    ['</b>; rel="last next"', "/b"],
    ['</b>; title="a, b; c"; rel="next"', "/b"],
    ['</b>; title="a \\" >"; rel="next"', "/b"],
    ["</a,b;c>; rel=next", "/a,b;c"],
    ["</b>; rel=prev; rel=next", undefined],
    ["</b>; rel=nextish", undefined],
    ["</b>", undefined],
    ["<>; rel=next", undefined],
    ["/b; rel=next", undefined],
    ["</b; rel=next", undefined],
    ['</b>; rel="next', undefined],
  ])("%j → %j", (header, expected) => {
    expect(findNextLink(header)).toBe(expected);
  });
});

describe("parseLinkHeader", () => {
  const target = fc.webPath().filter((path) => path !== "");
  const name = fc.constantFrom("rel", "title", "type", "x-y");
  const value = fc.string({ maxLength: 12 });
  const link = fc.record({ target, parameters: fc.dictionary(name, value, { maxKeys: 3 }) });

  test("reads back links with any values in their quotes", () => {
    fc.assert(
      fc.property(fc.array(link, { maxLength: 4 }), (links) => {
        const header = links
          .map((each) => {
            const parameters = Object.entries(each.parameters).map(
              ([key, text]) => `; ${key}="${text.replace(/["\\]/g, "\\$&")}"`,
            );
            return `<${each.target}>${parameters.join("")}`;
          })
          .join(", ");
        const parsed = parseLinkHeader(header).map((each) => ({
          target: each.target,
          parameters: Object.fromEntries(each.parameters),
        }));
        expect(parsed).toEqual(links.map((each) => ({ ...each, parameters: { ...each.parameters } })));
      }),
    );
  });

  test("ends on any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'<>;=,"\\ ab') }), (text) => {
        for (const each of parseLinkHeader(text)) expect(text).toContain(each.target);
      }),
    );
  });
});
