import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { diffPolicies } from "./diff.ts";
import { composeLayers } from "./layers.ts";
import { parsePolicy } from "./parse.ts";

// biome-ignore lint/suspicious/noExplicitAny: what was written is edited where it is known to be
type Written = any;
const text = (value: Written): string => stringify(value, { aliasDuplicateObjects: false });
const load = (value: Written) => ({
  policy: parsePolicy(new TextEncoder().encode(text(value)), "p.yaml"),
  digest: digestOf(text(value)),
});
const sample = (): Written => {
  const policy: Written = parse(samplePolicyText);
  policy.sigstore = { public: { embedded: "public" } };
  policy.signers.flow = {
    ...{ kind: "keyless", sigstore: "public", at: ["refs/tags/v1.0.0"], ownerId: "1", environment: "golden path" },
    workflow: "https://github.com/acme/p/.github/workflows/b.yml",
    repositories: ["https://github.com/acme/*"],
  };
  policy.images = { mustHave: [{ label: "owner", value: "team a" }] };
  policy.registries.hosts = { "r.test": { ca: pem("AAAA") } };
  return policy;
};
const pem = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
const directions = (before: Written, after: Written): string[] =>
  diffPolicies(load(before), load(after))
    .filter(({ key }) => key !== "serial")
    .map(({ direction, key }) => `${direction} ${key}`);
const compose = (narrowing: Written) => {
  const bytes = new TextEncoder().encode(text(sample()));
  const team = { version: 1, name: "shop", serial: 1, extends: { policy: "p.yaml", digest: digestOf(bytes) } };
  return composeLayers(
    { bytes, where: "p.yaml" },
    { bytes: new TextEncoder().encode(text({ ...team, ...narrowing })), where: "t.yaml" },
  );
};

describe("what is written a little otherwise and is another thing", () => {
  test.each<[string, (policy: Written) => void, string]>([
    ["a deployment environment", (p) => (p.signers.flow.environment = "goldenpath"), "signers.flow.environment"],
    ["a label's value", (p) => (p.images.mustHave[0].value = "teama"), "images.mustHave[owner].value"],
  ])("%s with other white space", (_name, edit, key) => {
    const after = sample();
    edit(after);
    expect(directions(sample(), after)).toEqual([`widening ${key}`, `narrowing ${key}`]);
  });

  test("an authority in a form that OpenSSL takes", () => {
    const after = sample();
    after.registries.hosts["r.test"].ca += "-----BEGIN CERTIFICATE-----\nBBBB\n-\n-----END CERTIFICATE-----\n";
    expect(directions(sample(), after)).toEqual(["widening registries.hosts.r.test.ca"]);
    after.registries.hosts["r.test"].ca = `\n${pem("AA AA")}`.trimStart();
    expect(directions(sample(), after)).not.toContain("widening registries.hosts.r.test.ca ");
  });

  test("neither is a team's to say", () => {
    expect(() => compose({ signers: { flow: { environment: "goldenpath" } } })).toThrow(/may only narrow/);
    const ca = `${pem("AAAA")}-----BEGIN CERTIFICATE-----\nBBBB\n-\n-----END CERTIFICATE-----\n`;
    expect(() => compose({ registries: { hosts: { "r.test": { ca } } } })).toThrow(/may only narrow/);
    expect(compose({ signers: { flow: { environment: "golden path" } } }).policy.name).toBe("shop");
  });
});

test("a base by approvals alone lets in whatever its tags point at, and its digests less", () => {
  const listed = sample();
  listed.signers.approver = { publicKey: listed.signers.build.publicKey.replace("AQc", "AQd") };
  listed.bases[0].approval = { signers: ["approver"] };
  const open = structuredClone(listed);
  delete open.bases[0].digests;
  expect(directions(listed, open)).toEqual(["widening bases[golden-run].digests"]);
  expect(directions(open, listed)).toEqual(["narrowing bases[golden-run].digests"]);
});
