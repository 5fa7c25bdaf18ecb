import { finding, image, other } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { chooseSbom } from "./signed-sbom.ts";

const allowed = new Set(["build"]);
const sbom = (hour: number, { by = "build", of = image as string, timestamp = `2026-05-01T0${hour}:00:00Z` } = {}) =>
  finding(predicateTypes.cyclonedx, by, [image], {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    metadata: { timestamp, component: { name: "shop", type: "container", version: of } },
    components: [],
  });
const choose = (statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []) =>
  chooseSbom({ statements, lapsed }, image, allowed);

const first = sbom(1);

test.each<[what: string, lapsed: VerifiedStatement, says: RegExp]>([
  ["a later one", sbom(2), /a later SBOM is there, and the word of its signer build/],
  ["one of the same time", sbom(1), /a later SBOM is there/],
  ["one whose time can't be read, and which may be later", sbom(1, { timestamp: "soon" }), /does not say when/],
])("an SBOM is not taken beside %s that is out of its signer's time", (_what, lapsed, says) => {
  expect(choose([first], [lapsed])).toEqual({ problem: expect.stringMatching(says) });
});

test.each<[what: string, lapsed: VerifiedStatement]>([
  ["an older one", sbom(0)],
  ["a later one by whom nobody asked", sbom(2, { by: "scan" })],
  ["a later one of another image", sbom(2, { of: other })],
  ["itself, by another signer", first],
])("an SBOM is taken beside %s that is out of its signer's time", (_what, lapsed) => {
  expect(choose([first], [lapsed])).toMatchObject({ digest: first.bundle.digest, signer: "build" });
});

test("the newest is taken, and one out of its time never", () => {
  const second = sbom(2);
  expect(choose([first, second])).toMatchObject({ digest: second.bundle.digest });
  expect(choose([second, first], [first])).toMatchObject({ digest: second.bundle.digest });
  expect(choose([], [first])).toBeUndefined();
  expect(choose([sbom(1, { by: "scan" })])).toBeUndefined();
  expect(choose([sbom(1, { of: other })])).toEqual({ problem: expect.stringContaining("no SBOM of those") });
});
