import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { ago, finding, image, minute, now, policy, provenance, repository } from "@goldenpath/testing/gate-evidence";
import { makeKey } from "@goldenpath/testing/signers";
import { describe, expect, test } from "vitest";
import { rebase } from "../build/strategies/rebase.ts";
import { findAttested } from "./find-attested.ts";
import { predicateTypes } from "./predicates.ts";
import type { ProvenanceFacts } from "./provenance.ts";
import type { VerifiedStatement } from "./types.ts";

const hour = 60 * minute;
const [key, other] = [await makeKey(), await makeKey()];
const [arm, index] = [digestOf("arm64"), digestOf("an index")];

const attested = (more: Partial<ProvenanceFacts> = {}, by = "rebaser"): VerifiedStatement =>
  provenance(by, { buildType: rebase.buildType, buildEnvironment: "elsewhere", finishedOn: ago(hour), ...more });

const both = { image: { repository, digest: image, children: [arm] } };

interface Asked {
  before?: VerifiedStatement[];
  lapsed?: VerifiedStatement[];
  /** Besides the image. */
  children?: ReturnType<typeof digestOf>[];
  /** Of the environments that ask for a build by the signer. */
  maxAges?: (number | undefined)[];
  by?: typeof key;
  next?: Partial<ProvenanceFacts>;
}
function find({ before = [attested()], lapsed = [], children = [], maxAges = [], by = key, next = {} }: Asked = {}) {
  const signer = ({ publicKeyPem: publicKey }: typeof key) => ({ kind: "key", publicKey });
  const requires = maxAges.map((maxAge) => [{ stage: "build" as const, signers: ["build", "rebaser"], maxAge }]);
  const environments = Object.fromEntries(requires.map((each, at) => [`environment-${at}`, { requires: each }]));
  const own = { signers: { rebaser: signer(key), build: signer(other) }, environments };
  return findAttested(
    attested({ finishedOn: now, invocationId: "https://github.com/acme/platform/actions/runs/8/attempts/1", ...next })
      .statement,
    [image, ...children],
    { statements: before, lapsed, digest: image, children: [image, ...children] },
    { policy: own as unknown as typeof policy.policy, material: by.signer.material, now },
  );
}

test("what was attested says the same as what would be now: it is taken, and of several the newest", () => {
  const [first, second] = [attested({ finishedOn: ago(2 * hour) }), attested()];
  expect(find({ before: [first, second] })).toBe(second.statement);
  expect(find({ before: [second], maxAges: [undefined, 2 * hour] })).toBe(second.statement);
});

describe("it is attested anew", () => {
  const later = { ...attested({ finishedOn: ago(minute) }, "build") };
  test.each<[string, Asked]>([
    ["where nothing was", { before: [] }],
    ["where another signer of the policy has, or this one under another key", { by: other }],
    [
      "where it was under another policy",
      { next: { policy: { uri: policy.uri, digest: digestOf("other"), serial: policy.policy.serial } } },
    ],
    ["where it was of another base", { next: { bases: [{ repository, digest: digestOf("newer base") }] } }],
    [
      "where it was of another build",
      { next: { source: { repository: "https://github.com/acme/cart", commit: "b" } } },
    ],
    ["where somebody has said something newer since", { before: [attested(), later] }],
    ["where somebody had, whose time is over", { lapsed: [later] }],
    ["where it was at the same time", { before: [attested(), attested({}, "build")] }],
    ["where it has no other half of its time left", { maxAges: [undefined, 2 * hour - 1] }],
    ["where it is of the future", { before: [attested({ finishedOn: new Date(now.getTime() + hour) })] }],
    ["where one of an index's images has it not", { children: [arm], before: [attested(both)], next: both }],
  ])("%s", (_what, asked) => {
    expect(find(asked)).toBeUndefined();
  });
});

test("an index has it whole, with each of its images", () => {
  const facts = { image: { repository, digest: index, children: [image, arm] } };
  const whole = attested(facts);
  const parts = [index, image, arm].map((subject) => ({ ...whole, subject }));
  const asked = { digest: index, children: [image, arm], lapsed: [] };
  const about = {
    ...{ policy: { signers: { rebaser: { kind: "key", publicKey: key.publicKeyPem } }, environments: {} } },
    ...{ material: key.signer.material, now },
  } as unknown as Parameters<typeof findAttested>[3];
  const next = attested({ ...facts, finishedOn: now }).statement;
  expect(findAttested(next, asked.children, { ...asked, statements: parts }, about)).toBe(whole.statement);
  expect(findAttested(next, asked.children, { ...asked, statements: parts.slice(0, 2) }, about)).toBeUndefined();
});

describe("an SBOM", () => {
  const sbom = (time: Date, name = "libc6", of = [index, image], by = "rebaser"): VerifiedStatement =>
    finding(predicateTypes.cyclonedx, by, of, {
      ...{ bomFormat: "CycloneDX", serialNumber: `urn:uuid:${time.getTime()}`, components: [{ name }] },
      metadata: { timestamp: time.toISOString(), component: { version: image } },
    });
  const onBoth = (signed: VerifiedStatement): VerifiedStatement[] =>
    [index, image].map((subject) => ({ ...signed, subject }));
  function findSbom(...before: VerifiedStatement[]) {
    const policyOf = { signers: { rebaser: { kind: "key", publicKey: key.publicKeyPem } }, environments: {} };
    return findAttested(
      sbom(now).statement,
      [image],
      { statements: before, lapsed: [], digest: index, children: [image, arm] },
      { policy: policyOf as unknown as typeof policy.policy, material: key.signer.material, now },
    );
  }
  test("is taken where it says the same, whatever there is of an index's other images", () => {
    const was = sbom(ago(hour));
    expect(findSbom(...onBoth(was))).toBe(was.statement);
    const ofArm = { ...sbom(ago(minute), "musl", [index, arm]), subject: index };
    expect(findSbom(...onBoth(was), ofArm)).toBe(was.statement);
  });

  test.each([
    ["another package", onBoth(sbom(ago(hour), "libc7"))],
    ["a place less", onBoth(sbom(ago(hour))).slice(0, 1)],
    [
      "a newer one of somebody else beside it",
      [...onBoth(sbom(ago(hour))), ...onBoth(sbom(ago(minute), "x", undefined, "build"))],
    ],
    [
      "one beside it that says no time",
      [...onBoth(sbom(ago(hour))), ...onBoth(finding(predicateTypes.cyclonedx, "build", [index, image]))],
    ],
  ])("is made anew where there is %s", (_what, before) => {
    expect(findSbom(...before)).toBeUndefined();
  });
});
