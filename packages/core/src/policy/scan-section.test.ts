import { expectPlaced, type PlacedCase } from "@goldenpath/testing/policy-refusal";
import { describe, test } from "vitest";

describe("a scan section that contradicts itself or the rest is refused, with the place and the reason", () => {
  const cases: PlacedCase[] = [
    [
      "what is known let pass, of any image",
      "failOn: high",
      "failOn: high\n  failOnlyOn: new",
      "new",
      "scan.failOnlyOn: new has no `comparison`, which says whose findings are let pass as known",
    ],
    [
      "a comparison that nothing goes by",
      "failOn: high",
      "failOn: high\n  comparison: { environment: production, tags: [prod], maxAge: 7d }",
      "comparison",
      "scan.comparison: is for `failOnlyOn: new`, which is not set",
    ],
    [
      "a comparison with an environment that is none",
      "failOn: high",
      "failOn: high\n  failOnlyOn: new\n  comparison: { environment: staging, tags: [prod], maxAge: 7d }",
      "staging",
      "scan.comparison.environment: 'staging' is no environment of this policy (there is: production)",
    ],
    [
      "a comparison with an environment that asks for no scan",
      "failOn: high",
      "failOn: high\n  failOnlyOn: new\n  comparison: { environment: production, tags: [prod], maxAge: 7d }",
      "production, tags",
      "scan.comparison.environment: 'production' does not require stage scan",
    ],
    [
      "VEX by a signer that there is not",
      "failOn: high",
      "failOn: high\n  vex: { signers: [security] }",
      "security",
      "scan.vex.signers[0]: 'security' is no signer of this policy (there is: build, promote)",
    ],
    [
      "VEX by who builds",
      "failOn: high",
      "failOn: high\n  vex: { signers: [build] }",
      "build]",
      "scan.vex.signers[0]: 'build' speaks for a stage as well",
    ],
    [
      "VEX by who promotes",
      "failOn: high",
      "failOn: high\n  vex: { signers: [promote] }",
      "promote]",
      "scan.vex.signers[0]: 'promote' speaks for a stage as well",
    ],
    [
      "data by who builds",
      "failOn: high",
      "failOn: high\n  data: { repository: reg.example/data, signers: [build] }",
      "build]",
      "scan.data.signers[0]: 'build' speaks for a stage as well",
    ],
    [
      "data by a signer that there is not",
      "failOn: high",
      "failOn: high\n  data: { repository: reg.example/data, signers: [mirror] }",
      "mirror",
      "scan.data.signers[0]: 'mirror' is no signer of this policy (there is: build, promote)",
    ],
    [
      "two gates of one name",
      "failOn: high",
      "failOn: high\n  refuse: [{ name: a, kev: true }, { name: a, fixed: true }]",
      "a, fixed",
      "scan.refuse[1].name: 'a' is the name of another gate of this list",
    ],
    [
      "a gate without a condition",
      "failOn: high",
      "failOn: high\n  refuse: [{ name: all }]",
      "{ name: all",
      "scan.refuse[0]: has no condition (there are: severity, cvss, epss, kev, fixed, fixOlderThan, types, scopes, origins)",
    ],
    [
      "a score that there is not",
      "failOn: high",
      "failOn: high\n  refuse: [{ name: a, cvss: 10.1 }]",
      "10.1",
      "scan.refuse[0].cvss: must not be more than 10",
    ],
    [
      "a probability in per cent",
      "failOn: high",
      "failOn: high\n  refuse: [{ name: a, epss: 10 }]",
      "10",
      "scan.refuse[0].epss: must not be more than 1",
    ],
    [
      "a forbidden package by two names",
      "failOn: high",
      "failOn: high\n  packages: [{ name: a, purl: pkg:npm/a, reason: r }]",
      "{ name: a",
      "scan.packages[0]: expected `name` or `purl`, one of them",
    ],
    [
      "a forbidden package by an URL with its version",
      "failOn: high",
      "failOn: high\n  packages: [{ purl: pkg:npm/a@1, reason: r }]",
      "pkg:npm",
      "scan.packages[0].purl: expected a package URL without version, pkg:TYPE/NAME",
    ],
    [
      "gates of an environment that asks for no scan",
      "    promoter: promote",
      "    promoter: promote\n    refuse: [{ name: a, kev: true }]",
      "refuse",
      "environments.production.refuse: the environment does not require stage scan, whose findings it would judge",
    ],
  ];
  test.each(cases)("%s", (...placed) => expectPlaced(placed));
});
