import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import { proposeWithout } from "./propose-exceptions.ts";

const entry = (thing: string, heading = "") =>
  `${heading}  - rule: scan.severity
    vulnerability: ${thing}
    reason: |
      not reachable

      - really
    owner: team
    expires: 2026-06-01
`;
const head = "# The company's policy.\nversion: 1\nname: acme\nserial: 7 # rises\nscan: { failOn: high }\n";
const tail = "\n# Who signs.\nsigners: {}\n";
const write = (...entries: string[]) => `${head}exceptions:\n${entries.join("")}${tail}`;
const things = (text: string) =>
  parsePolicy(new TextEncoder().encode(text), "p.yaml").exceptions.map(({ vulnerability }) => vulnerability);

describe("what can't be taken out line by line is refused", () => {
  test.each([
    [
      "on one line",
      `${head}exceptions: [{ rule: scan.severity, vulnerability: A, reason: r, owner: o, expires: 2026-06-01 }]\n`,
    ],
    [
      "two on one line",
      `${head}exceptions:\n  [\n    { rule: scan.severity, vulnerability: A, reason: r, owner: o, expires: 2026-06-01 },\n  ]\n`,
    ],
    ["the serial is not a number in place", write(entry("A")).replace("serial: 7 # rises", "serial:\n  7")],
  ])("%s", (_name, text) => {
    expect(() => proposeWithout(text, new Set([0]), "p.yaml")).toThrow(
      expect.objectContaining({ code: "policy-invalid", message: expect.stringContaining("p.yaml") }),
    );
  });

  test("and so is what is no policy", () => {
    expect(() => proposeWithout("version: 1\n", new Set([0]), "p.yaml")).toThrow("p.yaml");
  });
});

describe("without some of them", () => {
  const headed = entry("B", "  # For the till.\n  # Twice a year.\n");

  test.each([
    ["the first", [0], write(headed, entry("C"))],
    ["one between, with its comment", [1], write(entry("A"), entry("C"))],
    ["the last", [2], write(entry("A"), headed)],
    ["all", [0, 1, 2], `${head}exceptions: []\n${tail}`],
  ])("%s", (_name, removed, wanted) => {
    const text = write(entry("A"), headed, entry("C"));
    expect(proposeWithout(text, new Set(removed), "p.yaml")).toBe(wanted.replace("serial: 7 #", "serial: 8 #"));
  });

  test("a note beside the key stays where all go", () => {
    const text = write(entry("A")).replace("exceptions:", "exceptions: # none is forever");
    expect(proposeWithout(text, new Set([0]), "p.yaml")).toContain("exceptions: [] # none is forever\n");
  });

  test("an entry in braces on a line of its own", () => {
    const braces = "  - { rule: scan.severity, vulnerability: Z, reason: r, owner: o, expires: 2026-06-01 }\n";
    expect(things(proposeWithout(write(braces, entry("A")), new Set([0]), "p.yaml"))).toEqual(["A"]);
  });

  test("lines that end as Windows ends them", () => {
    const text = write(entry("A"), entry("B")).replaceAll("\n", "\r\n");
    expect(things(proposeWithout(text, new Set([1]), "p.yaml"))).toEqual(["A"]);
  });
});
