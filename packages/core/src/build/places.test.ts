import { describe, expect, it } from "vitest";
import { findPlaces } from "./places.ts";

const find = (...lines: string[]) =>
  findPlaces({
    ...{ lines, directory: "/workspace", inCheckout: (place) => ({ ...place, file: `shop/${place.file}` }) },
    isFile: (path) => !path.includes("missing") && !path.startsWith("node_modules/"),
  });

describe("a place in the application", () => {
  it.each<[string, string[], string, number, string]>([
    ["gcc", ["src/main.c:3:5: error: expected ';'"], "src/main.c", 3, "expected ';'"],
    ["clang", ["./src/main.c:3:10: fatal error: 'x.h' file not found"], "src/main.c", 3, "'x.h' file not found"],
    ["Go", ["# example", "./main.go:5:2: undefined: x"], "main.go", 5, "undefined: x"],
    ["TypeScript", ["src/a.ts(3,5): error TS1005: ';' expected."], "src/a.ts", 3, "TS1005: ';' expected."],
    ["TypeScript for people", ["src/a.ts:3:5 - error TS1005: x"], "src/a.ts", 3, "TS1005: x"],
    ["C#", ["/workspace/A.cs(7,1): error CS1002: ; expected [/workspace/a.csproj]"], "A.cs", 7, "CS1002: ; expected"],
    ["dash", ['tools/x.sh: 4: Syntax error: "fi" unexpected'], "tools/x.sh", 4, 'Syntax error: "fi" unexpected'],
    ["bash", ["x.sh: line 4: syntax error near `fi'"], "x.sh", 4, "syntax error near `fi'"],
    ["Ruby", ["app.rb:3: syntax error, unexpected end"], "app.rb", 3, "syntax error, unexpected end"],
    [
      "PHP",
      ["PHP Parse error:  syntax error, unexpected '}' in /workspace/index.php on line 3"],
      "index.php",
      3,
      "syntax error, unexpected '}'",
    ],
    ["nginx", ['nginx: [emerg] unknown directive "x" in nginx.conf:2'], "nginx.conf", 2, 'unknown directive "x"'],
    [
      "Python",
      ['  File "/workspace/app.py", line 2', "    if x", "       ^", "SyntaxError: expected ':'"],
      "app.py",
      2,
      "SyntaxError: expected ':'",
    ],
    [
      "Node.js",
      ["/workspace/server.js:2", "const = 1", "      ^", "", "SyntaxError: Unexpected token '='"],
      "server.js",
      2,
      "SyntaxError: Unexpected token '='",
    ],
    [
      "Rust",
      ["error[E0425]: cannot find value `x`", " --> src/main.rs:2:5"],
      "src/main.rs",
      2,
      "error[E0425]: cannot find value `x`",
    ],
  ])("is read of %s", (_what, lines, file, line, message) => {
    expect(find("noise", ...lines, ...lines)).toEqual([{ file: `shop/${file}`, line, message }]);
  });

  it.each([
    "missing.c:1:1: error: x",
    "/usr/include/stdio.h:1:1: error: x",
    "../other/a.c:1:1: error: x",
    "/workspace/../etc/a.c:1:1: error: x",
    "src/main.c:3:5: warning: unused",
    "node_modules/a/index.js:3",
    "server.js:3",
    "12:30:01: 7: started",
    `${"a".repeat(2000)}.c:1:1: error: x`,
  ])("is none in %s", (line) => {
    expect(find(line)).toEqual([]);
  });

  it("is one of at most 20, however many a build names", () => {
    expect(find(...Array.from({ length: 50 }, (_, index) => `a.c:${index + 1}:1: error: x`))).toHaveLength(20);
  });
});
