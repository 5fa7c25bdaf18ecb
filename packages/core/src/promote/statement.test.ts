import { ago, finding, image, minute, now, policy, repository, summary } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { isAnswered } from "./statement.ts";

const rests = finding(predicateTypes.vulnerabilities, "scan");
const said = (age: number, more: object = {}, by = "promote"): VerifiedStatement =>
  summary("promote", by, [rests], { environment: "production", timeVerified: ago(age * minute), ...more });
const failed = (age: number, more: object = {}, by = "promote") =>
  said(age, { passed: false, violations: 1, ...more }, by);
const answered = (statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []): boolean =>
  isAnswered(
    { statements, lapsed },
    {
      to: repository,
      environmentName: "production",
      promoter: "promote",
      policy,
      rollbacks: [],
      approvals: [],
      inputs: [{ digest: rests.bundle.digest, uri: "x:y" }],
      now,
    },
  );

// The pass that counts is ten minutes old.
test.each<[what: string, lapsed: VerifiedStatement]>([
  ["a later failure", failed(5)],
  ["a failure of the same time", failed(10)],
])("a promotion is stated again after %s whose signer's word has ended: gates take the pass no more", (_, lapsed) => {
  expect(answered([said(10)], [lapsed])).toBe(false);
});

test.each<[what: string, lapsed: VerifiedStatement]>([
  ["an older failure", failed(15)],
  ["a later failure for another environment", failed(5, { environment: "staging" })],
  ["a later failure by another signer", failed(5, {}, "scan")],
  ["a later pass", said(5)],
])("a promotion is not stated again after %s whose signer's word has ended", (_, lapsed) => {
  expect(answered([said(10)], [lapsed])).toBe(true);
});

test("a promotion is stated where what lies there is that of the same image as another one", () => {
  const cart = { repository: { ...repository, name: "vetted/cart" }, digest: image, children: [] };
  expect(answered([said(10, { image: cart })])).toBe(false);
  // Gates take the newest alone.
  expect(answered([said(5, { image: cart }), said(10)])).toBe(false);
  expect(answered([said(10), said(15, { image: cart })])).toBe(true);
});

test("a promotion is stated again where the newest answer that counts is another or too old, and where none is", () => {
  expect(answered([said(10)])).toBe(true);
  expect(answered([])).toBe(false);
  expect(answered([], [said(10)])).toBe(false);
  expect(answered([said(10), failed(5)])).toBe(false);
  expect(answered([said(10), said(5, { policy: { uri: "p", digest: image, serial: 6 } })])).toBe(false);
  expect(answered([said(24 * 60)])).toBe(false);
  expect(answered([said(24 * 60 - 1)])).toBe(true);
});
