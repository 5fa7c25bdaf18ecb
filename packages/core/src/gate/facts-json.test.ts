import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { environment, factsOf, image, now, other, policy, repository, whole } from "@goldenpath/testing/gate-evidence";
import { identity } from "@goldenpath/testing/origin-statements";
import { describe, expect, test } from "vitest";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { formatGateFacts, parseGateFacts } from "./facts-json.ts";

// That the gate's answer is the same on facts that have been JSON, each test of the gate asks: packages/testing has the
// `decideGate` that they use.

const loaded: LoadedPolicy = { ...policy, policy: { ...policy.policy, environments: { production: environment } } };
const descriptor = (what: string) => ({ mediaType: "application/x", digest: digestOf(what), size: 1 });
const [{ sbom }] = [whole()];
/** With all that a statement can have. */
const full: VerifiedStatement = {
  ...sbom,
  ...{
    time: new Date("2026-05-01T11:59:59.123Z"),
    identity: { ...identity, environment: "production" },
    tag: "sha256-x.att",
  },
  ...{ below: [{ subject: image, descriptor: descriptor("below") }], isInSignedManifest: true },
  referrer: { ...sbom.referrer, artifactType: "application/y", annotations: { a: "b" } },
};
const facts = factsOf(
  [full],
  {
    policy: loaded,
    destination: { registry: "registry.example", name: "vetted/shop" },
    image: { children: [image, other], platforms: new Map([[image, "linux/amd64"]]) },
  },
  [{ subject: image, referrer: other, reason: "unknown", isByNobody: true, claimedPredicateType: "https://x.example" }],
  [sbom],
);
const text = formatGateFacts(facts);
const parse = (json: string, under = loaded) => parseGateFacts(Buffer.from(json), under);
const refusal = (json: string, under = loaded): string => {
  try {
    parse(json, under);
  } catch (error) {
    if (error instanceof UserError) return `${error.code}: ${error.message} (${error.wayOut})`;
    throw error;
  }
  return "none";
};
/** The facts with one change of their document. */
const changed = (
  edit: (document: Record<string, unknown> & { evidence: Record<string, unknown>[] }) => void,
): string => {
  const document = JSON.parse(text);
  edit(document);
  return JSON.stringify(document);
};

const withStatement = (more: object): string =>
  changed(({ evidence }) => {
    for (const each of evidence) each["statements"] = [{ ...full, ...more }];
  });

test("facts are the same once they have been JSON", () => {
  expect(parse(text)).toEqual(facts);
  expect(parse(text).policy).toBe(loaded);
});

test("a statement's type may be the first one of in-toto's, as envelopes of then have it", () => {
  const _type = "https://in-toto.io/Statement/v0.1";
  const old = parse(withStatement({ statement: { ...full.statement, _type } })).evidence.get(image);
  expect(old?.statements.map((each) => each.statement._type)).toEqual([_type]);
});

test("where somebody says that it was rebased, what was seen of it, or why nothing was, is in them", () => {
  const digest = digestOf("layer");
  const manifest = { schemaVersion: 2 as const, config: descriptor("config"), layers: [descriptor("layer.gz")] };
  const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers" as const, diff_ids: [digest] } };
  const child = { digest: image, manifest, config };
  const seen = { repository, digest: image, children: [child], bases: [{ repository, digest: other, child }] };
  const lineage = new Map([
    [image, { ...seen, evidence: facts.evidence }] as const,
    [other, { problem: "it is not in its registry" }] as const,
  ]);
  const told = formatGateFacts({ ...facts, lineage });
  expect(parse(told)).toEqual({ ...facts, lineage });
  const both = told.replace(
    '"problem":',
    '"seen":{"repository":{"registry":"r","name":"n"},"children":[],"evidence":[],"bases":[]},"problem":',
  );
  for (const wrong of [
    both,
    told.replace('"problem":"it is not in its registry"', '"digest":"x"').replace(',"digest":"x"', ""),
  ])
    expect(refusal(wrong)).toContain("either what was seen of it or why nothing was");
});

describe("facts are refused", () => {
  const at = (name: string) => changed((document) => Object.assign(document, { [name]: undefined }));
  test.each<[string, string, string]>([
    ["that are nothing", "", "it is not JSON"],
    ["that are cut off", text.slice(0, -2), "it is not JSON"],
    ["that are a list", "[]", "expected object"],
    [
      "with a key twice",
      text.replace('{"schemaVersion"', '{"place":"to","schemaVersion"'),
      'the key "place" is there twice',
    ],
    ["of another version", changed((all) => Object.assign(all, { schemaVersion: "2.0" })), "schemaVersion"],
    ["with a key that is not known", changed((all) => Object.assign(all, { verdict: "pass" })), "verdict"],
    ["without a time", at("now"), "now"],
    ["of no time", changed((all) => Object.assign(all, { now: "yesterday" })), "now"],
    ["without evidence", at("evidence"), "evidence"],
    [
      "of another policy",
      changed((all) => Object.assign(all.policy as object, { digest: digestOf("x") })),
      "under the policy",
    ],
    ["with a statement of nobody", withStatement({ signers: [] }), "signers"],
    ["with a statement of no digest", withStatement({ subject: "sha1:0" }), "expected a sha256 or sha512 digest"],
    ["with a statement's key that is not known", withStatement({ verified: true }), "verified"],
    [
      "that say a thing of one digest twice",
      changed((all) => all.evidence.push({ ...all.evidence[0] })),
      "of one digest twice",
    ],
    ["that are too deep", `${"[".repeat(200)}${"]".repeat(200)}`, "nested deeper"],
  ])("%s", (_what, json, says) => {
    expect(refusal(json)).toContain("facts-invalid: the gate's facts can't be taken: ");
    expect(refusal(json)).toContain(says);
    expect(refusal(json)).toContain("Gather them anew");
  });

  test("that are too large, before they are read", () => {
    expect(() => parseGateFacts(Buffer.alloc(64 * 1024 * 1024 + 1), loaded)).toThrow(/67108864 are read/);
    expect(() => parseGateFacts(Buffer.alloc(64 * 1024 * 1024, "x"), loaded)).toThrow(/it is not JSON/);
  });

  test("of an environment that the policy does not have", () => {
    expect(refusal(changed((all) => Object.assign(all, { environment: "staging" })))).toContain("environment-unknown");
    expect(refusal(text, { ...loaded, policy: { ...loaded.policy, environments: {} } })).toContain(
      "environment-unknown",
    );
  });
});

test("the policy is named and not in it: who gathers does not choose it", () => {
  expect(JSON.parse(text).policy).toEqual({ uri: policy.uri, digest: policy.digest, serial: 7 });
  expect(parse(text)).toMatchObject({ now, image: { repository } });
});
