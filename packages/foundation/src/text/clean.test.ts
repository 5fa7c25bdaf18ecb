import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cleanLine, cleanStrings, cleanText, cut, hideTokens } from "./clean.ts";

describe("one line", () => {
  test.each([
    ["C0", "a\u0000b\u0008c", "a\ufffdb\ufffdc"],
    ["DEL and C1", "a\u007fb\u009bc", "a\ufffdb\ufffdc"],
    ["ends of lines, of every kind", "a\r\nb\u0085c\u2028d\u2029e\vf\fg\th", "a b c d e f g h"],
    ["bidirectional controls", "a\u202egpj.exe\u2066b\u061cc", "a\ufffdgpj.exe\ufffdb\ufffdc"],
    ["zero width", "a\u200bb\u200dc\ufeffd\u2060e\u00adf", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"],
    ["what Unicode calls ignorable", "a\u3164b\u115fc\u{e0041}d\u{e0100}e", "a\ufffdb\ufffdc\ufffdd\ufffde"],
    ["half a pair", "a\ud800b\udc00c", "a\ufffdb\ufffdc"],
    [
      "terminals' sequences",
      "a\u001b[31mb\u001b]8;;https://x\u0007c\u001b]0;t\u001b\\d\u001bPq\u001b\\e\u001b(Bf",
      "abcdef",
    ],
    ["lines of plain text, as often as they end", "a\n\n\nb\nc", "a b c"],
  ])("without %s", (_kind, text, expected) => {
    expect(cleanLine(text)).toBe(expected);
  });

  test.each(["plain", "ümläut", "日本語", "😀", "⚠️", "a  b", "C:\\\\x", "<b>", "%0A"])("%j stays as it is", (text) => {
    expect(cleanLine(text)).toBe(text);
  });

  test("is cut, never inside a character", () => {
    expect(cleanLine("x".repeat(500), 10)).toBe(`${"x".repeat(10)}…`);
    expect(cut("a😀", 2)).toBe("a…");
    expect(cut("a😀", 3)).toBe("a😀");
  });

  test("has nothing unfit in it, whatever it was made of, and is the same when cleaned again", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.constantFrom("", "\u001b[", "\u001b]", "\u0085", "\ud800"),
        (text, more) => {
          const clean = cleanLine(`${text}${more}${text}`);
          expect(clean).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
          expect(cleanLine(clean)).toBe(clean);
        },
      ),
    );
  });
});

test("a text keeps its lines, and gets no more than they are", () => {
  expect(cleanText("a\r\n  b\u0085c\td\n")).toBe("a\n  b\nc d\n");
});

test("plain text stays as it is, and one character of it that is not plain is cleaned as in any other", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), fc.nat(), (text, place) => {
      expect(cleanText(text)).toBe(text);
      const at = place % (text.length + 1);
      const put = (unfit: string): string => text.slice(0, at) + unfit + text.slice(at);
      expect(cleanText(put("\u202e"))).toBe(put("\ufffd"));
      expect(cleanText(put("\t"))).toBe(put(" "));
      expect(cleanLine(put("\u0007"))).toBe(put("\ufffd"));
    }),
  );
});

test("each control alone is seen, at the ends of what is plain as well", () => {
  const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).filter((each) =>
    /\p{Cc}/u.test(each),
  );
  expect(controls).toHaveLength(65);
  for (const each of controls) expect(cleanLine(`a${each}b`), JSON.stringify(each)).toMatch(/^a[ \ufffd]?b?$/);
  expect(cleanText("a\u007fb")).toBe("a\ufffdb");
  expect(cleanText("a\u0000b")).toBe("a\ufffdb");
});

test("all of a document is cleaned, the names of its fields as well", () => {
  expect(cleanStrings({ "a\u0085": ["x\u202e", 1, null, { b: "\u0007" }] })).toEqual({
    "a ": ["x\ufffd", 1, null, { b: "\ufffd" }],
  });
});

// Whoever began anew at each of them would take hours, and the test its time limit.
test.each([
  ["\u001b[", ""],
  ["\u001b]", ""],
  ["\u001b[0;", "0;".repeat(500_000)],
  ["\u001b ", ""],
  ["\t", " "],
  ["\u200b", "\ufffd".repeat(500_000)],
])("half a million times %j takes no longer than its length", (part, clean) => {
  // Not by `toBe`: what differs would be shown whole.
  expect(cleanLine(part.repeat(500_000)) === clean).toBe(true);
});

describe("hideTokens", () => {
  const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl-_x";
  test.each([
    [`{"token":"${token}"}`, '{"token":"***"}'],
    [`Bearer ${token}, and again ${token}`, "Bearer ***, and again ***"],
    [token.slice(0, 30), "***"],
    ["eyJ is how they begin", "eyJ is how they begin"],
  ])("%s", (text, hidden) => expect(hideTokens(text)).toBe(hidden));
});
