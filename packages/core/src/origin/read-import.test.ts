import { describe, expect, test } from "vitest";
import { readImport } from "./read-import.ts";

const hex = "a".repeat(64);
const whole = {
  source: { uri: "oci://docker.io/library/redis", digest: { sha256: hex }, tag: "7.2" },
  reason: "the vendor's own",
  owner: "platform@acme.example",
  until: "2026-06-30",
  importedOn: "2026-05-01T10:00:00+02:00",
  policy: { uri: "policy.yaml", digest: { sha256: hex }, serial: 1 },
};
const problemOf = (change: object) => {
  const read = readImport({ ...whole, ...change });
  return "problem" in read ? read.problem : "none";
};
const ofSource = (change: object) => problemOf({ source: { ...whole.source, ...change } });

describe("the predicate of an import", () => {
  test("tells where an image was taken from, by whom, and until when", () => {
    expect(readImport(whole)).toEqual({
      uri: "oci://docker.io/library/redis",
      repository: { registry: "docker.io", name: "library/redis" },
      digest: `sha256:${hex}`,
      tag: "7.2",
      reason: "the vendor's own",
      owner: "platform@acme.example",
      until: "2026-06-30",
      importedOn: new Date("2026-05-01T08:00:00Z"),
    });
    const { tag: _tag, ...untagged } = whole.source;
    expect(readImport({ ...whole, source: untagged })).toMatchObject({ tag: undefined, reason: whole.reason });
  });

  test.each<[string, () => string, string]>([
    [
      "a source by another name",
      () => ofSource({ uri: "docker://docker.io/library/redis" }),
      "expected oci://HOST/NAME",
    ],
    [
      "a source that is a web page",
      () => ofSource({ uri: "https://docker.io/library/redis" }),
      "expected oci://HOST/NAME",
    ],
    ["a source without a host", () => ofSource({ uri: "oci://redis" }), "expected oci://HOST/NAME"],
    ["a source with a tag in its name", () => ofSource({ uri: "oci://docker.io/library/redis:7" }), "expected oci://"],
    [
      "a source that is no repository",
      () => ofSource({ uri: "oci://docker.io/Library/Redis" }),
      "expected oci://HOST/NAME",
    ],
    [
      "a source whose name has a beginning besides",
      () => ofSource({ uri: "x-oci://docker.io/redis" }),
      "expected oci://",
    ],
    ["an empty tag", () => ofSource({ tag: "" }), "tag"],
    ["something in the source that is not known", () => ofSource({ mirror: "x" }), "mirror"],
    ["no digest", () => ofSource({ digest: {} }), "no digest, or several"],
    ["a digest of no algorithm", () => ofSource({ digest: { md5: "a" } }), "no digest, or several"],
    ["two digests", () => ofSource({ digest: { sha256: hex, sha512: "b".repeat(128) } }), "no digest, or several"],
    ["no reason", () => problemOf({ reason: "" }), "reason"],
    ["no owner", () => problemOf({ owner: "" }), "owner"],
    ["no end", () => problemOf({ until: undefined }), "until"],
    ["an end that is no day", () => problemOf({ until: "2026-02-30" }), "until"],
    ["no time", () => problemOf({ importedOn: "today" }), "importedOn"],
    ["a serial of nothing", () => problemOf({ policy: { ...whole.policy, serial: 0 } }), "serial"],
    ["a serial in parts", () => problemOf({ policy: { ...whole.policy, serial: 1.5 } }), "serial"],
    ["something of the policy that is not known", () => problemOf({ policy: { ...whole.policy, name: "x" } }), "name"],
    ["something that is not known", () => problemOf({ approved: true }), "approved"],
  ])("is not understood with %s", (_what, tell, says) => {
    expect(tell()).toContain(says);
  });
});
