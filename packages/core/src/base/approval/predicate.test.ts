import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect, test } from "vitest";
import { readDecision } from "./predicate.ts";

const policy = { uri: "policy.yaml", digest: { sha256: "a" }, serial: 7 };
const approved = {
  ...{ decision: "approved", decidedAt: "2026-05-01T12:00:00Z", policy, endOfLife: "2026-12-31" },
  ...{ role: "both", examined: { base: digestOf("base") } },
};
const withdrawn = { decision: "withdrawn", decidedAt: "2026-05-01T12:00:00Z", policy, reason: "r" };

test.each([approved, withdrawn])("what is $decision is dated in any zone, and in none it is no time", (whole) => {
  const at = (decidedAt: string) => readDecision({ ...whole, decidedAt });
  const noon = { decidedAt: new Date("2026-05-01T12:00:00Z") };
  expect(at("2026-05-01T12:00:00Z")).toMatchObject(noon);
  expect(at("2026-05-01T14:00:00+02:00")).toMatchObject(noon);
  expect(at("2026-05-01T12:00:00")).toEqual({ problem: expect.stringContaining("decidedAt") });
});
