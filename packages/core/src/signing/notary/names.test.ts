import { describe, expect, test } from "vitest";
import { formatIdentity, parseIdentity } from "./names.ts";

const nameOf = (text: string): string => {
  const parsed = parseIdentity(text);
  return "name" in parsed ? parsed.name : `problem: ${parsed.problem}`;
};

describe("an identity that is none", () => {
  test.each([
    ["everybody", "*", "expected 'x509.subject:"],
    ["another kind of identity", "x509.san: a", "expected 'x509.subject:"],
    ["nothing", "x509.subject:", "'' is not ATTRIBUTE=VALUE"],
    ["a value without its attribute", "x509.subject: C=DE, ST=B, acme", "'acme' is not ATTRIBUTE=VALUE"],
    ["a comma that stands for itself", "x509.subject: C=DE, ST=B, O=Acme, Inc.", "'Inc.' is not ATTRIBUTE=VALUE"],
    ["an empty place", "x509.subject: C=DE,, ST=B, O=acme", "'' is not ATTRIBUTE=VALUE"],
    ["a comma at its end", "x509.subject: C=DE, ST=B, O=acme,", "'' is not ATTRIBUTE=VALUE"],
    ["an empty value", "x509.subject: C=DE, ST=B, O=", "the value of O"],
    ["bytes for a value", "x509.subject: C=DE, ST=B, O=#0c01", "the value of O"],
    ["a backslash before nothing special", "x509.subject: C=DE, ST=B, O=a\\b", "the value of O"],
    ["a character that nobody sees", "x509.subject: C=DE, ST=B, O=ac\u200bme", "the value of O"],
    ["an attribute in lower case", "x509.subject: C=DE, ST=B, o=acme", "'o' is no attribute"],
    ["a name of the prototype's", "x509.subject: C=DE, ST=B, constructor=acme", "'constructor' is no attribute"],
    ["one twice by its other name", "x509.subject: C=DE, ST=B, S=B, O=acme", "ST is there twice"],
    ["less than notation takes", "x509.subject: CN=base", "C, ST, O: missing"],
  ])("%s", (_what, text, problem) => {
    expect(nameOf(text)).toContain(`problem: ${problem}`);
  });
});

describe("an identity", () => {
  test("is the same in whatever order and spacing", () => {
    const name = "C=DE, ST=Berlin, O=acme, OU=path, CN=base";
    for (const text of [
      name,
      "CN=base,OU=path,O=acme,S=Berlin,C=DE",
      "  OU = path ,CN= base, O=acme , ST=Berlin, C=DE  ",
    ])
      expect(nameOf(`x509.subject: ${text}`)).toBe(name);
  });

  test.each([
    "C=DE, ST=Berlin, O=Acme\\, Inc.",
    'C=DE, ST=Berlin, O=\\"A\\" \\+ B\\; \\<c\\>',
    "C=DE, ST=Berlin, O=a\\\\b",
    "C=DE, ST=Berlin, O=\\#1",
    "C=DE, ST=Berlin, O=\\ a\\ ",
    "C=DE, ST=Berlin, O=a=b",
    "C=DE, ST=Berlin, O=Москва",
  ])("is written as it is read: %s", (name) => {
    expect(nameOf(formatIdentity(name))).toBe(name);
  });
});
