import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { diffPolicies } from "../diff.ts";
import { parsePolicy } from "../parse.ts";

const key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIsecurity\n-----END PUBLIC KEY-----";
const sample = samplePolicyText.replace(
  /^signers:\n/m,
  `signers:\n  security:\n    publicKey: |\n${key.replaceAll(/^/gm, "      ")}\n`,
);
const parse = (more: string, repository = "registry.test:5000/platform/exceptions") =>
  parsePolicy(
    new TextEncoder().encode(
      `${sample.trimEnd()}\nsignedExceptions:\n  repository: ${repository}\n  signers:\n    - signer: ${more}\n`,
    ),
    "p.yaml",
  );

describe("signedExceptions", () => {
  test.each<[string, string, string | undefined, string]>([
    ["by a signer that there is not", "securty", undefined, "'securty' is no signer of this policy"],
    ["by who speaks for a stage", "build", undefined, "'build' speaks for a stage as well"],
    ["by who promotes", "promote", undefined, "'promote' speaks for a stage as well"],
    ["where images are", "security", "registry.test:5000/quarantine/x", "could hide that an exception was withdrawn"],
    ["of a rule that has no exceptions", "security\n      rules: [gate.missing]", undefined, "expected one of"],
  ])("%s are refused, and as they should be they are taken", (_name, more, repository, message) => {
    expect(() => parse(more, repository)).toThrow(message);
    expect(parse("security").signedExceptions?.signers).toEqual([{ signer: "security" }]);
  });

  test("what a change of them lets in", () => {
    const without = parsePolicy(new TextEncoder().encode(sample), "p.yaml");
    const diff = (before: typeof without, after: typeof without) =>
      diffPolicies({ policy: before, digest: digestOf("a") }, { policy: after, digest: digestOf("b") })
        .filter(({ path }) => path[0] === "signedExceptions")
        .map(({ direction }) => direction);
    expect(diff(without, parse("security"))).toEqual(["widening"]);
    expect(diff(parse("security"), without)).toEqual(["narrowing"]);
    expect(diff(parse("security"), parse("security\n      longest: 91d"))).toEqual(["widening"]);
    expect(diff(parse("security"), parse("security\n      longest: 14d"))).toEqual(["narrowing"]);
    expect(diff(parse("security"), parse("security\n      repositories: [r.test/a]"))).toEqual(["narrowing"]);
    expect(diff(parse("security"), parse("security\n      rules: [scan.gate]"))).toEqual(["narrowing"]);
    const malicious = parse("security\n      rules: [scan.malicious]");
    expect(diff(parse("security"), malicious).toSorted()).toEqual(["narrowing", "widening"]);
  });
});
