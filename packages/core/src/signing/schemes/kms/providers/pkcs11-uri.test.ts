import { describe, expect, test } from "vitest";
import { parsePkcs11Uri } from "./pkcs11-uri.ts";

const module = "?module-path=/usr/lib/module.so";

describe("a PKCS#11 URI is refused", () => {
  test.each<[what: string, uri: string, message: RegExp]>([
    ["without a token", `pkcs11:id=%01${module}`, /names no token/],
    ["with an empty token", `pkcs11:token=;id=%01${module}`, /names no token/],
    ["by a label alone", `pkcs11:token=acme;object=build${module}`, /a label alone names no key pair/],
    ["with an empty id", `pkcs11:token=acme;id=${module}`, /a label alone names no key pair/],
    ["of a public key", `pkcs11:token=acme;id=%01;type=public${module}`, /a private key is wanted/],
    ["without a module", "pkcs11:token=acme;id=%01", /no module-path/],
    ["with a module of the working directory", "pkcs11:token=acme;id=%01?module-path=m.so", /no absolute path/],
    [
      "with an attribute that it does not know",
      `pkcs11:token=acme;slot-id=7;id=%01${module}`,
      /'slot-id' is not among/,
    ],
    ["with a setting that it does not know", `pkcs11:token=acme;id=%01${module}&x-y=1`, /'x-y' is not among/],
    ["with an attribute without a value", `pkcs11:token=acme;id${module}`, /'id' is not among/],
    ["with an attribute twice", `pkcs11:token=acme;id=%01;id=%02${module}`, /it has 'id' twice/],
    ["with two queries", `pkcs11:token=acme;id=%01${module}?module-path=/other.so`, /more than one '\?'/],
    ["with half an escape", `pkcs11:token=acme;id=%1${module}`, /'id' is not percent-encoded/],
    ["with a blank in it", `pkcs11:token=ac me;id=%01${module}`, /'token' is not percent-encoded/],
    ["of a token that would be an option", `pkcs11:token=--pin;id=%01${module}`, /'token' is no name/],
    ["of a token that is no text", `pkcs11:token=%ff;id=%01${module}`, /'token' is no name/],
    ["of a token with a line break", `pkcs11:token=a%0ab;id=%01${module}`, /'token' is no name/],
    ["with the PIN in it", `pkcs11:token=acme;id=%01${module}&pin-value=4321`, /has the PIN in its URI/],
    ["with a place of the PIN in it", `pkcs11:token=acme;id=%01${module}&pin-source=/p`, /has the PIN in its URI/],
  ])("%s", (_what, uri, message) => {
    const parse = (): unknown => parsePkcs11Uri(uri, undefined);
    expect(parse).toThrow(message);
    expect(parse).not.toThrow("4321");
  });
});

test("a PKCS#11 URI names a token, a key pair and a module", () => {
  expect(parsePkcs11Uri(`pkcs11:token=Acme%20Inc;id=%01a%FF;object=build;type=private${module}`, "/other.so")).toEqual({
    token: "Acme Inc",
    id: "0161ff",
    object: "build",
    modulePath: "/usr/lib/module.so",
  });
  expect(parsePkcs11Uri("pkcs11:token=acme;id=%01", "/other.so")).toEqual({
    token: "acme",
    id: "01",
    modulePath: "/other.so",
  });
});
