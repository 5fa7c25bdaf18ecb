import { UserError } from "@goldenpath/foundation/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Credential,
  encodeBasic,
  findAuth,
  findHelper,
  helperServer,
  parseDockerConfig,
  secretsOf,
} from "./docker-config.ts";
import { parseReference } from "./oci/reference.ts";

const file = "/home/dev/.docker/config.json";
const config = (value: unknown) => parseDockerConfig(JSON.stringify(value), file);
const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
const find = (auths: unknown, repository: string) => findAuth(config({ auths }), parseReference(repository));

describe("parseDockerConfig", () => {
  test.each([
    ["what is not JSON", '{"auths": {"ghcr.io": {"auth": "c2VjcmV0OnNlY3JldA=='],
    ["a list", "[]"],
    ["auths that are a list", '{"auths": []}'],
    ["lists in lists", `{"auths": ${"[".repeat(500_000)}`],
    ["a store that is not text", '{"credsStore": true}'],
  ])("refuses %s, names the file and repeats no secret", (_what, text) => {
    let caught: unknown;
    try {
      parseDockerConfig(text, file);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    expect((caught as UserError).code).toBe("docker-config-invalid");
    expect((caught as UserError).message).toContain(file);
    expect((caught as UserError).message).not.toContain("c2VjcmV0");
    expect((caught as UserError).cause).toBeUndefined();
  });

  test.each([
    "",
    "  \n",
    "{}",
    "null",
    "\ufeff{}",
    "\ufeff",
    '{"auths": null, "credHelpers": null, "credsStore": null}',
    '{"auths": {"ghcr.io": null}}',
    '{"auths": {"ghcr.io": {"auth": null, "username": null}}}',
    '{"HttpHeaders": {"a": "b"}}',
  ])("%j has no logins", (text) => {
    expect(findAuth(parseDockerConfig(text, file), parseReference("ghcr.io/a/b"))).toBeUndefined();
  });
});

describe("an entry that can't be read", () => {
  const secret = "c2VjcmV0OnNlY3JldA==";
  test.each<[string, unknown]>([
    ["text", secret],
    ["a number", 5],
    ["a list", [secret]],
    ["a password that is a number", { username: "a", password: 5 }],
    ["a login that is an object", { auth: { secret } }],
  ])("%s is passed over for other hosts, and an error for its own that repeats no secret", (_what, entry) => {
    const read = config({
      auths: { "ghcr.io": entry, "quay.io": auth("me:s") },
      credHelpers: { "gcr.io": 1, "ecr.test": "ecr-login" },
    });
    expect(read.unreadable).toEqual(["auths.ghcr.io", "credHelpers.gcr.io"]);
    expect(findAuth(read, parseReference("quay.io/a/b"))).toEqual({ kind: "basic", username: "me", password: "s" });
    expect(findHelper(read, "ecr.test")).toBe("ecr-login");
    for (const asked of [() => findAuth(read, parseReference("ghcr.io/a/b")), () => findHelper(read, "gcr.io")]) {
      expect(asked).toThrow(/config\.json cannot be read: (?:auths\.ghcr|credHelpers\.gcr)\.io is not as expected/);
      expect(asked).not.toThrow(secret);
    }
  });
});

describe("findAuth", () => {
  test.each([
    ["no colon", { auth: Buffer.from("secret").toString("base64") }],
    ["no name", { auth: Buffer.from(":secret").toString("base64") }],
    ["no base64", { auth: "not base64!" }],
  ])("an auth with %s is an error that names file and host", (_what, entry) => {
    expect(() => find({ "ghcr.io": entry }, "ghcr.io/a/b")).toThrow(
      /config\.json cannot be read: auths\.ghcr\.io\.auth/,
    );
  });

  test("a broken login for another host does not matter", () => {
    expect(find({ "quay.io": { auth: "!" } }, "ghcr.io/a/b")).toBeUndefined();
  });

  const basic = (username: string, password: string): Credential => ({ kind: "basic", username, password });
  test.each<[string, unknown, string, Credential | undefined]>([
    ["a host", { "ghcr.io": auth("me:secret") }, "ghcr.io/a/b", basic("me", "secret")],
    ["a password with colons", { "ghcr.io": auth("me:a:b:c") }, "ghcr.io/a/b", basic("me", "a:b:c")],
    ["a host in upper case", { "GHCR.io": auth("me:secret") }, "ghcr.io/a/b", basic("me", "secret")],
    ["a host with port", { "localhost:5000": auth("me:secret") }, "localhost:5000/b", basic("me", "secret")],
    ["another port", { "localhost:5000": auth("me:secret") }, "localhost:5001/b", undefined],
    ["another host that begins alike", { "ghcr.io": auth("me:secret") }, "ghcr.io.evil.com/a", undefined],
    ["a URL", { "https://ghcr.io": auth("me:secret") }, "ghcr.io/a/b", basic("me", "secret")],
    ["a URL with /v2/", { "https://ghcr.io/v2/": auth("me:secret") }, "ghcr.io/a/b", basic("me", "secret")],
    ["Docker Hub", { "https://index.docker.io/v1/": auth("me:secret") }, "alpine", basic("me", "secret")],
    ["Docker Hub by its own name", { "docker.io": auth("me:secret") }, "acme/shop", basic("me", "secret")],
    [
      "name and password apart",
      { "ghcr.io": { username: "me", password: "secret" } },
      "ghcr.io/a",
      basic("me", "secret"),
    ],
    [
      "base64 in lines",
      { "ghcr.io": { auth: ` ${btoa("me:secret").slice(0, 6)}\r\n\t${btoa("me:secret").slice(6)}\n` } },
      "ghcr.io/a",
      basic("me", "secret"),
    ],
    [
      "base64 of the URL alphabet",
      { "ghcr.io": { auth: Buffer.from("me:~~~???").toString("base64url") } },
      "ghcr.io/a",
      basic("me", "~~~???"),
    ],
    [
      "a URL with a path, of which Docker takes the host",
      { "https://ghcr.io/token/x": auth("me:secret") },
      "ghcr.io/a/b",
      basic("me", "secret"),
    ],
    [
      "a URL with a path, which is no namespace",
      { "https://ghcr.io/acme": auth("me:secret") },
      "ghcr.io/other/b",
      basic("me", "secret"),
    ],
    [
      "a key with many slashes",
      { [`ghcr.io${"/".repeat(300_000)}x`]: auth("no:no"), "ghcr.io//": auth("me:secret") },
      "ghcr.io/a/b",
      basic("me", "secret"),
    ],
    ["padding without an end", { "ghcr.io": auth(`me:${"\0".repeat(300_000)}x`) }, "quay.io/a", undefined],
    ["padding", { "ghcr.io": auth("me:secret\0\0") }, "ghcr.io/a", basic("me", "secret")],
    [
      "an identity token",
      { "x.azurecr.io": { ...auth("0:"), identitytoken: "t" } },
      "x.azurecr.io/a",
      { kind: "identity-token", token: "t" },
    ],
    ["the name <token>", { "ghcr.io": auth("<token>:t") }, "ghcr.io/a", { kind: "identity-token", token: "t" }],
    ["a bearer token", { "ghcr.io": { registrytoken: "t" } }, "ghcr.io/a", { kind: "registry-token", token: "t" }],
    ["an empty entry, as beside a store", { "ghcr.io": {} }, "ghcr.io/a", undefined],
    [
      "podman's namespaces: the longest",
      { "quay.io": auth("host:1"), "quay.io/acme": auth("org:2"), "quay.io/acme/shop": auth("repo:3") },
      "quay.io/acme/shop",
      basic("repo", "3"),
    ],
    [
      "podman's namespaces: whole components",
      { "quay.io": auth("host:1"), "quay.io/acme": auth("org:2") },
      "quay.io/acme2/shop",
      basic("host", "1"),
    ],
    ["a namespace alone", { "quay.io/acme": auth("org:2") }, "quay.io/other/shop", undefined],
  ])("%s", (_what, auths, repository, expected) => {
    expect(find(auths, repository)).toEqual(expected);
  });

  test("any name and password come back, but for NUL bytes at the end", () => {
    const name = fc.string({ minLength: 1 }).filter((text) => !text.includes(":") && text !== "<token>");
    const password = fc.string({ unit: "grapheme" }).filter((text) => !text.endsWith("\0"));
    fc.assert(
      fc.property(name, password, (username, secret) => {
        const found = find({ "ghcr.io": { auth: encodeBasic(username, secret) } }, "ghcr.io/a");
        expect(found).toEqual(basic(username, secret));
      }),
    );
  });
});

describe("findHelper", () => {
  const helpers = config({
    credHelpers: { "ghcr.io": "gh", "https://index.docker.io/v1/": "hub" },
    credsStore: "desktop",
  });

  test.each([
    ["ghcr.io", "gh"],
    ["docker.io", "hub"],
    ["quay.io", "desktop"],
  ])("%s → %s", (registry, expected) => {
    expect(findHelper(helpers, registry)).toBe(expected);
  });

  test.each(["../../bin/sh", "a b", "a;b", "-x", "a/b"])("the name %j is refused", (name) => {
    expect(() => findHelper(config({ credsStore: name }), "ghcr.io")).toThrow(/is not the name of a credential helper/);
  });

  test("no store, or an empty one, is none", () => {
    expect(findHelper(config({}), "ghcr.io")).toBeUndefined();
    expect(findHelper(config({ credsStore: "" }), "ghcr.io")).toBeUndefined();
  });

  test("an empty helper says that the host has none, store or not, and its login is in the file", () => {
    const read = config({
      auths: { "127.0.0.1:5699": auth("bob:s3cret") },
      credHelpers: { "127.0.0.1:5699": "" },
      credsStore: "desktop",
    });
    expect(findHelper(read, "127.0.0.1:5699")).toBeUndefined();
    expect(findHelper(read, "quay.io")).toBe("desktop");
    expect(findAuth(read, parseReference("127.0.0.1:5699/a"))).toEqual({
      kind: "basic",
      username: "bob",
      password: "s3cret",
    });
  });

  test("Docker Hub has its old address there", () => {
    expect(helperServer("docker.io")).toBe("https://index.docker.io/v1/");
    expect(helperServer("ghcr.io")).toBe("ghcr.io");
  });
});

test("the secrets of a login are its password and what the header has of it", () => {
  expect(secretsOf({ kind: "basic", username: "me", password: "secret" })).toEqual([
    "secret",
    encodeBasic("me", "secret"),
  ]);
  expect(secretsOf({ kind: "identity-token", token: "t" })).toEqual(["t"]);
  expect(secretsOf({ kind: "registry-token", token: "t" })).toEqual(["t"]);
});
