import { describe, expect, test } from "vitest";
import { parseProbeTarget } from "./target.ts";

describe("what is no registry, or would not be spoken to as it says, is refused", () => {
  test.each([
    ["", "neither a dot nor a port"],
    ["registry", "neither a dot nor a port"],
    ["ftp://registry.example", "ftp is neither http nor https"],
    ["https://joe:secret@registry.example", "more in it than a host and a prefix"],
    ["registry.example/team?x=1", "more in it than a host and a prefix"],
    ["registry.example/team#x", "more in it than a host and a prefix"],
    ["registry.example/Team", "not a repository name"],
    ["registry.example/../other", "not a repository name"],
    ["https://localhost:5000", "plain http is spoken to localhost"],
  ])("%j", (text, why) => {
    expect(() => parseProbeTarget(text)).toThrow(why);
  });

  test("a repository that is none", () => {
    expect(() => parseProbeTarget("registry.example", { repository: "a:b" })).toThrow("without tag or digest");
  });

  test("plain http together with certificates", () => {
    expect(() => parseProbeTarget("http://registry.example", { settings: { skipVerify: true } })).toThrow(
      "plain http has no certificates",
    );
    expect(() => parseProbeTarget("registry.example", { plainHttp: true, settings: { ca: "x" } })).toThrow(
      "plain http has no certificates",
    );
  });
});

test.each([
  ["registry.example", "https://registry.example/v2/", "goldenpath-probe-1"],
  ["Registry.Example:5000/team/", "https://registry.example:5000/v2/", "team/goldenpath-probe-1"],
  ["https://registry.example/a/b", "https://registry.example/v2/", "a/b/goldenpath-probe-1"],
  ["http://registry.example/a", "http://registry.example/v2/", "a/goldenpath-probe-1"],
  ["localhost:5000", "http://localhost:5000/v2/", "goldenpath-probe-1"],
])("%s", (text, endpoint, name) => {
  const target = parseProbeTarget(text, { id: "1" });
  expect(target.endpoint.href).toBe(endpoint);
  expect(target.repository.name).toBe(name);
  expect(target.mountSource.name).toBe(`${name}-from`);
});

test("everything is under the repository that is given", () => {
  const target = parseProbeTarget("registry.example/team", { id: "1", repository: "tests/probe" });
  expect(target.repository.name).toBe("tests/probe");
  expect(target.mountSource.name).toBe("tests/probe/goldenpath-probe-1-from");
});

test("localhost with settings for certificates is spoken to by TLS", () => {
  expect(parseProbeTarget("localhost:5000", { settings: { skipVerify: true } }).endpoint.protocol).toBe("https:");
});

test("each run has a repository of its own", () => {
  expect(parseProbeTarget("registry.example").repository.name).not.toBe(
    parseProbeTarget("registry.example").repository.name,
  );
});
