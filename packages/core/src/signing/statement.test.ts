import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import {
  buildStatement,
  buildSubjects,
  encodeStatement,
  isDigestIn,
  namesSubject,
  parseStatement,
} from "./statement.ts";

const repository = { registry: "registry.example", name: "quarantine/shop" };
const image = digestOf("image");
const child = digestOf("child");
const hex = image.slice("sha256:".length);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const valid = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ name: "shop", digest: { sha256: hex } }],
  predicateType: "https://example.com/p/v1",
  predicate: {},
};
const changed = (change: object): Uint8Array => bytes(JSON.stringify({ ...valid, ...change }));

describe("parseStatement refuses", () => {
  test.each<[string, Uint8Array]>([
    ["nothing", bytes("")],
    ["no JSON", bytes("{")],
    [
      "a string that is not UTF-8",
      new Uint8Array(Buffer.from(JSON.stringify({ ...valid, predicateType: "\u00ff" }), "latin1")),
    ],
    ["a byte order mark", bytes(`\ufeff${JSON.stringify(valid)}`)],
    ["a list", bytes("[]")],
    ["null", bytes("null")],
    ["no type", changed({ _type: undefined })],
    ["an unknown type", changed({ _type: "https://in-toto.io/Statement/v2" })],
    ["a type that only starts well", changed({ _type: "https://in-toto.io/Statement/v1.evil" })],
    ["no subject", changed({ subject: undefined })],
    ["an empty list of subjects", changed({ subject: [] })],
    ["a subject without a digest", changed({ subject: [{ name: "shop" }] })],
    ["a subject with an empty set of digests", changed({ subject: [{ name: "shop", digest: {} }] })],
    ["a digest in upper case", changed({ subject: [{ name: "shop", digest: { sha256: hex.toUpperCase() } }] })],
    ["a digest with its algorithm in it", changed({ subject: [{ name: "shop", digest: { sha256: image } }] })],
    ["one good subject and a bad one", changed({ subject: [...valid.subject, { name: "shop" }] })],
    ["a subject twice", changed({ subject: [...valid.subject, { name: "another name", digest: { sha256: hex } }] })],
    ["no predicate type", changed({ predicateType: "" })],
    ["no predicate", changed({ predicate: undefined })],
    ["a list as predicate", changed({ predicate: [] })],
    [
      "subject twice in one object",
      bytes(JSON.stringify(valid).replace('"subject"', '"subject":[{"name":"x","digest":{"sha256":"00"}}],"subject"')),
    ],
    [
      "a key twice deep inside",
      bytes(JSON.stringify(valid).replace('"predicate":{}', '"predicate":{"a":[{"b":1,"b":2}]}')),
    ],
  ])("%s", (_name, payload) => {
    expect(() => parseStatement(payload)).toThrow(UserError);
    expect(() => parseStatement(payload)).toThrow("not an in-toto statement");
  });
});

test("what is built is read again, and names its subjects", () => {
  const statement = buildStatement(buildSubjects(repository, [image, child, image]), "https://example.com/p/v1", {
    found: 1,
  });
  expect(parseStatement(encodeStatement(statement))).toEqual(statement);
  expect(statement.subject.map((subject) => subject.name)).toEqual([
    "registry.example/quarantine/shop",
    "registry.example/quarantine/shop",
  ]);
  expect(namesSubject(statement, image)).toBe(true);
  expect(namesSubject(statement, child)).toBe(true);
  expect(namesSubject(statement, digestOf("another"))).toBe(false);
  expect(encodeStatement(statement)).toEqual(encodeStatement(structuredClone(statement)));
});

test("version 0.1, which cosign writes, is read and kept", () => {
  expect(parseStatement(changed({ _type: "https://in-toto.io/Statement/v0.1" }))._type).toBe(
    "https://in-toto.io/Statement/v0.1",
  );
});

test("a digest counts under its own algorithm alone", () => {
  const sha512 = digestOf("image", "sha512");
  expect(isDigestIn({ sha256: hex }, image)).toBe(true);
  expect(isDigestIn({ sha512: hex }, image)).toBe(false);
  expect(isDigestIn({ sha512: sha512.slice("sha512:".length) }, sha512)).toBe(true);
  expect(isDigestIn({}, image)).toBe(false);
  expect(isDigestIn(Object.create({ sha256: hex }) as Record<string, string>, image)).toBe(false);
});

test("what could not be read is not built", () => {
  expect(() => buildStatement([], "https://example.com/p/v1", {})).toThrow("not an in-toto statement");
});
