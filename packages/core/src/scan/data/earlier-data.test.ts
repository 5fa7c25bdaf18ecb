import { expect, test } from "vitest";
import { predicateTypes } from "../../signing/predicates.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { findEarlierData } from "./earlier-data.ts";

const scanBy = (signer: string, grype: string, exploited?: string): VerifiedStatement =>
  ({
    signers: [signer],
    statement: {
      predicateType: predicateTypes.vulnerabilities,
      predicate: {
        scanner: {
          uri: "pkg:github/anchore/grype@v0.120.1",
          db: { lastUpdate: grype },
          result: { goldenpath: exploited === undefined ? {} : { exploited: { uri: "x", lastUpdate: exploited } } },
        },
      },
    },
  }) as unknown as VerifiedStatement;
const [may, june, july] = ["2026-05-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"];

test("the newest data of each scanner and of CISA's list counts, of whoever speaks for the scan, and what has lapsed too", () => {
  const statements = [scanBy("scan", june, may), scanBy("scan", may), scanBy("build", july, july)];
  const found = findEarlierData({ statements, lapsed: [scanBy("scan", may, june)] }, new Set(["scan"]));
  expect([...found]).toEqual([
    ["kev", new Date(june)],
    ["grype", new Date(june)],
  ]);
});
