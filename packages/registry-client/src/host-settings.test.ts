import { expect, test } from "vitest";
import { isPlainHttpHost } from "./endpoint.ts";
import { plainHttpRules, readHostRules } from "./host-settings.ts";

const invalid = { name: "UserError", code: "host-settings-invalid" };
const refused = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

test.each([
  ["a URL", { "https://a.corp": {} }],
  ["a path", { "a.corp/x": {} }],
  ["a name and password", { "me@a.corp": {} }],
  ["nothing", { "": {} }],
  ["one host twice, in other letters", { "a.corp": {}, "A.corp": {} }],
  ["one host twice, with https' own port", { "a.corp": {}, "a.corp:443": {} }],
])("settings by %s are refused", (_what, hosts) => {
  expect(refused(() => readHostRules({ hosts }))).toMatchObject(invalid);
});

test.each([{ ca: "x" }, { skipVerify: true }])("a host cannot be on plain http and have %j", (settings) => {
  const options = { plainHttp: ["A.corp:5000"], hosts: { "a.corp:5000": settings } };
  expect(refused(() => readHostRules(options))).toMatchObject(invalid);
  expect(refused(() => plainHttpRules(options))).toMatchObject(invalid);
});

test("how many connections there may be says nothing about TLS", () => {
  expect(plainHttpRules({ plainHttp: ["a.corp:5000"], hosts: { "a.corp:5000": { connections: 2 } } })).toEqual([
    "a.corp:5000",
  ]);
  expect(plainHttpRules({ hosts: { "localhost:5000": { connections: 2, skipVerify: false } } })).toEqual([]);
});

test("settings are for the host and port alone, by the names that a URL has", () => {
  const rules = readHostRules({
    hosts: { "docker.io": { connections: 1 }, "A.corp:443": { connections: 2 }, "a.corp:5000": { connections: 3 } },
  });
  expect([...rules].map(([host, { connections }]) => [host, connections])).toEqual([
    ["registry-1.docker.io", 1],
    ["a.corp", 2],
    ["a.corp:5000", 3],
  ]);
});

test.each([{ ca: "x" }, { skipVerify: true }])("localhost with %j has TLS, on that port alone", (settings) => {
  const rules = plainHttpRules({ plainHttp: ["plain.corp"], hosts: { "localhost:5000": settings } });
  expect(isPlainHttpHost("localhost:5000", rules)).toBe(false);
  expect(isPlainHttpHost("LOCALHOST:5000", rules)).toBe(false);
  expect(isPlainHttpHost("localhost:5001", rules)).toBe(true);
  expect(isPlainHttpHost("plain.corp", rules)).toBe(true);
  // A second reading, as client and transport each have theirs, changes nothing.
  expect(plainHttpRules({ plainHttp: rules, hosts: { "localhost:5000": settings } })).toEqual(rules);
});
