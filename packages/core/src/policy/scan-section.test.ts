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
      "failOn: high\n  comparison: { environment: production, maxAge: 7d }",
      "comparison",
      "scan.comparison: is for `failOnlyOn: new`, which is not set",
    ],
    [
      "a comparison with an environment that is none",
      "failOn: high",
      "failOn: high\n  failOnlyOn: new\n  comparison: { environment: staging, maxAge: 7d }",
      "staging",
      "scan.comparison.environment: 'staging' is no environment of this policy (there is: production)",
    ],
    [
      "a comparison with an environment that asks for no scan",
      "failOn: high",
      "failOn: high\n  failOnlyOn: new\n  comparison: { environment: production, maxAge: 7d }",
      "production, maxAge",
      "scan.comparison.environment: 'production' does not require stage scan",
    ],
  ];
  test.each(cases)("%s", (...placed) => expectPlaced(placed));
});
