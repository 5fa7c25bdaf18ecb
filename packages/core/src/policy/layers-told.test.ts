import type { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { composeLayers, readExtends } from "./layers.ts";
import { maxPolicyBytes } from "./parse.ts";

// What is told of a team's file, word for word and at its place; and what of the organisation's stays.

const sha = (digit: string): string => `sha256:${digit.repeat(64)}`;
const keyOf = (name: string): string =>
  `"-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYI${name}\\n-----END PUBLIC KEY-----\\n"`;
const remedy =
  "Name a user of the image in its Dockerfile, by its number, and see that it may read what the image needs to start";
const organisation = `version: 1
name: acme
serial: 40
signers:
  build: { publicKey: ${keyOf("build")} }
  scan: { publicKey: ${keyOf("scan")} }
  promote: { publicKey: ${keyOf("promote")} }
bases:
  - { name: golden, image: r.test/bases/golden, digests: [${sha("1")}] }
build:
  strategies: [buildpacks]
  isolation: [container, host]
  sources:
    - https://github.com/acme/shop
    - { repository: https://github.com/acme/web, owner: "@acme/web" }
    - https://github.com/acme/api
  builders: [{ name: node, image: r.test/builders/node, digests: [${sha("b")}], runImage: golden }]
scan:
  failOn: high
  refuse:
    - { name: known, severity: high, types: [npm], missing: refuse }
images: { refuse: [root-user, committed] }
rules:
  - { name: user, stage: base, expression: 'config.user != "0"', message: m, remedy: "${remedy}" }
environments:
  production:
    from: [r.test/quarantine]
    to: [r.test/vetted]
    promoter: promote
    requires:
      - { stage: build, signers: [build] }
      - { stage: scan, signers: [scan], maxAge: 1d }
enforceFrom: { base.root-user: 2027-03-01, base.committed: 2027-03-01 }
`;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The team's lines begin on line 5. */
const headOf = (own: string): string =>
  `version: 1\nname: shop\nserial: 2\nextends: { policy: policy.yaml, digest: ${digestOf(bytesOf(own))} }\n`;
const composeText = (team: string, own = organisation) =>
  composeLayers({ bytes: bytesOf(own), where: "policy.yaml" }, { bytes: bytesOf(team), where: "team.yaml" });
const compose = (narrowing: string, own = organisation) => composeText(headOf(own) + narrowing, own);

function refusalOf(read: () => unknown): UserError {
  try {
    read();
  } catch (error) {
    return error as UserError;
  }
  throw new Error("nothing was refused");
}
const problemsOf = (read: () => unknown): string[] => refusalOf(read).message.split("\n").slice(1);
const told = (narrowing: string, own = organisation): string[] => problemsOf(() => compose(narrowing, own));
const toldOf = (team: string): string[] => problemsOf(() => composeText(team));
const only = "a team's policy may only narrow the organisation's";

test("a file is refused as a team's policy, with the way out", () => {
  const { message, code, wayOut } = refusalOf(() => compose("scan: { failOn: critical }\n"));
  expect(message.split("\n")[0]).toBe("team's policy team.yaml is not valid:");
  expect(code).toBe("policy-invalid");
  expect(wayOut).toMatch(/^Say only what is stricter than the organisation's policy/);
  // The rest of hundreds is told once these are mended.
  const many = Array.from(
    { length: 60 },
    (_, index) => `  - { name: b${index}, image: r.test/b, digests: [${sha("9")}] }\n`,
  );
  expect(told(`bases:\n${many.join("")}`)).toHaveLength(50);
});

describe("what a team's file says of itself", () => {
  const team = (change: Record<string, string | undefined>): string => {
    const lines = {
      version: "1",
      name: "shop",
      serial: "2",
      extends: headOf(organisation).split("extends: ")[1]?.trim(),
    };
    return Object.entries({ ...lines, ...change })
      .flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}\n`]))
      .join("");
  };
  const digest = digestOf(bytesOf(organisation));
  const expected =
    "extends: expected `policy` (a file, or oci://HOST/NAME@sha256:…) and `digest` (sha256:… of its bytes), and nothing else";

  test("passes with the serial 1, and adds it to the organisation's", () => {
    expect(composeText(team({ serial: "1" })).policy).toMatchObject({ name: "shop", serial: 41 });
  });

  test.each<[what: string, change: Record<string, string | undefined>, problem: string]>([
    ["another version", { version: "2" }, "1:10: version: expected 1"],
    ["no version", { version: undefined }, "1:1: version: expected 1"],
    ["a name that is no text", { name: "5" }, "2:7: name: is missing, or no text"],
    [
      "the organisation's name",
      { name: "acme" },
      "2:7: name: is the organisation's own ('acme'): a team's policy has another",
    ],
    ["a serial that is a text", { serial: '"2"' }, "3:9: serial: expected 1 or more"],
    ["a serial that is no whole number", { serial: "1.5" }, "3:9: serial: expected 1 or more"],
    ["the serial 0", { serial: "0" }, "3:9: serial: expected 1 or more"],
    ["no policy that it extends", { extends: `{ digest: ${digest} }` }, `4:1: ${expected}`],
    ["an empty policy", { extends: `{ policy: "", digest: ${digest} }` }, `4:1: ${expected}`],
    ["a policy that is no text", { extends: `{ policy: 5, digest: ${digest} }` }, `4:1: ${expected}`],
    ["a text alone", { extends: "policy.yaml" }, `4:10: ${expected}`],
    ["a list of digests", { extends: `{ policy: policy.yaml, digest: [${digest}] }` }, `4:1: ${expected}`],
    ["more than a digest", { extends: `{ policy: policy.yaml, digest: ${digest}0 }` }, `4:1: ${expected}`],
    ["something before it", { extends: `{ policy: policy.yaml, digest: a${digest} }` }, `4:1: ${expected}`],
    [
      "the digest of another content",
      { extends: `{ policy: policy.yaml, digest: ${sha("0")} }` },
      `4:41: extends.digest: is ${sha("0")}, and policy.yaml is ${digest}`,
    ],
  ])("with %s is refused at its place", (_what, change, problem) => {
    expect(toldOf(team(change))).toContain(`team.yaml:${problem}`);
  });

  test("without `extends` is no team's", () => {
    expect(toldOf(team({ extends: undefined }))).toEqual([
      "team.yaml: it has no `extends`, and so is no team's policy",
    ]);
  });

  test("by a key that is the organisation's is told once", () => {
    const exception = "{ rule: scan.severity, vulnerability: CVE-1, reason: r, owner: o, expires: 2027-01-01 }";
    expect(told(`exceptions: [${exception}]\n`)).toEqual([
      "team.yaml:5:1: exceptions: is the organisation's alone: a team's policy does not say it",
    ]);
    expect(told("accepts: 60d\n", `${organisation}accepts: 30d\n`)).toEqual([
      "team.yaml:5:10: accepts: is the organisation's alone: a team's policy does not say it",
    ]);
  });
});

describe("a file that can't be read is refused", () => {
  test("by its size, which is the limit at most", () => {
    const ofSize = (size: number) => ({ bytes: new Uint8Array(size).fill("#".charCodeAt(0)), where: "team.yaml" });
    expect(problemsOf(() => readExtends(ofSize(maxPolicyBytes + 1)))).toEqual([
      `team.yaml: is larger than ${maxPolicyBytes} bytes`,
    ]);
    expect(problemsOf(() => readExtends(ofSize(maxPolicyBytes)))).toEqual(["team.yaml:1:1: expected a map"]);
  });

  test("where it is no map, or has a key by both its names", () => {
    expect(toldOf("- version: 1\n")).toEqual(["team.yaml:1:1: expected a map"]);
    expect(told("build:\n  environments: [host]\n  isolation: [host]\n")).toEqual([
      expect.stringMatching(/^team\.yaml:6:3: is the old name of `isolation`/),
    ]);
  });

  test("after it is put together, by both names", () => {
    const { message } = refusalOf(() => compose("scam: { failOn: low }\n"));
    expect(message).toContain("team.yaml with policy.yaml");
  });
});

describe("a widening is told at its line, with what the organisation has", () => {
  test.each<[what: string, narrowing: string, problems: string[]]>([
    [
      "a value",
      "scan:\n  failOn: critical\n",
      [`6:11: scan.failOn: findings are refused from this severity: critical (before: high); ${only}, which has high`],
    ],
    [
      "an entry of a list of texts",
      "build:\n  isolation:\n    - container\n    - host-unisolated\n",
      [expect.stringMatching(/^8:7: build\.isolation.*, which has container, host$/)],
    ],
    [
      "an entry of a list of maps, which the sentence names",
      `bases:\n  - name: golden\n  - { name: other, image: r.test/o, digests: [${sha("9")}] }\n`,
      [expect.stringMatching(/^7:5: bases\[other\]: new: .*may only narrow the organisation's$/)],
    ],
    [
      "an entry that comes after one that is there twice",
      `bases:\n  - name: golden\n  - name: golden\n  - { name: other, image: r.test/o, digests: [${sha("9")}] }\n`,
      [expect.stringMatching(/^8:5: bases\[other\]: new: /)],
    ],
    [
      "of a list of texts and maps",
      "build: { sources: [https://github.com/evil/shop] }\n",
      [expect.stringMatching(/^5:20: build\.sources\[.*may only narrow the organisation's$/)],
    ],
    [
      "what it does not have",
      `signers:\n  mine: { publicKey: ${keyOf("mine")} }\n`,
      [expect.stringMatching(/^6:3: signers\.mine: .*, which has nothing$/)],
    ],
    [
      "an entry that stands elsewhere in the organisation's list",
      "scan:\n  refuse:\n    - { name: epss, epss: 0.5, missing: refuse }\n    - name: known\n      severity: critical\n",
      [expect.stringMatching(/^9:17: scan\.refuse\[known\]\.severity/)],
    ],
    [
      "what stands in a list of such an entry",
      [
        "environments:\n  production:\n    requires:\n      - stage: scan\n",
        "        signers:\n          - scan\n          - build\n",
      ].join(""),
      [expect.stringMatching(/^11:13: environments\.production\.requires\[scan\]\.signers/)],
    ],
    [
      "one of two places whose names run together",
      [
        "environments:\n  production:\n    requires:\n      - { stage: scan, maxAge: 2d }\n  productionrequires1:\n",
        "    from: [r.test/q]\n    to: [r.test/v]\n    promoter: promote\n    requires: [{ stage: scan, signers: [scan] }]\n",
      ].join(""),
      [
        expect.stringMatching(/^8:32: environments\.production\.requires\[scan\]\.maxAge/),
        expect.stringMatching(/^9:3: environments\.productionrequires1: new/),
      ],
    ],
  ])("%s", (_what, narrowing, problems) => {
    expect(told(narrowing).map((each) => each.replace("team.yaml:", ""))).toEqual(problems);
  });

  test("and what lets nothing in or out stays the organisation's, where that says it", () => {
    const owned = (repository: string, owner: string): string =>
      `build: { sources: [{ repository: https://github.com/acme/${repository}, owner: "${owner}" }] }\n`;
    expect(told(owned("web", "@acme/shop"))).toEqual([
      "team.yaml:5:70: build.sources.0.owner: is '@acme/web' in the organisation's policy, and lets nothing in or out: a team's leaves it",
    ]);
    expect(compose(owned("web", "@acme/web")).policy.build.sources).toHaveLength(1);
    expect(compose(owned("shop", "@acme/shop")).policy.build.sources).toEqual([
      { repository: "https://github.com/acme/shop", owner: "@acme/shop" },
    ]);
  });
});

describe("of the organisation's policy stays", () => {
  test("a list that demands, each entry once, and what a team adds to it", () => {
    expect(compose("images: { refuse: [root-user, secrets] }\n").policy.images.refuse).toEqual([
      ...["root-user", "committed", "secrets"],
    ]);
    const { policy } = compose("scan: { refuse: [{ name: known, types: [deb] }] }\n");
    expect(policy.scan.refuse).toMatchObject([{ name: "known", severity: "high", types: ["npm", "deb"] }]);
  });

  test("an entry that a team names by its text, as it is", () => {
    const sources = (...named: string[]) => compose(`build: { sources: [${named.join(", ")}] }\n`).policy.build.sources;
    expect(sources("https://github.com/acme/api")).toEqual(["https://github.com/acme/api"]);
    expect(sources("https://github.com/acme/web")).toEqual([
      { repository: "https://github.com/acme/web", owner: "@acme/web" },
    ]);
  });

  test("the day of a rule that a team does not name", () => {
    expect(compose("enforceFrom: { base.root-user: 2027-02-01 }\n").policy.enforceFrom).toEqual({
      ...{ "base.root-user": "2027-02-01", "base.committed": "2027-03-01" },
    });
  });

  test("each of its lines, however long", () => {
    expect(compose("scan: { failOn: low }\n").text).toContain(`remedy: ${remedy}\n`);
  });

  test("for how long evidence counts of its versions before, and not which it lists", () => {
    const accepting = (accepts: string) => {
      const { text } = compose("scan: { failOn: low }\n", `${organisation}accepts: ${accepts}\n`);
      return (parse(text) as { accepts?: unknown }).accepts;
    };
    expect(accepting("30d")).toBe("30d");
    expect(accepting(`[{ serial: 39, digest: ${sha("3")} }]`)).toBeUndefined();
  });

  test("that no image is scanned under it", () => {
    const unscanned = organisation.replace(/^scan:\n(?: .*\n)+/m, "").replace(/ +- \{ stage: scan.*\n/, "");
    expect(compose("build: { isolation: [container] }\n", unscanned).policy.absent).toEqual(["scan"]);
    expect(told("scan: { failOn: low }\n", unscanned)).toEqual([
      expect.stringMatching(/^team\.yaml:5:1: scan: .*, which has nothing$/),
    ]);
  });
});
