import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { composeLayers, readExtends } from "./layers.ts";
import { parsePolicy } from "./parse.ts";

// Each widening that is known is refused at its place, and beside it stands the twin that narrows.

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const key = (name: string): object => ({
  publicKey: `-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI${name.replace("-", "")}\n-----END PUBLIC KEY-----\n`,
});
const organisation = {
  ...{ version: 1, name: "acme", serial: 40 },
  signers: Object.fromEntries(["build", "base", "scan", "scan-next", "promote"].map((name) => [name, key(name)])),
  bases: [
    { name: "golden", image: "r.test/bases/golden", digests: [digest("1"), digest("2")], until: "2027-12-31" },
    { name: "static", image: "r.test/bases/static", digests: [digest("3")] },
  ],
  build: {
    strategies: ["dockerfile", "buildpacks"],
    isolation: ["container", "host"],
    sources: [{ repository: "https://github.com/acme/*", refs: ["refs/heads/main", "refs/heads/next"] }],
    builders: [
      { kind: "dockerfile", name: "files" },
      { name: "node", image: "r.test/builders/node", digests: [digest("b")], runImage: "golden" },
    ],
  },
  scan: {
    ...{ failOn: "high", onlyFixed: true, databaseMaxAge: "5d" },
    refuse: [{ name: "known", kev: true, missing: "refuse" }],
    licenses: { refuse: ["AGPL-3.0-only"], unknown: "refuse" },
  },
  forbiddenBases: [{ name: "old", image: "r.test/old" }],
  images: { refuse: ["root-user"] },
  rules: [
    { name: "user", stage: "base", expression: 'config.user != "0"', message: "m", remedy: "r" },
    { name: "main", stage: "gate", expression: 'source.ref == "main"', when: "true", message: "m", remedy: "r" },
  ],
  environments: {
    production: {
      ...{ from: ["r.test/quarantine"], to: ["r.test/vetted"], promoter: "promote" },
      requires: [
        { stage: "build", signers: ["build"], maxAge: "30d" },
        { stage: "scan", signers: ["scan", "scan-next"], maxAge: "1d" },
      ],
    },
  },
  enforceFrom: { "base.root-user": "2027-03-01" },
};
const write = (value: unknown): Uint8Array =>
  new TextEncoder().encode(stringify(value, { aliasDuplicateObjects: false }));
const own = { bytes: write(organisation), where: "policy.yaml" };
const head = { version: 1, name: "shop", serial: 2, extends: { policy: "policy.yaml", digest: digestOf(own.bytes) } };
const compose = (narrowing: object | string) =>
  composeLayers(own, {
    bytes: typeof narrowing === "string" ? new TextEncoder().encode(narrowing) : write({ ...head, ...narrowing }),
    where: "team.yaml",
  });
const production = (more: object) => ({ environments: { production: more } });
const requires = (...entries: object[]) => production({ requires: entries });
const source = (more: object) => ({ build: { sources: [{ repository: "https://github.com/acme/*", ...more }] } });

type Pair = [name: string, widens: object, narrows: object, message: RegExp];

test.each<Pair>([
  [
    "a base more",
    { bases: [{ name: "other", image: "r.test/o", digests: [digest("9")] }] },
    { bases: [{ name: "golden" }] },
    /bases\[other\]: new: images may stand on the base/,
  ],
  [
    "a base by a name that looks alike",
    { bases: [{ name: "go1den", image: "r.test/bases/golden", digests: [digest("1")] }] },
    { bases: [{ name: "static" }, { name: "golden" }] },
    /bases\[go1den\]/,
  ],
  [
    "a digest more",
    { bases: [{ name: "golden", digests: [digest("1"), digest("9")] }] },
    { bases: [{ name: "golden", digests: [digest("2")] }] },
    /its version .* is approved, as well/,
  ],
  [
    "a base in another place",
    { bases: [{ name: "golden", image: "r.test/bases/0golden" }] },
    { bases: [{ name: "golden", image: "r.test/bases/golden" }] },
    /the base is kept in/,
  ],
  [
    "a base for longer",
    { bases: [{ name: "golden", until: "2028-01-01" }] },
    { bases: [{ name: "golden", until: "2027-06-30" }] },
    /images may stand on it until 2028-01-01 \(before: 2027-12-31\)/,
  ],
  [
    "paths that may change",
    { bases: [{ name: "golden", mayChange: ["/etc"] }] },
    { bases: [{ name: "golden", until: "2027-01-01" }] },
    /layers on top may change/,
  ],
  [
    "a strategy more",
    { build: { strategies: ["dockerfile", "jib"] } },
    { build: { strategies: ["buildpacks"] } },
    /images may be built by jib, as well/,
  ],
  [
    "a place to build in",
    { build: { isolation: ["host-unisolated"] } },
    { build: { isolation: ["container"] } },
    /builds may run in host-unisolated/,
  ],
  [
    "another source",
    { build: { sources: ["https://github.com/acrne/*"] } },
    source({ events: ["push"] }),
    /builds may be of/,
  ],
  [
    "a ref more",
    source({ refs: ["refs/heads/main", "refs/heads/*"] }),
    source({ refs: ["refs/heads/main"] }),
    /builds of the ref refs\/heads\/\* count/,
  ],
  [
    "an event that counts only where it is named",
    source({ events: ["pull_request_target"] }),
    source({ events: ["push"] }),
    /pull_request_target/,
  ],
  [
    "a laxer severity",
    { scan: { failOn: "critical" } },
    { scan: { failOn: "medium" } },
    /refused from this severity: critical \(before: high\)/,
  ],
  [
    "findings with a fix alone",
    { scan: { onlyFixed: true, failOnlyOn: "new" } },
    { scan: { onlyFixed: false } },
    /findings that are refused: new/,
  ],
  [
    "older data",
    { scan: { databaseMaxAge: "6d" } },
    { scan: { databaseMaxAge: "1d" } },
    /6d old at most \(before: 5d\)/,
  ],
  [
    "a gate that asks for more",
    { scan: { refuse: [{ name: "known", severity: "critical" }] } },
    { scan: { refuse: [{ name: "epss", epss: 0.5, missing: "refuse" }] } },
    /refused from this severity: critical/,
  ],
  [
    "what nobody says let pass",
    { scan: { refuse: [{ name: "known", missing: "pass" }] } },
    { scan: { refuse: [{ name: "known", missing: "refuse" }] } },
    /what nobody says is handled so: pass/,
  ],
  [
    "unknown licences",
    { scan: { licenses: { unknown: "pass" } } },
    { scan: { licenses: { refuse: ["GPL-3.0-only"] } } },
    /packages of unknown licence: pass/,
  ],
  [
    "VEX of a signer",
    { scan: { vex: { signers: ["scan"] } } },
    { scan: { failOn: "low" } },
    /findings can be closed by VEX/,
  ],
  [
    "blind spots",
    { scan: { allowBlindSpots: ["no-packages"] } },
    { scan: { ownWord: "refuse" } },
    /a scan passes in spite of|expected one of/,
  ],
  [
    "another signer for a stage",
    requires({ stage: "scan", signers: ["scan", "base"] }),
    requires({ stage: "scan", signers: ["scan"] }),
    /for this stage the word of base counts/,
  ],
  [
    "older evidence",
    requires({ stage: "scan", maxAge: "2d" }),
    requires({ stage: "scan", maxAge: "12h" }),
    /2d old at most \(before: 1d\)/,
  ],
  [
    "another promoter",
    production({ promoter: "scan" }),
    production({ promoter: "promote" }),
    /scan signs its promotions/,
  ],
  [
    "another quarantine",
    production({ from: ["r.test/quarantine-2"] }),
    production({ from: ["r.test/quarantine/shop"] }),
    /images may come from r.test\/quarantine-2/,
  ],
  [
    "another destination",
    production({ to: ["r.test"] }),
    production({ to: ["r.test/vetted/shop"] }),
    /images may be promoted to r.test, as well/,
  ],
  [
    "an environment of its own",
    { environments: { testing: organisation.environments.production } },
    production({ to: ["r.test/vetted/shop"] }),
    /images can be promoted into testing/,
  ],
  ["a signer of its own", { signers: { mine: key("mine") } }, { signers: { scan: key("scan") } }, /signers\.mine/],
  [
    "another key of a signer",
    { signers: { scan: key("stolen") } },
    { signers: { scan: key("scan") } },
    /signers\.scan/,
  ],
  [
    "a later day",
    { enforceFrom: { "base.root-user": "2027-04-01" } },
    { enforceFrom: { "base.root-user": "2027-02-01" } },
    /only warns until it refuses from 2027-04-01 on \(before: from 2027-03-01 on\)/,
  ],
  [
    "a day for another rule",
    { enforceFrom: { "scan.severity": "2027-04-01" } },
    { enforceFrom: { "base.root-user": "2027-01-01" } },
    /only warns until/,
  ],
  [
    "another expression of a rule",
    { rules: [{ name: "user", expression: 'config.user != "0" || true' }] },
    { rules: [{ name: "own", stage: "base", expression: 'config.user == "1"', message: "m", remedy: "r" }] },
    /rules\[user\]\.expression: images pass of which this holds: .*\(before: /,
  ],
  [
    "fewer images that a rule is asked of",
    { rules: [{ name: "main", when: "false" }] },
    { rules: [{ name: "main", when: "true" }] },
    /rules\[main\]\.when: it is asked of images of which this holds: false/,
  ],
  [
    "a rule that another stage is to judge",
    { rules: [{ name: "user", stage: "scan", expression: "true" }] },
    { rules: [{ name: "user", stage: "base" }] },
    /rules\[user\]\.stage: it is judged by the stage scan/,
  ],
  [
    "a rule for some environments",
    { rules: [{ name: "main", environments: ["production"] }] },
    { rules: [] },
    /the environment production asks it, and nothing else any more/,
  ],
  [
    "a forbidden base with less of a reach",
    { forbiddenBases: [{ name: "old", lineage: false }] },
    { forbiddenBases: [{ name: "old" }, { name: "own", image: "r.test/own" }] },
    /forbiddenBases\[old\]\.lineage: what stands on it by way of an approved base is refused: false/,
  ],
  [
    "a forbidden base of fewer versions",
    { forbiddenBases: [{ name: "old", digests: [digest("d")] }] },
    { forbiddenBases: [{ name: "old" }] },
    /forbiddenBases\[old\]\.digests/,
  ],
  [
    "a registry without TLS",
    { registries: { plainHttp: ["r.test"] } },
    { images: { refuse: ["secrets"] } },
    /registries/,
  ],
])("%s is refused at its place, and its twin passes", (_name, widens, narrows, message) => {
  expect(() => compose(widens)).toThrow(message);
  expect(() => compose(widens)).toThrow(/team\.yaml:\d+:\d+: /);
  const { policy } = compose(narrows);
  expect(policy).toMatchObject({ name: "shop", serial: 42 });
});

describe("what a team leaves out", () => {
  const forbidden = (narrowing: object) =>
    compose(narrowing).policy.forbiddenBases.filter(({ name }) => name !== "old");
  const gone = (name: string, image: string, ...digests: string[]) => ({
    ...{ name: `${name}-left-out`, image, digests, lineage: false },
    ...{ reason: "shop leaves it out", enforceFrom: "2000-01-01" },
  });

  test("of bases is forbidden: what stands on it would pass for what lies below", () => {
    expect(forbidden({ bases: [{ name: "golden" }] })).toEqual([gone("static", "r.test/bases/static", digest("3"))]);
    expect(forbidden({ bases: [{ name: "golden", digests: [digest("2")] }, { name: "static" }] })).toEqual([
      gone("golden", "r.test/bases/golden", digest("1")),
    ]);
    for (const kept of [{}, { bases: [{ name: "static" }, { name: "golden" }] }]) expect(forbidden(kept)).toEqual([]);
  });

  test("of builders is forbidden, unless another builds in the same image", () => {
    const node = { name: "node", image: "r.test/builders/node", digests: [digest("b")], runImage: "golden" };
    const files = { kind: "dockerfile", name: "files" };
    const left = { strategies: ["dockerfile"], builders: [files] };
    // With all that stands on it, as its organisation refuses that.
    expect(forbidden({ build: left })).toEqual([{ ...gone("node", node.image, digest("b")), lineage: true }]);
    expect(forbidden({ build: { builders: [files, node] } })).toEqual([]);
  });

  test("has a name that no other has, and comes after what is forbidden already", () => {
    const other = { name: "static-left-out", image: "r.test/other" };
    expect(forbidden({ bases: [{ name: "golden" }], forbiddenBases: [other] })).toEqual([
      { ...other, lineage: true },
      { ...gone("static", "r.test/bases/static", digest("3")), name: "static-left-out-2" },
    ]);
  });

  test("is the same each time, and nothing where nothing is left out", () => {
    const narrowing = { bases: [{ name: "golden" }] };
    expect(compose(narrowing)).toEqual(compose(narrowing));
    const bytes = write({ ...organisation, forbiddenBases: undefined });
    const team = write({ ...head, extends: { policy: "policy.yaml", digest: digestOf(bytes) } });
    const { text } = composeLayers({ bytes, where: "policy.yaml" }, { bytes: team, where: "team.yaml" });
    expect([compose({}).text.includes("left-out"), text.includes("forbiddenBases")]).toEqual([false, false]);
  });
});

test("a team's rules come on top of the organisation's, which stay", () => {
  const own = { name: "own", stage: "scan", expression: "findings.size() == 0", message: "m", remedy: "r" };
  expect(compose({ rules: [own] }).policy.rules.map(({ name }) => name)).toEqual(["user", "main", "own"]);
});

test.each([
  [
    "exceptions",
    {
      exceptions: [
        { rule: "scan.severity", vulnerability: "CVE-2026-1", reason: "r", owner: "o", expires: "2027-01-01" },
      ],
    },
  ],
  ["signedExceptions", { signedExceptions: { repository: "r.test/exceptions", signers: [{ signer: "base" }] } }],
  ["accepts", { accepts: "365d" }],
  ["activators", { activators: ["promote"] }],
  ["layers", { layers: [] }],
  ["sigstore", { sigstore: {} }],
  ["trustStores", { trustStores: {} }],
])("`%s` is the organisation's alone", (name, said) => {
  expect(() => compose(said)).toThrow(new RegExp(`team\\.yaml:\\d+:\\d+: ${name}: is the organisation's alone`));
});

describe("a team's file", () => {
  test.each([
    ["that has the organisation's name", { name: "acme" }, /is the organisation's own/],
    [
      "that extends another content",
      { extends: { ...head.extends, digest: digest("0") } },
      /extends\.digest: is sha256:0+, and policy\.yaml is/,
    ],
    ["that names no digest", { extends: { policy: "policy.yaml" } }, /extends: expected/],
    ["with a key more in extends", { extends: { ...head.extends, override: true } }, /and nothing else/],
    ["with a serial that is none", { serial: 0 }, /serial: expected 1 or more/],
    ["with an unknown key", { scam: { failOn: "low" } }, /scam: unknown key/],
    ["with an empty list that would be all", { bases: [] }, /must have at least one entry/],
    ["with nothing where a map was", { scan: null }, /scan/],
  ])("%s is refused", (_name, said, message) => {
    expect(() => compose(said)).toThrow(message);
  });

  test("with a key twice is refused, whichever comes first", () => {
    const text = new TextDecoder().decode(write({ ...head, scan: { failOn: "low" } }));
    expect(() => compose(`${text}scan:\n  failOn: critical\n`)).toThrow(/team\.yaml:\d+:1: /);
    expect(compose(text).policy.scan.failOn).toBe("low");
  });

  test("leaves the refusals that it does not name, and adds its own", () => {
    const { policy } = compose({
      scan: { refuse: [{ name: "epss", epss: 0.5, missing: "refuse" }], licenses: { refuse: ["GPL-3.0-only"] } },
      images: { refuse: ["secrets"] },
      ...requires({ stage: "base", signers: ["base"] }),
    });
    expect(policy.scan.refuse?.map(({ name }) => name)).toEqual(["known", "epss"]);
    expect(policy.scan.licenses?.refuse).toEqual(["AGPL-3.0-only", "GPL-3.0-only"]);
    expect(policy.images.refuse).toEqual(["root-user", "secrets"]);
    expect(policy.environments["production"]?.requires.map(({ stage }) => stage)).toEqual(["build", "scan", "base"]);
  });
});

test("the effective policy is one file that names both, and is the same whenever it is made", () => {
  const composed = compose({ scan: { failOn: "low" } });
  expect(composed).toEqual(compose({ scan: { failOn: "low" } }));
  expect(composed.digest).toBe(digestOf(new TextEncoder().encode(composed.text)));
  expect(parsePolicy(new TextEncoder().encode(composed.text), "effective.yaml")).toEqual(composed.policy);
  const { layers } = parse(composed.text) as { layers: object[] };
  expect(layers).toMatchObject([
    { name: "acme", serial: 40, digest: digestOf(own.bytes) },
    { name: "shop", serial: 2 },
  ]);
  expect(readExtends(own)).toBeUndefined();
});
