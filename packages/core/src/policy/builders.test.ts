import { parseText, refusalOf, sampleWith } from "@goldenpath/testing/policy-refusal";
import { describe, expect, test } from "vitest";

const builder = "    - name: node";
const parseWith = (from: string, to: string) => parseText(sampleWith(from, to));

describe("a builder that is refused, with the place and the reason", () => {
  test.each([
    [
      "of a strategy that there is not",
      builder,
      "    - kind: buildpack\n      name: node",
      /^p\.yaml:29:13: build\.builders\[0\]\.kind: expected .*buildpacks.*, found 'buildpack'; did you mean `buildpacks`\?$/m,
    ],
    [
      "of no strategy",
      builder,
      "    - kind:\n      name: node",
      /^p\.yaml:29:\d+: build\.builders\[0\]\.kind: expected .*, found nothing$/m,
    ],
    [
      "that is no map",
      builder,
      `    - node\n${builder}`,
      /^p\.yaml:29:7: build\.builders\[0\]: expected a map, found 'node'$/m,
    ],
    [
      "with a typo in a key",
      "      runImage:",
      "      runimage:",
      /^p\.yaml:\d+:7: build\.builders\[0\]\.runimage: unknown key; did you mean `runImage`\?$/m,
    ],
    [
      "with a key that none of its kind has",
      builder,
      `${builder}\n      into: a.example/b`,
      /^p\.yaml:30:7: build\.builders\[0\]\.into: unknown key \(known here: kind, name, buildpacks, image, digests, approval, lifecycleImage, allowInline, allowBuildpacks, allowExtensions, approved, until, runImage, languages\)$/m,
    ],
    [
      "with buildpacks beside the image that has them",
      builder,
      `${builder}\n      image: a.example/b\n      digests: ["sha256:${"1".repeat(64)}"]`,
      /^p\.yaml:29:7: build\.builders\[0\]: has either `buildpacks` or a builder's `image`$/m,
    ],
    [
      "without the day from which its age counts",
      "  builders:\n",
      "  builderMaxAge: 90d\n  builders:\n",
      /^p\.yaml:30:7: build\.builders\[0\]: has no `approved`, from which `builderMaxAge` counts$/m,
    ],
    [
      "with digests of no image",
      builder,
      `${builder}\n      digests: ["sha256:${"1".repeat(64)}"]`,
      /^p\.yaml:29:7: build\.builders\[0\]: has `image` and `digests` only together$/m,
    ],
    [
      "whose canary is where no environment promotes to",
      builder,
      `    - { kind: rebase, name: rebases, signers: [build-2026], rollout: { canaries: [a.example/vetted] } }\n${builder}`,
      /build\.builders\[0\]\.rollout\.canaries\[0\]: no environment promotes to 'a\.example\/vetted' \(they promote to /m,
    ],
  ])("%s", (_what, from, to, message) => {
    expect(refusalOf(sampleWith(from, to)).message).toMatch(message);
  });
});

test("a builder says its kind, or leaves it out as policies before there were kinds do", () => {
  const [given] = parseWith(builder, builder).build.builders;
  expect(given).not.toHaveProperty("kind");
  expect(parseWith(builder, "    - kind: buildpacks\n      name: node").build.builders).toEqual([
    { ...given, kind: "buildpacks" },
  ]);
});

describe("a least SLSA level", () => {
  const verifiers = "[{ id: v, signers: [assessor], upTo: 3, resources: [oci://a.example/b], maxAge: 1d }]";
  const withLevel = (level: string, builder = "https://ci.example/a") =>
    sampleWith(
      "    - name: node",
      `    - kind: image
      name: other
      provenance: { signers: [assessor], builders: ["https://ci.example/*", ${builder}], level: ${level} }
    - name: node`,
    ).replace("bases:\n", `${assessor}bases:\n`);
  const assessor = `  assessor:
    publicKey: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAH
      -----END PUBLIC KEY-----
`;

  test.each([
    ["that nobody can have", "{ atLeast: 3 }", "level: has no builder and no verifier by whose word"],
    [
      "that its builder does not have",
      "{ atLeast: 3, builders: [{ builder: https://ci.example/a, level: 2 }] }",
      "level: has no builder and no verifier by whose word",
    ],
    [
      "that its verifier may not vouch for",
      `{ atLeast: 3, verifiers: ${verifiers.replace("upTo: 3", "upTo: 2")} }`,
      "level: has no builder and no verifier by whose word",
    ],
    ["that there is not", `{ atLeast: 4, verifiers: ${verifiers} }`, "level.atLeast: "],
    ["that says nothing", `{ atLeast: 0, verifiers: ${verifiers} }`, "level.atLeast: "],
    ["in words", `{ atLeast: SLSA_BUILD_LEVEL_3, verifiers: ${verifiers} }`, "level.atLeast: expected a number"],
    [
      "of a builder that is not the entry's",
      "{ atLeast: 3, builders: [{ builder: https://ci.example/b, level: 3 }] }",
      "level.builders[0].builder: 'https://ci.example/b' is none of the entry's `builders`",
    ],
    [
      "by a verifier who speaks for a stage",
      `{ atLeast: 3, verifiers: ${verifiers.replace("assessor", "build")} }`,
      "level.verifiers[0].signers[0]: 'build' speaks for a stage as well",
    ],
    [
      "by a verifier who is no signer",
      `{ atLeast: 3, verifiers: ${verifiers.replace("assessor", "nobody")} }`,
      "level.verifiers[0].signers[0]: 'nobody' is no signer",
    ],
    [
      "by a verifier of everything",
      `{ atLeast: 3, verifiers: ${verifiers.replace("resources: [oci://a.example/b], ", "")} }`,
      "level.verifiers[0].resources: is missing",
    ],
    [
      "by one verifier twice",
      `{ atLeast: 3, verifiers: ${verifiers.replace("}]", `}, ${verifiers.slice(1)}`)} }`,
      "level: names a builder or a verifier twice",
    ],
    [
      "for ever",
      `{ atLeast: 3, verifiers: ${verifiers.replace(", maxAge: 1d", "")} }`,
      "level.verifiers[0].maxAge: is missing",
    ],
  ])("%s is refused", (_what, level, message) => {
    expect(refusalOf(withLevel(level)).message).toContain(`build.builders[0].provenance.${message}`);
  });

  test("that its builder has, or a verifier may vouch for, is taken", () => {
    for (const level of [
      "{ atLeast: 3, builders: [{ builder: https://ci.example/a, level: 3 }] }",
      `{ atLeast: 3, verifiers: ${verifiers} }`,
    ])
      expect(parseText(withLevel(level)).build.builders[0]).toMatchObject({ provenance: { level: { atLeast: 3 } } });
  });
});
