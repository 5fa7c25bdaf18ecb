import { generateKeyPairSync } from "node:crypto";
import { fakeDigest, samplePolicyText } from "@goldenpath/testing/policy";
import { expectPlaced, type PlacedCase, parseText, refusalOf, sampleWith } from "@goldenpath/testing/policy-refusal";
import { describe, expect, test } from "vitest";

const pem = "-----BEGIN PUBLIC KEY-----";
const builder = "    - name: node";

describe("a policy that is refused, with the place and the reason", () => {
  // [what, the sample's part, what stands there instead, where the message points (a part of the new text), the
  // message]
  const cases: PlacedCase[] = [
    [
      "a typo in a key",
      "failOn: high",
      "failsOn: high",
      "failsOn",
      "scan.failsOn: unknown key; did you mean `failOn`?",
    ],
    [
      "a key in another style",
      "failOn: high",
      "fail-on: high",
      "fail-on",
      "scan.fail-on: unknown key; did you mean `failOn`?",
    ],
    ["a typo at the top", "serial: 7", "sreial: 7", "sreial", "sreial: unknown key; did you mean `serial`?"],
    [
      "a typo inside a list",
      "    until: 2026",
      "    untill: 2026",
      "untill",
      "bases[0].untill: unknown key; did you mean `until`?",
    ],
    [
      "a typo under a name",
      "    promoter:",
      "    promotor:",
      "promotor",
      "environments.production.promotor: unknown key; did you mean `promoter`?",
    ],
    [
      "a typo under a default",
      "plainHttp:",
      "plainHtpp:",
      "plainHtpp",
      "registries.plainHtpp: unknown key; did you mean `plainHttp`?",
    ],
    [
      "a key like no other",
      "failOn: high",
      "failOn: high\n  colour: red",
      "colour",
      "scan.colour: unknown key (known here: failOn, onlyFixed, ",
    ],
    ["a missing key", "  failOn: high", "  onlyFixed: true", "scan:", "scan.failOn: is missing"],
    ["a missing key at the top", "serial: 7\n", "", "version", "serial: is missing"],
    [
      "a missing key in a list",
      "    image: registry.test:5000/bases/run\n",
      "",
      "name: golden-run",
      "bases[0].image: is missing",
    ],
    [
      "a value that is no option",
      "failOn: high",
      "failOn: hihg",
      "hihg",
      "scan.failOn: expected one of negligible, low, medium, high, critical, found 'hihg'; did you mean `high`?",
    ],
    ["a value of another kind", "serial: 7", 'serial: "7"', '"7"', "serial: expected a number, found '7'"],
    ["a broken number", "serial: 7", "serial: 7.5", "7.5", "serial: expected a whole number, found 7.5"],
    ["a serial of nought", "serial: 7", "serial: 0", "serial: 0".slice(8), "serial: must be above 0"],
    ["an empty value", "failOn: high", "failOn:", "", "scan.failOn: expected one of"],
    [
      "a list instead of a map",
      "registries:\n  plainHttp: [registry.test:5000]",
      "registries: []",
      "registries",
      "registries: expected a map, found a list",
    ],
    [
      "an empty list",
      `    digests:\n      - ${fakeDigest("a")}`,
      "    digests: []",
      "digests: []",
      "bases[0].digests: must have at least one entry",
    ],
    ["a tag instead of a digest", fakeDigest("a"), "latest", "latest", "bases[0].digests[0]: expected sha256: and 64"],
    [
      "a digest that is too short",
      fakeDigest("a"),
      "sha256:aaaa",
      "sha256:aaaa",
      "bases[0].digests[0]: expected sha256: and 64",
    ],
    [
      "a base with a tag",
      "bases/run\n",
      "bases/run:1\n",
      "registry.test:5000/bases/run:1",
      "bases[0].image: expected a repository",
    ],
    [
      "a buildpack without digest",
      `node@${fakeDigest("b")}`,
      "node:1",
      "registry.test:5000/buildpacks/node:1",
      "build.builders[0].buildpacks[0]: expected an image pinned by digest",
    ],
    [
      "an unknown base",
      "runImage: golden-run",
      "runImage: golden-rum",
      "golden-rum",
      "build.builders[0].runImage: 'golden-rum' is no base of this policy (there is: golden-run)",
    ],
    [
      "an unknown signer",
      "signers: [build]",
      "signers: [built]",
      "built]",
      "environments.production.requires[0].signers[0]: 'built' is no signer of this policy (there is: build, promote)",
    ],
    [
      "an unknown promoter",
      "promoter: promote",
      "promoter: nobody",
      "nobody",
      "environments.production.promoter: 'nobody' is no signer of this policy",
    ],
    [
      "two bases of one name",
      "build:\n  strategies",
      `  - name: golden-run\n    image: a.example/b\n    digests: [${fakeDigest("c")}]\nbuild:\n  strategies`,
      "bases:",
      "bases: two bases have the same name",
    ],
    [
      "two builders of one name",
      builder,
      `    - name: node\n      buildpacks: [a.example/b@${fakeDigest("c")}]\n      runImage: golden-run\n${builder}`,
      "builders:",
      "build.builders: two builders have the same name",
    ],
    [
      "a stage required twice",
      "        maxAge: 7d",
      "        maxAge: 7d\n      - stage: build\n        signers: [promote]",
      "requires:",
      "environments.production.requires: a stage is required twice",
    ],
    [
      "evidence from the future",
      "{ serial: 6,",
      "{ serial: 8,",
      "8,",
      "accepts[0].serial: must be below this policy's serial, 7",
    ],
    [
      "two signers with one key",
      "DQgAF",
      "DQgAE",
      "|",
      "signers.promote.publicKey: is the key of 'build' as well; each signer has one of its own",
    ],
    [
      "an environment that base is to come from",
      "        maxAge: 7d",
      "        environment: production",
      "production",
      "environments.production.requires[0].environment: only stage promote has an environment",
    ],
    [
      "a promotion that needs itself",
      "      - stage: build\n        signers: [build]",
      "      - stage: promote\n        signers: [promote]\n        environment: production",
      "production",
      "environments.production.requires[0].environment: is the environment itself",
    ],
    [
      "an environment that is none",
      "      - stage: build\n        signers: [build]",
      "      - stage: promote\n        signers: [promote]\n        environment: staging",
      "staging",
      "environments.production.requires[0].environment: 'staging' is no environment of this policy (there is: production)",
    ],
    [
      "a name with capitals",
      "  production:",
      "  Production:",
      "Production",
      "environments.Production: `Production` cannot be a name here: expected lower case",
    ],
    [
      "a name that is too long",
      "name: acme",
      `name: ${"a".repeat(64)}`,
      "a".repeat(64),
      "name: must not be longer than 63 characters",
    ],
    [
      "a private key",
      pem,
      "-----BEGIN PRIVATE KEY-----",
      "|\n      -----BEGIN PRIVATE",
      "signers.build.publicKey: expected a public key in PEM",
    ],
    [
      "a day that is none",
      "until: 2026-12-31",
      "until: 2026-13-31",
      "2026-13-31",
      "bases[0].until: expected a day, YYYY-MM-DD, found '2026-13-31'",
    ],
    [
      "an age that is none",
      "maxAge: 7d",
      "maxAge: 7 days",
      "7 days",
      "environments.production.requires[0].maxAge: expected a duration such as 90m, 12h or 30d, found '7 days'",
    ],
    [
      "an age of the database that is none",
      "failOn: high",
      "failOn: high\n  databaseMaxAge: forever",
      "forever",
      "scan.databaseMaxAge: expected a duration such as 90m, 12h or 30d, or unlimited, found 'forever'",
    ],
    [
      "an exception for a rule that has none",
      "rule: scan.severity",
      "rule: gate.missing",
      "gate.missing",
      "exceptions[0].rule: expected one of base.approved, base.root-user",
    ],
    [
      "an exception without an owner",
      "    owner: team-shop\n",
      "",
      "rule: scan.severity",
      "exceptions[0].owner: is missing",
    ],
    [
      "an exception with an empty reason",
      "reason: not reachable",
      'reason: "  "',
      '"  "',
      "exceptions[0].reason: must not be empty",
    ],
    [
      "an exception without an end",
      "    expires: 2026-05-31\n",
      "",
      "rule: scan.severity",
      "exceptions[0].expires: is missing",
    ],
    [
      "an exception for a base, of a tag",
      "rule: scan.severity\n    vulnerability: CVE-2026-0001\n    package: lodash",
      "rule: base.approved\n    repository: a.example/b:1",
      "a.example/b:1",
      "exceptions[0].repository: expected a repository, HOST/NAME, without tag or digest",
    ],
    [
      "an exception for a base, in a package",
      "rule: scan.severity\n    vulnerability: CVE-2026-0001",
      "rule: base.approved\n    repository: a.example/b",
      "lodash",
      "exceptions[0].package: base.approved knows no packages",
    ],
    [
      "a host with a path",
      "plainHttp: [registry.test:5000]",
      "plainHttp: [registry.test/x]",
      "registry.test/x",
      "registries.plainHttp[0]: expected HOST or HOST:PORT",
    ],
    [
      "a repository prefix with a tag",
      "to: [registry.test:5000/vetted]",
      "to: ['registry.test/vetted:1']",
      "'registry.test/vetted:1'",
      "environments.production.to[0]: expected a registry host or HOST/NAME",
    ],
    ["a version that is text", "version: 1", 'version: "1"', '"1"', "version: expected 1, found '1'"],
  ];

  test.each(cases)("%s", (...placed) => expectPlaced(placed));

  test("with every problem, in order, each with its line", () => {
    const text = sampleWith("serial: 7", "serial: x")
      .replace("failOn: high", "failsOn: high")
      .replace("until: 2026-12-31", "until: soon");
    expect(refusalOf(text).message).toBe(
      [
        "policy p.yaml is not valid, 3 problems:",
        "p.yaml:3:9: serial: expected a number, found 'x'",
        "    3 | serial: x",
        "p.yaml:23:12: bases[0].until: expected a day, YYYY-MM-DD, found 'soon'",
        "    23 |     until: soon",
        "p.yaml:33:3: scan.failsOn: unknown key; did you mean `failOn`?",
        "    33 |   failsOn: high",
      ].join("\n"),
    );
  });

  test("of a version that is not known: that alone, whatever else is in it", () => {
    for (const version of ["2", "1.1", "v2", '"2"']) {
      const error = refusalOf(sampleWith("version: 1", `version: ${version}\nnovelty: true`));
      expect(error.code).toBe("policy-version");
      expect(error.message).toBe(
        `policy p.yaml is of version ${version.replaceAll('"', "")}; this goldenpath reads version 1`,
      );
    }
  });

  test("without letting the file write to the log", () => {
    const message = refusalOf(
      sampleWith("failOn: high", 'failOn: "\\e[31m\\n::error::x"\n  "b\\n::error::y": 1'),
    ).message;
    expect(message).not.toContain("\u001b");
    expect(message).not.toMatch(/^::error/m);
  });
});

test("a key that two signers have is refused in whatever text it stands", () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const text = publicKey.export({ type: "spki", format: "pem" }).toString();
  // 91 bytes are 121 and a third groups of six bits: the last character before the padding has bits that nobody reads.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const other = text.replace(
    /(.)(=+)\n/,
    (_all, last: string, padding: string) => `${alphabet[alphabet.indexOf(last) ^ 1]}${padding}\n`,
  );
  expect(other).not.toBe(text);
  const indented = (pem: string): string => pem.trim().replaceAll("\n", "\n      ");
  const placeholder = (character: string): string =>
    `-----BEGIN PUBLIC KEY-----\n      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA${character}\n      -----END PUBLIC KEY-----`;
  const both = samplePolicyText.replace(placeholder("E"), indented(text)).replace(placeholder("F"), indented(other));
  expect(refusalOf(both).message).toContain("signers.promote.publicKey: is the key of 'build' as well");
});

describe("a policy that is accepted", () => {
  test("is data, with defaults filled in and durations in milliseconds", () => {
    const policy = parseText(samplePolicyText);
    expect(policy.scan).toEqual({
      failOn: "high",
      onlyFixed: false,
      failOnlyOn: "all",
      scanners: ["grype"],
      allowBlindSpots: [],
      ownWord: "accept",
      databaseMaxAge: 432_000_000,
    });
    expect(policy.environments.production?.requires).toEqual([
      { stage: "build", signers: ["build"], maxAge: 604_800_000 },
    ]);
    expect(policy.registries).toEqual({ plainHttp: ["registry.test:5000"], hosts: {} });
    expect(parseText(sampleWith("registries:\n  plainHttp: [registry.test:5000]\n", "")).registries).toEqual({
      plainHttp: [],
      hosts: {},
    });
  });

  test.each([
    ["with a byte order mark", `\ufeff${samplePolicyText}`],
    ["with Windows line ends", samplePolicyText.replaceAll("\n", "\r\n")],
    ["with a start mark", `---\n${samplePolicyText}`],
    ["in JSON", JSON.stringify({ a: 1 }).replace('{"a":1}', samplePolicyText)],
  ])("%s", (_what, text) => {
    expect(parseText(text)).toEqual(parseText(samplePolicyText));
  });

  test("with an unlimited age of the database", () => {
    expect(parseText(sampleWith("failOn: high", "failOn: high\n  databaseMaxAge: unlimited")).scan.databaseMaxAge).toBe(
      "unlimited",
    );
  });

  test("has no names but its own", () => {
    const policy = parseText(samplePolicyText);
    expect(policy.environments["constructor"]).toBeUndefined();
    expect(policy.signers["constructor"]).toBeUndefined();
  });
});
