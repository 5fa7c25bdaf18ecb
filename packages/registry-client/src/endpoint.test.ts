import { describe, expect, test } from "vitest";
import {
  apiUrl,
  checkRealm,
  isLoopback,
  isPrivateLiteral,
  registryEndpoint,
  resolveOwnUrl,
  resolveServerUrl,
} from "./endpoint.ts";

test.each([
  ["docker.io", "https://registry-1.docker.io/v2/"],
  ["ghcr.io", "https://ghcr.io/v2/"],
  ["ghcr.io:80", "https://ghcr.io:80/v2/"],
  ["localhost", "http://localhost/v2/"],
  ["localhost:5000", "http://localhost:5000/v2/"],
  ["127.0.0.9:5000", "http://127.0.0.9:5000/v2/"],
  ["[::1]:5000", "http://[::1]:5000/v2/"],
  ["10.0.0.1:5000", "https://10.0.0.1:5000/v2/"],
  ["localhost.evil.com", "https://localhost.evil.com/v2/"],
  ["127.0.0.1.evil.com", "https://127.0.0.1.evil.com/v2/"],
  ["plain.corp:5000", "http://plain.corp:5000/v2/"],
  ["plain.corp", "https://plain.corp/v2/"],
])("%s is spoken to at %s", (registry, expected) => {
  expect(registryEndpoint(registry, ["plain.corp:5000"]).href).toBe(expected);
});

test.each([
  ["team/shop", "http://localhost:5000/v2/team/shop/tags/list?n=1"],
  ["//evil.test/shop", "http://localhost:5000/v2///evil.test/shop/tags/list?n=1"],
  ["https://evil.test", "http://localhost:5000/v2/https://evil.test/tags/list?n=1"],
])("whatever a repository is called (%s), its registry's own host is asked", (name, expected) => {
  expect(apiUrl({ plainHttp: [] }, { registry: "localhost:5000", name }, "tags/list?n=1").href).toBe(expected);
});

test.each([
  ["127.0.0.1", true, true],
  ["localhost", true, true],
  ["localhost.", true, true],
  ["[::1]", true, true],
  ["10.1.2.3", false, true],
  ["172.16.0.1", false, true],
  ["172.32.0.1", false, false],
  ["192.168.1.1", false, true],
  ["169.254.169.254", false, true],
  ["100.64.0.1", false, true],
  ["0.0.0.0", false, true],
  ["[fd00::1]", false, true],
  ["[fe80::1]", false, true],
  ["[::]", false, true],
  ["[::ffff:a00:1]", false, true],
  ["[2606:4700::1111]", false, false],
  ["8.8.8.8", false, false],
  ["x.localhost", false, true],
  ["example.com", false, false],
  ["10.0.0.1.example.com", false, false],
])("%s: loopback %s, private %s", (host, loopback, isPrivate) => {
  expect(isLoopback(host)).toBe(loopback);
  expect(isPrivateLiteral(host)).toBe(isPrivate);
});

describe("resolveServerUrl", () => {
  const https = new URL("https://ghcr.io/v2/a/blobs/x");

  test.each([
    ["http://ghcr.io/other", https],
    ["http://localhost/other", https],
    ["ftp://ghcr.io/x", https],
    ["file:///etc/passwd", https],
    ["data:text/plain,x", https],
    ["https://user:secret@cdn.example.com/x", https],
    ["https://", https],
    ["http://example.com/x", new URL("http://localhost:5000/v2/")],
  ])("refuses %s", (target, base) => {
    expect(() => resolveServerUrl(target, base, ["plain.corp"], "a redirect")).toThrow(
      /sends a redirect that is refused/,
    );
  });

  test.each([
    ["/x?y=1", https, "https://ghcr.io/x?y=1"],
    ["https://cdn.example.com/x", https, "https://cdn.example.com/x"],
    ["https://cdn.example.com/x", new URL("http://localhost:5000/"), "https://cdn.example.com/x"],
    ["http://127.0.0.1:7/x", new URL("http://localhost:5000/"), "http://127.0.0.1:7/x"],
    ["http://plain.corp/x", new URL("http://localhost:5000/"), "http://plain.corp/x"],
  ])("takes %s", (target, base, expected) => {
    expect(resolveServerUrl(target, base, ["plain.corp"], "a redirect").href).toBe(expected);
  });

  test("an upload location that says http for the registry's own host stays on https; any other does not pass", () => {
    const resolve = (target: string) => resolveOwnUrl(target, https, [], "an upload location").href;
    expect(resolve("http://ghcr.io/v2/a/blobs/uploads/1?_state=2")).toBe(
      "https://ghcr.io/v2/a/blobs/uploads/1?_state=2",
    );
    expect(() => resolve("http://ghcr.io:5000/x")).toThrow(/refused/);
    expect(() => resolve("http://other.io/x")).toThrow(/refused/);
  });
});

describe("checkRealm", () => {
  const publicRegistry = new URL("https://ghcr.io/v2/");
  const local = new URL("http://localhost:5000/v2/");
  const internal = new URL("https://10.0.0.7/v2/");

  test.each<[string, URL]>([
    ["http://ghcr.io/token", publicRegistry],
    ["http://auth.example.com/token", publicRegistry],
    ["http://localhost/token", publicRegistry],
    ["https://localhost/token", publicRegistry],
    ["https://127.0.0.1/token", publicRegistry],
    ["https://2130706433/token", publicRegistry],
    ["https://0x7f.1/token", publicRegistry],
    ["https://[::1]/token", publicRegistry],
    ["https://[::ffff:169.254.169.254]/latest", publicRegistry],
    ["https://169.254.169.254/latest/meta-data", publicRegistry],
    ["https://10.0.0.1/token", publicRegistry],
    ["https://user:secret@auth.example.com/token", publicRegistry],
    ["/token", publicRegistry],
    ["", publicRegistry],
    ["ghcr.io/token", publicRegistry],
    ["ftp://ghcr.io/token", publicRegistry],
    ["http://auth.example.com/token", local],
    ["http://plain.corp/token", local],
    ["http://10.0.0.7/token", internal],
  ])("refuses %s for %s", (realm, registry) => {
    expect(() => checkRealm(realm, registry, ["plain.corp"])).toThrow(/which is refused/);
  });

  test.each<[string, URL]>([
    ["https://auth.docker.io/token", new URL("https://registry-1.docker.io/v2/")],
    ["https://ghcr.io/token", publicRegistry],
    ["https://auth.example.com/token", local],
    ["http://localhost:5000/token", local],
    ["http://127.0.0.1:5001/token", local],
    ["https://10.0.0.8/token", internal],
    ["http://plain.corp/token", new URL("http://plain.corp/v2/")],
    ["http://localhost:9/token", new URL("http://plain.corp/v2/")],
    ["https://10.0.0.8/token", new URL("http://plain.corp/v2/")],
  ])("takes %s for %s", (realm, registry) => {
    expect(checkRealm(realm, registry, ["plain.corp"]).href).toBe(realm);
  });
});
